//! The analog board against closed forms and against the law of its stationary samples. The
//! references are computed here from the parts' values, not by the simulator's own algebra.

#![allow(clippy::needless_range_loop, reason = "matrix formulae")]

use spu_protocol::code::{AdcCode, DacCode};
use spu_protocol::regs::mode;
use spu_sim::analog::BankCodes;
use spu_sim::converters::{Converters, Kept};
use spu_sim::noise::RMS;
use spu_sim::{AdcRow, Analog, DacRow, Dispatch, LANES, Profile};

mod common;

const STATES: usize = 2 * LANES;

type Square<const N: usize> = Vec<[f64; N]>;

fn zeros<const N: usize>() -> Square<N> {
    vec![[0.0; N]; N]
}

fn times<const N: usize>(a: &Square<N>, b: &Square<N>) -> Square<N> {
    let mut out = zeros();
    for i in 0..N {
        for k in 0..N {
            for j in 0..N {
                out[i][j] += a[i][k] * b[k][j];
            }
        }
    }
    out
}

fn transposed<const N: usize>(a: &Square<N>) -> Square<N> {
    let mut out = zeros();
    for i in 0..N {
        for j in 0..N {
            out[j][i] = a[i][j];
        }
    }
    out
}

/// Maxwell capacitance matrix of the board's own parts, in farads.
fn capacitance(analog: &Analog, codes: &BankCodes) -> Square<LANES> {
    let parts = analog.parts();
    let bank = |elements: &[f64], code: i16| -> f64 {
        (0..15).filter(|bit| code.unsigned_abs() >> bit & 1 == 1).map(|bit| elements[bit]).sum()
    };
    let mut c = zeros();
    let mut pair = 0;
    for i in 0..LANES {
        c[i][i] += parts.stray_farad[i] + bank(&parts.self_elements[i], codes.self_codes[i].0);
        for j in i + 1..LANES {
            let code = codes.coupling_codes[pair].0;
            let farad = bank(&parts.coupling_elements[pair], code);
            c[i][i] += farad;
            c[j][j] += farad;
            let off = if code < 0 { farad } else { -farad };
            (c[i][j], c[j][i]) = (off, off);
            pair += 1;
        }
    }
    c
}

/// Inverse by Gauss and Jordan; C is diagonally dominant, so no pivoting is needed.
fn inverse(a: &Square<LANES>) -> Square<LANES> {
    let (mut a, mut x) = (a.clone(), zeros());
    for i in 0..LANES {
        x[i][i] = 1.0;
    }
    for k in 0..LANES {
        let pivot = a[k][k];
        for j in 0..LANES {
            a[k][j] /= pivot;
            x[k][j] /= pivot;
        }
        for i in 0..LANES {
            if i != k {
                let factor = a[i][k];
                for j in 0..LANES {
                    a[i][j] -= factor * a[k][j];
                    x[i][j] -= factor * x[k][j];
                }
            }
        }
    }
    x
}

/// Φ and Γ (per DAC code) of one period in (v, R₀ i), R₀ = 1 kΩ: the exponential of the drift,
/// augmented by the held inputs, as a Taylor series of order 8 over 2⁻⁸ of a period, squared.
fn step(analog: &Analog, codes: &BankCodes, period: f64) -> (Square<STATES>, Square<STATES>) {
    const R0: f64 = 1e3;
    const ALL: usize = STATES + LANES;
    const SQUARINGS: u32 = 8;
    let parts = analog.parts();
    let c_inverse = inverse(&capacitance(analog, codes));
    let mut a: Square<ALL> = zeros();
    let h = period / f64::from(1 << SQUARINGS);
    for i in 0..LANES {
        for j in 0..LANES {
            a[i][j] = -c_inverse[i][j] / parts.r_ohm[j] * h;
            a[i][LANES + j] = -c_inverse[i][j] / R0 * h;
            a[i][STATES + j] = c_inverse[i][j] * parts.drive_ampere[j] * h;
        }
        a[LANES + i][i] = R0 / parts.l_henry[i] * h;
    }
    let mut power: Square<ALL> = zeros();
    for i in 0..ALL {
        power[i][i] = 1.0;
    }
    let mut sum = power.clone();
    for order in 1..=8 {
        power = times(&power, &a);
        for i in 0..ALL {
            for j in 0..ALL {
                power[i][j] /= f64::from(order);
                sum[i][j] += power[i][j];
            }
        }
    }
    for _ in 0..SQUARINGS {
        sum = times(&sum, &sum);
    }
    let (mut phi, mut gamma) = (zeros(), zeros());
    for i in 0..STATES {
        phi[i].copy_from_slice(&sum[i][..STATES]);
        gamma[i][..LANES].copy_from_slice(&sum[i][STATES..]);
    }
    (phi, gamma)
}

