//! RC boards against the equation of motion C dv = −G v dt + u dt, integrated here in small steps, and
//! their program over the wire.

#![allow(clippy::needless_range_loop, reason = "matrix formulae")]
#![allow(clippy::float_cmp, reason = "what nothing acts on keeps its bits")]

use std::collections::BTreeSet;

use spu_protocol::code::{CouplingCode, DacCode};
use spu_sim::analog::BankCodes;
use spu_sim::converters::{Converters, Kept};
use spu_sim::nonideality::NonIdeality;
use spu_sim::{AdcRow, Analog, Dispatch, LANES, Profile};

/// Codes of a chain, all different.
fn chain() -> BankCodes {
    let mut codes = BankCodes::OPEN;
    for cell in 0..LANES {
        codes.self_codes[cell] = CouplingCode(10 + 7 * cell as i16);
        codes.storage_codes[cell] = CouplingCode(255 - 20 * cell as i16);
    }
    let mut pair = 0;
    for i in 0..LANES {
        for j in i + 1..LANES {
            if j == i + 1 {
                codes.coupling_codes[pair] = CouplingCode(60 + 13 * i as i16);
            }
            pair += 1;
        }
    }
    codes
}

/// C (diagonal) and G of the board's own parts, in farads and siemens.
fn matrices(analog: &Analog, codes: &BankCodes) -> ([f64; LANES], [[f64; LANES]; LANES]) {
    let parts = analog.parts();
    let bank = |elements: &[f64], code: i16| -> f64 {
        (0..15).filter(|bit| code.unsigned_abs() >> bit & 1 == 1).map(|bit| elements[bit]).sum()
    };
    let mut g = [[0.0; LANES]; LANES];
    let c = std::array::from_fn(|i| {
        parts.stray_farad[i] + bank(&parts.storage_elements[i], codes.storage_codes[i].0)
    });
    let mut pair = 0;
    for i in 0..LANES {
        g[i][i] += 1.0 / parts.r_ohm[i] + bank(&parts.self_elements[i], codes.self_codes[i].0);
        for j in i + 1..LANES {
            let siemens = bank(&parts.coupling_elements[pair], codes.coupling_codes[pair].0);
            g[i][i] += siemens;
            g[j][j] += siemens;
            g[i][j] -= siemens;
            g[j][i] -= siemens;
            pair += 1;
        }
    }
    (c, g)
}

#[test]
fn a_held_current_charges_the_cells_as_the_equation_says() {
    let profile = Profile::named("rc-8").unwrap();
    let mut analog = Analog::new(profile.clone(), 3, 0, Dispatch::detect());
    let codes = chain();
    analog.set_banks(&codes);
    let (c, g) = matrices(&analog, &codes);
    let mut drive = [DacCode(0); LANES];
    (drive[0], drive[5]) = (DacCode(1500), DacCode(-700));
    let current = |i: usize| f64::from(drive[i].0) * analog.parts().drive_ampere[i];
    let currents: [f64; LANES] = std::array::from_fn(current);

    // Classical Runge–Kutta, 64 steps a period: (h ‖C⁻¹G‖ / 64)⁵ / 120 per step, below 1e-14.
    let slope = |v: &[f64; LANES]| -> [f64; LANES] {
        std::array::from_fn(|i| {
            let leak: f64 = (0..LANES).map(|j| g[i][j] * v[j]).sum();
            (currents[i] - leak) / c[i]
        })
    };
    let h = profile.sample_period_s() / 64.0;
    let shifted = |v: &[f64; LANES], k: &[f64; LANES], by: f64| -> [f64; LANES] {
        std::array::from_fn(|i| v[i] + by * k[i])
    };
    let mut v = [0.0; LANES];
    for tick in 1..=300 {
        for _ in 0..64 {
            let k1 = slope(&v);
            let k2 = slope(&shifted(&v, &k1, h / 2.0));
            let k3 = slope(&shifted(&v, &k2, h / 2.0));
            let k4 = slope(&shifted(&v, &k3, h));
            for i in 0..LANES {
                v[i] += h / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]);
            }
        }
        let mut adc = [AdcRow::default()];
        analog.convert(&[drive], Kept::ALL, &mut adc);
        let (volts, amperes) = analog.cells();
        assert_eq!(amperes, [0.0; LANES], "there are no inductors");
        for i in 0..LANES {
            assert!(
                (volts[i] - v[i]).abs() < 1e-10,
                "tick {tick}, cell {i}: {} {}",
                volts[i],
                v[i]
            );
            let code = v[i] * analog.parts().adc_gain[i] + analog.parts().adc_offset[i];
            let code = code.clamp(-127.0, 127.0);
            assert!((f64::from(adc[0][i].0) - code).abs() < 0.5 + 1e-6, "tick {tick}, cell {i}");
        }
    }
    // Some hundred periods are many of its time constants: G v = u.
    for _ in 0..200 {
        analog.convert(&[drive; 100], Kept { first: 100, every: 1 }, &mut []);
    }
    let (volts, _) = analog.cells();
    for i in 0..LANES {
        let sum: f64 = (0..LANES).map(|j| g[i][j] * volts[j]).sum();
        assert!((sum - currents[i]).abs() < 1e-9 * currents[0], "cell {i}");
    }
}

#[test]
fn a_switched_capacitor_keeps_its_voltage() {
    let mut analog = Analog::new(Profile::named("rc-8").unwrap(), 3, 0, Dispatch::detect());
    analog.set_banks(&chain());
    let volts = [0.1, -0.2, 0.3, -0.4, 0.5, -0.6, 0.7, -0.8];
    analog.set_cells(&volts, &[0.0; LANES]);
    analog.set_banks(&BankCodes::OPEN);
    for (before, after) in volts.iter().zip(analog.cells().0) {
        assert!((before - after).abs() < 1e-14);
    }
    analog.discharge();
    assert_eq!(analog.cells().0, [0.0; LANES]);
}

#[test]
fn boards_of_fewer_cells_have_the_same_parts() {
    for cells in 1..8 {
        let profile = Profile::named(&format!("rc-{cells}")).unwrap();
        assert_eq!((profile.name.as_str(), profile.cell_count()), (&*format!("rc-{cells}"), cells));
    }
    let other = Profile::named("rc-9").unwrap_err().to_string();
    assert!(other.contains("rc-9") && other.contains("rc-8"), "{other}");
    assert!(Profile::named("rc-0").is_err());
}

#[test]
fn tolerances_are_switched_off_one_by_one() {
    let whole = Profile::named("rc-8").unwrap();
    let exact = whole.clone().without(&BTreeSet::from([NonIdeality::BankTolerance]));
    let analog = Analog::new(exact.clone(), 5, 0, Dispatch::detect());
    let storage = exact.banks.storage.as_ref().unwrap().lsb.value;
    assert!((analog.parts().storage_elements[4][3] - 8.0 * storage).abs() < 1e-18);
    let drawn = Analog::new(whole, 5, 0, Dispatch::detect());
    assert_ne!(drawn.parts().storage_elements, analog.parts().storage_elements);
    assert_eq!(drawn.parts().r_ohm, analog.parts().r_ohm);
}
