//! Calibrations of simulated boards against the values that their parts have.

use spu_sim::Profile;
use spu_sim::analog::Parts;

use super::calibrated;
use crate::calibrate::global::{Layout, Nominal};
use crate::calibration::Calibration;

/// Deviations of the true parts, in the gauges of a calibration.
fn truth(profile: &str, seed: u64, nominal: &Nominal) -> Vec<f64> {
    let parts = Parts::draw(&Profile::named(profile).unwrap(), seed, 0);
    let (layout, model) = (nominal.layout, &nominal.model);
    let n = layout.n;
    let mut x = vec![0.0; layout.count()];
    let volt = n as f64 * model.cells[0].adc_gain / parts.adc_gain[..n].iter().sum::<f64>();
    let (mut sum, mut wanted) = (0.0, 0.0);
    let banks = |visit: &mut dyn FnMut(usize, f64, f64)| {
        for (cell, bank) in model.selves.iter().enumerate() {
            for (bit, farad) in bank.iter().enumerate() {
                visit(layout.element(cell, bit), parts.self_elements[cell][bit], *farad);
            }
        }
        for (pair, bank) in model.couplings.iter().enumerate() {
            for (bit, farad) in bank.iter().enumerate() {
                visit(layout.coupling(pair, bit), parts.coupling_elements[pair][bit], *farad);
            }
        }
    };
    banks(&mut |_, farad, nominal| {
        sum += farad;
        wanted += nominal;
    });
    let farads = wanted / sum;
    banks(&mut |at, farad, nominal| x[at] = farad * farads / nominal - 1.0);
    for i in 0..n {
        let cell = &model.cells[i];
        x[layout.stray(i)] = (parts.stray_farad[i] * farads - cell.stray_farad) / nominal.lsb;
        x[layout.conductance(i)] = cell.r_ohm / parts.r_ohm[i] * farads - 1.0;
        x[layout.inverse_l(i)] = cell.l_henry / parts.l_henry[i] * farads - 1.0;
        x[layout.drive(i)] = parts.drive_ampere[i] / cell.drive_ampere * farads / volt - 1.0;
        x[layout.gain(i)] = parts.adc_gain[i] * volt / cell.adc_gain - 1.0;
        x[layout.offset(i)] = parts.adc_offset[i];
    }
    x
}

/// Deviations that a calibration found.
fn found(calibration: &Calibration, nominal: &Nominal) -> Vec<f64> {
    let (layout, model, base) = (nominal.layout, calibration.model(), &nominal.model);
    let mut x = vec![0.0; layout.count()];
    for i in 0..layout.n {
        let (cell, base_cell) = (&model.cells[i], &base.cells[i]);
        for bit in 0..layout.self_bits {
            x[layout.element(i, bit)] = model.selves[i][bit] / base.selves[i][bit] - 1.0;
        }
        x[layout.stray(i)] = (cell.stray_farad - base_cell.stray_farad) / nominal.lsb;
        x[layout.conductance(i)] = base_cell.r_ohm / cell.r_ohm - 1.0;
        x[layout.inverse_l(i)] = base_cell.l_henry / cell.l_henry - 1.0;
        x[layout.drive(i)] = cell.drive_ampere / base_cell.drive_ampere - 1.0;
        x[layout.gain(i)] = cell.adc_gain / base_cell.adc_gain - 1.0;
        x[layout.offset(i)] = cell.adc_offset;
    }
    for (pair, bank) in model.couplings.iter().enumerate() {
        for (bit, farad) in bank.iter().enumerate() {
            x[layout.coupling(pair, bit)] = farad / base.couplings[pair][bit] - 1.0;
        }
    }
    x
}

fn classes(layout: Layout) -> [(&'static str, std::ops::Range<usize>); 8] {
    let (elements, n) = (layout.elements(), layout.n);
    let cells = |class: usize| elements + class * n..elements + (class + 1) * n;
    [
        ("self elements", 0..layout.coupling(0, 0)),
        ("coupling elements", layout.coupling(0, 0)..elements),
        ("stray (LSB)", cells(0)),
        ("1/R", cells(1)),
        ("1/L", cells(2)),
        ("drive", cells(3)),
        ("ADC gain", cells(4)),
        ("ADC offset (codes)", cells(5)),
    ]
}

/// Calibrates a board and returns the z-scores of all its values.
fn scores(profile: &str, seed: u64) -> Vec<f64> {
    let uri = format!("sim:profile={profile},seed={seed}");
    let info = crate::open(&uri).unwrap().info().clone();
    let nominal = Nominal::of(&info);
    let start = std::time::Instant::now();
    let calibration = calibrated(&uri).unwrap_or_else(|error| panic!("{uri}: {error}"));
    let took = start.elapsed();
    let (truth, found) = (truth(profile, seed, &nominal), found(&calibration, &nominal));
    let covariance = calibration.covariance();
    let record = calibration.record();
    println!(
        "{uri}: {took:.2?}, {} ticks, sample variance × 12 {:.3}, χ² / ν {:.3}, p {:.2}",
        record.ticks,
        12.0 * record.fit.sample_variance,
        record.fit.chi_squared / record.fit.degrees_of_freedom as f64,
        record.fit.p_value,
    );
    let sigma = |at: usize| covariance[[at, at]].sqrt();
    let z = |at: usize| (found[at] - truth[at]) / sigma(at);
    for (name, range) in classes(nominal.layout) {
        let rms = |value: &dyn Fn(usize) -> f64| {
            let squares: f64 = range.clone().map(|at| value(at).powi(2)).sum();
            (squares / range.len() as f64).sqrt()
        };
        let worst = range.clone().map(|at| z(at).abs()).fold(0.0, f64::max);
        println!(
            "  {name}: error {:.1e}, σ {:.1e}, z rms {:.2}, largest {worst:.2}",
            rms(&|at| found[at] - truth[at]),
            rms(&sigma),
            rms(&z),
        );
    }
    for (at, noise) in record.cells.iter().map(|cell| cell.noise).enumerate() {
        let z = (noise.value - 1.0) / noise.sigma;
        assert!(z.abs() < 5.5, "{uri}: noise of cell {at} off by {z} σ");
    }
    (0..nominal.layout.count()).map(z).collect()
}

/// Values of `boards` boards from this seed on: z-scores below 5.5, their rms near 1.
fn check(profile: &str, first: u64, boards: u64) {
    let all: Vec<f64> = (first..first + boards).flat_map(|seed| scores(profile, seed)).collect();
    let count = all.len() as f64;
    let rms = (all.iter().map(|z| z * z).sum::<f64>() / count).sqrt();
    let worst = all.iter().fold(0.0_f64, |worst, z| worst.max(z.abs()));
    println!("{profile}: {boards} boards, {count} values, z rms {rms:.3}, largest {worst:.2}");
    // 5.5 σ is exceeded by chance with probability 4e-8: 1e-5 for the 336 values of a board.
    assert!(worst < 5.5, "{profile}: {worst}");
    // The rms of 192 or more scores that are not independent; ±0.15 is five σ of 560 independent ones.
    assert!((rms - 1.0).abs() < 0.15, "{profile}: {rms}");
}

#[test]
fn values_agree_with_the_parts() {
    check("rev-b", 1, 3);
    check("rev-a", 1, 3);
    check("ideal", 1, 1);
}

#[test]
#[ignore = "minutes; `cargo test --release -p spu-driver --lib many_boards -- --ignored --nocapture`"]
fn many_boards_are_calibrated_and_none_is_refused() {
    check("rev-a", 1000, 100);
    check("rev-b", 1000, 60);
}