/// Solution of Σ = Φ Σ Φᵀ + Q by doubling.
fn lyapunov(phi: &Square<STATES>, q: &Square<STATES>) -> Square<STATES> {
    let (mut power, mut sum) = (phi.clone(), q.clone());
    for _ in 0..30 {
        let more = times(&times(&power, &sum), &transposed(&power));
        for i in 0..STATES {
            for j in 0..STATES {
                sum[i][j] += more[i][j];
            }
        }
        power = times(&power, &power);
    }
    sum
}

#[test]
fn step_response_of_one_cell() {
    let profile = Profile::named("ideal").unwrap();
    let lsb = (profile.banks.self_lsb.value, profile.dac_lsb_ampere(), profile.adc_lsb_volt());
    let (r, l) = (profile.cell.r.value, profile.cell.l.as_ref().unwrap().value);
    let mut analog = Analog::new(profile.clone(), 1, 0, Dispatch::detect());
    let mut codes = BankCodes::OPEN;
    for (cell, code) in codes.self_codes.iter_mut().enumerate() {
        code.0 = 2_000 + 4_000 * cell as i16;
    }
    analog.set_banks(&codes);
    let drive = [DacCode(1_000); LANES];
    let mut adc = [AdcRow::default()];
    for tick in 1..=400 {
        analog.convert(&[drive], Kept::ALL, &mut adc);
        let (volts, _) = analog.cells();
        let time = f64::from(tick) * profile.sample_period_s();
        for cell in 0..LANES {
            // v = u / (C ω) e^(−α t) sin ω t, α = 1 / 2RC, ω² = 1 / LC − α²; where ω² < 0 the
            // sine is hyperbolic.
            let c = f64::from(codes.self_codes[cell].0) * lsb.0;
            let alpha = 1.0 / (2.0 * r * c);
            let square = 1.0 / (l * c) - alpha * alpha;
            let omega = square.abs().sqrt();
            let sine = if square > 0.0 { (omega * time).sin() } else { (omega * time).sinh() };
            let u = 1_000.0 * lsb.1;
            let expected = u / (c * omega) * (-alpha * time).exp() * sine;
            assert!((volts[cell] - expected).abs() < 1e-12, "tick {tick}, cell {cell}");
            let code = (expected / lsb.2).round_ties_even();
            let off = (f64::from(adc[0][cell].0) - code).abs();
            let between = (expected / lsb.2).fract().abs() - 0.5;
            // Where two codes are equally near, rounding of the voltage decides.
            assert!(off < 0.5 || (off < 1.5 && between.abs() < 1e-6));
        }
    }
}

#[test]
fn without_drive_energy_only_falls() {
    let profile = Profile::named("rev-b").unwrap();
    let codes = common::sample_codes(&profile);
    let mut analog = Analog::new(profile, 4, 1, Dispatch::detect());
    analog.set_banks(&codes);
    let c = capacitance(&analog, &codes);
    analog.set_cells(
        &[0.4, -0.3, 0.2, 0.1, -0.5, 0.0, 0.3, -0.1],
        &[1e-4, 0.0, -2e-4, 3e-4, 0.0, 1e-4, -1e-4, 2e-4],
    );
    let energy = |analog: &Analog| {
        let (v, i) = analog.cells();
        let mut sum = 0.0;
        for a in 0..LANES {
            sum += 0.5 * analog.parts().l_henry[a] * i[a] * i[a];
            for b in 0..LANES {
                sum += 0.5 * c[a][b] * v[a] * v[b];
            }
        }
        sum
    };
    let first = energy(&analog);
    let mut last = first;
    for _ in 0..2_400 {
        analog.convert(&[DacRow::default()], Kept::ALL, &mut [AdcRow::default()]);
        let now = energy(&analog);
        assert!(now < last && now > 0.0);
        last = now;
    }
    assert!(last < 1e-9 * first);
}

#[test]
fn switching_banks_keeps_voltages_and_currents() {
    let profile = Profile::named("rev-a").unwrap();
    let mut analog = Analog::new(profile.clone(), 4, 1, Dispatch::detect());
    analog.set_banks(&common::sample_codes(&profile));
    let (volts, amperes) = (
        [0.4, -0.3, 0.2, 0.1, -0.5, 0.0, 0.3, -0.1],
        [1e-4, 0.0, -2e-4, 3e-4, 0.0, 1e-4, 0.0, 2e-4],
    );
    analog.set_cells(&volts, &amperes);
    for codes in [BankCodes::OPEN, common::sample_codes(&profile)] {
        analog.set_banks(&codes);
        let (v, i) = analog.cells();
        for cell in 0..LANES {
            assert!((v[cell] - volts[cell]).abs() < 1e-12);
            assert!((i[cell] - amperes[cell]).abs() < 1e-15);
        }
    }
    analog.discharge();
    assert_eq!(analog.cells(), ([0.0; LANES], [0.0; LANES]));
}

#[test]
fn ticks_and_blocks_of_any_size_give_the_same_codes() {
    let profile = Profile::named("rev-a").unwrap();
    let drive: Vec<DacRow> = (0..1_000)
        .map(|tick: i32| {
            std::array::from_fn(|k| DacCode(((tick * 37 * (k as i32 + 1)) % 9_001 - 4_500) as i16))
        })
        .collect();
    let run = |piece: usize, every: usize| {
        let mut analog = Analog::new(profile.clone(), 4, 1, Dispatch::detect());
        analog.set_banks(&common::sample_codes(&profile));
        let mut codes = Vec::new();
        let mut kept = Kept { first: 5, every };
        for drive in drive.chunks(piece) {
            let mut adc = vec![[AdcCode(0); LANES]; kept.count(drive.len())];
            assert_eq!(analog.convert(drive, kept, &mut adc), adc.len());
            codes.extend(adc);
            kept = kept.after(drive.len());
        }
        codes
    };
    let all = run(1_000, 1);
    for every in [1, 3, 64, 200] {
        let expected: Vec<_> = all.iter().step_by(every).copied().collect();
        for piece in [1, 2, 3, 63, 64, 65, 999, 1_000] {
            assert_eq!(run(piece, every), expected, "{piece} ticks at once, one in {every}");
        }
    }
}

/// The covariance of ADC codes against the discrete Lyapunov equation, each of the 36 elements
/// within 6 σ of its own estimate's error, which follows from the autocovariances
/// R(k) = Φᵏ Σ of the kept samples (Bartlett): false alarms 36 · 3 · 2e-9 = 2e-7.
#[test]
fn stationary_covariance_obeys_the_discrete_lyapunov_equation() {
    const DECIMATION: u32 = 24;
    const COUNT: u32 = 150_000;
    for name in common::RLC {
        let profile = Profile::named(name).unwrap();
        let codes = common::sample_codes(&profile);
        let mut board = common::fpga(name, 6, Dispatch::detect());
        common::start(&mut board, mode::MOMENTS, 2_000, DECIMATION, COUNT);
        board.advance(u64::MAX);
        let (sums, products) = common::moments(&mut board);

        let analog = board.converters();
        let (phi, gamma) = step(analog, &codes, profile.sample_period_s());
        let mut q = times(&gamma, &transposed(&gamma));
        q.iter_mut().flatten().for_each(|value| *value *= RMS * RMS);
        let sigma = lyapunov(&phi, &q);
        let gain = analog.parts().adc_gain;
        let mut skip = phi.clone();
        for _ in 1..DECIMATION {
            skip = times(&skip, &phi);
        }
        let mut lags = vec![sigma.clone()];
        for _ in 0..60 {
            lags.push(times(&skip, &lags[lags.len() - 1]));
        }

        let n = f64::from(COUNT);
        let (mut error, mut size) = (0.0, 0.0);
        let mut pair = 0;
        for i in 0..LANES {
            for j in i..LANES {
                let mean = |cell: usize| sums[cell] as f64 / n;
                let found = products[pair] as f64 / n - mean(i) * mean(j);
                // Rounding adds 1/12 of a squared code (Sheppard).
                let rounding = if i == j { 1.0 / 12.0 } else { 0.0 };
                let expected = gain[i] * gain[j] * sigma[i][j] + rounding;
                let mut variance = 0.0;
                for (k, r) in lags.iter().enumerate() {
                    let term = r[i][i] * r[j][j] + r[i][j] * r[j][i];
                    variance += if k == 0 { term } else { 2.0 * term };
                }
                let deviation = gain[i] * gain[j] * (variance / n).sqrt();
                assert!(
                    (found - expected).abs() < 6.0 * deviation,
                    "{name} ({i}, {j}): {found} instead of {expected} ± {deviation}"
                );
                error += (found - expected).powi(2);
                size += expected.powi(2);
                pair += 1;
            }
        }
        // The bounds are narrow enough to mean something.
        assert!((error / size).sqrt() < 0.02, "{name}: {}", (error / size).sqrt());
    }
}
