use super::*;
use crate::invert::Quiet;
use crate::open;
use crate::plan::Budget;
use crate::stats::student_quantile;
use crate::testing::{calibrated, median};

const Q: [f64; 6] = [1.0, 0.2, 0.6, 0.05, 0.9, 0.4];

fn matrix() -> SpdMatrix {
    let a = Array2::from_shape_fn((6, 6), |(i, j)| match i.abs_diff(j) {
        0 => 2.0 + 0.5 * i as f64,
        1 => -0.8,
        2 => -0.2,
        _ => 0.0,
    });
    SpdMatrix::new(&a, 0.0).unwrap()
}

fn options(samples: u64, seed: u64) -> InvertOptions {
    let budget = Budget { samples: Some(samples), ..Budget::default() };
    InvertOptions { budget, seed, ..InvertOptions::default() }
}

/// The residual of the board's own equation, relative.
fn residual(a: &ArrayRef2<f64>, x: &Array2<f64>, gamma: f64, q: &[f64]) -> f64 {
    let commutator = |x: &Array2<f64>| product(a, x) - product(x, a);
    let right = Array2::from_diag(&ndarray::ArrayView1::from(q));
    let left = product(a, x) + product(x, a) + commutator(&commutator(x)) * gamma;
    relative_error(&left, &right)
}

/// The law of the state, with F and Q written out and slow modes (so that the staircase is white noise),
/// solves the equation that the documentation says.
#[test]
fn the_law_of_the_state_solves_the_equation_of_its_voltages() {
    let info = open("sim:profile=ideal").unwrap().info().clone();
    let mut model = BoardModel::nominal(&info).first(6);
    model.period_s *= 1e-3;
    let a = matrix();
    let farads = 400e-12;
    let sigma: Vec<f64> = Q.iter().map(|q| q.sqrt()).collect();
    let state = model.law(&(a.entries() * farads)).covariance(&sigma);
    let cell = model.cells[0];
    let x = state.slice(s![..6, ..6]).to_owned() * (farads / (cell.r_ohm * model.period_s));
    let gamma = farads * cell.r_ohm.powi(2) / (2.0 * cell.l_henry);
    let whole = residual(a.entries(), &x, gamma, &Q);
    assert!(whole < 1e-5, "{whole}");
    let without = residual(a.entries(), &x, 0.0, &Q);
    assert!(without > 0.02, "the inductors count: {without}");
    assert!(residual(a.entries(), &digital(a.entries(), &Q), 0.0, &Q) < 1e-13);
}

/// Every entry against the digital law; false-alarm rate 1e-6 over all of them (Bonferroni).
#[test]
fn the_ideal_board_solves_both_equations() {
    let a = matrix();
    for seed in [5, 6] {
        let mut device = open("sim:profile=ideal").unwrap();
        let found = lyapunov(device.as_mut(), &a, &Q, &options(300_000, seed), &Quiet).unwrap();
        let limit = student_quantile(63, 1.0 - 1e-6 / 21.0);
        let standard = &found.half_widths / student_quantile(63, 0.95);
        let z = (&found.solution - &found.digital) / standard;
        let worst = z.iter().fold(0.0, |most: f64, z| z.abs().max(most));
        println!(
            "z of covariance {:.2}, of solution {worst:.2}; statistical {:.2e}, correction {:.3}, \
             gamma {:.3}, residual {:.2e}",
            found.largest_z,
            found.statistical_error,
            found.correction,
            found.gamma,
            residual(a.entries(), &found.board_solution, found.gamma, &Q)
        );
        assert!(found.largest_z < limit, "{}", found.largest_z);
        assert!(worst < limit, "{worst}");
        assert!(found.statistical_error < 0.02);
        assert!(residual(a.entries(), &found.board_solution, found.gamma, &Q) < 0.05);
        // The drives are unequal indeed: equal ones would give another answer.
        let equal = digital(a.entries(), &[Q.iter().sum::<f64>() / 6.0; 6]);
        assert!(relative_error(&found.solution, &equal) > 0.3);
        for (applied, asked) in found.applied.iter().zip(&Q) {
            assert!((applied - asked).abs() < 0.01, "{:?}", found.applied);
        }
    }
}

#[test]
fn what_is_not_an_equation_is_refused() {
    let mut device = open("sim:profile=ideal").unwrap();
    let a = matrix();
    let mut reasons = |q: &[f64]| {
        lyapunov(device.as_mut(), &a, q, &options(1000, 1), &Quiet).unwrap_err().to_string()
    };
    assert!(reasons(&[1.0; 5]).contains("5 entries for 6 rows"));
    assert!(reasons(&[1.0, 1.0, -0.5, 1.0, 1.0, 1.0]).contains("q[2] is -0.5"));
    assert!(reasons(&[0.0; 6]).contains("q is zero"));
}

/// Six boards, each calibrated and not. Calibrated, every entry is off the digital solution by no more than
/// statistics, calibration and known quantisation say (false-alarm rate 1e-6 over all entries of all boards,
/// Bonferroni), and the covariance is that of the measured law. The error is a fraction of that of a board
/// taken for nominal. Fixed seeds.
#[test]
fn calibration_takes_off_what_the_board_adds() {
    let a = matrix();
    let (mut known_errors, mut plain_errors) = (Vec::new(), Vec::new());
    let mut misses = Vec::new();
    for (profile, seed) in
        (1..=3).flat_map(|seed| ["rev-a", "rev-b"].map(|profile| (profile, seed)))
    {
        let uri = format!("sim:profile={profile},seed={seed}");
        let run = |options: &InvertOptions| {
            lyapunov(open(&uri).unwrap().as_mut(), &a, &Q, options, &Quiet).unwrap()
        };
        let plain = run(&options(150_000, seed));
        let found = run(&InvertOptions { measured: calibrated(&uri), ..options(150_000, seed) });
        let limit = student_quantile(63, 1.0 - 1e-6 / (21.0 * 6.0));
        let calibration = found.systematic.calibration.as_ref().unwrap();
        let off = &found.solution - &found.digital;
        let statistical = &found.half_widths / student_quantile(63, 0.95);
        let clean = &off - &found.systematic.quantisation;
        let mut missed = 0;
        for (at, clean) in clean.indexed_iter() {
            let sigma = statistical[at].hypot(calibration[at]);
            assert!(clean.abs() < limit * sigma, "{uri} {at:?}: {clean} ± {sigma}");
            missed += i32::from(at.0 <= at.1 && off[at].abs() > found.intervals[at]);
        }
        misses.push(missed);
        assert!(found.largest_z < limit, "{uri}: {}", found.largest_z);
        let size = frobenius(&found.digital);
        assert!(frobenius(calibration) < 0.5 * found.statistical_error * size);
        known_errors.push(frobenius(&clean) / size);
        let clean = &plain.solution - &plain.digital - &plain.systematic.quantisation;
        plain_errors.push(frobenius(&clean) / size);
        assert!(plain.systematic.calibration.is_none());
    }
    let (known, plain) = (median(known_errors), median(plain_errors));
    println!(
        "median error: calibrated {known:.4}, uncalibrated {plain:.4}; misses {misses:?} of 21"
    );
    // That 11 or more of 21 miss has a probability of at most 21 · 5 % / 11 on each board, however entries
    // hang together (Markov); on all six of them, 8e-7.
    assert!(misses.iter().any(|count| *count < 11), "{misses:?}");
    assert!(known < 0.3 * plain, "{known} {plain}");
}

/// Cells of unlike R and L: the currents behind a covariance are found again, for drives that differ and
/// hang together.
#[test]
fn currents_of_unlike_cells_are_found() {
    let info = open("sim:profile=rev-b").unwrap().info().clone();
    let mut model = BoardModel::nominal(&info);
    for (i, cell) in model.cells.iter_mut().enumerate() {
        cell.r_ohm *= 1.0 + 0.04 * (i as f64 - 3.0);
        cell.l_henry *= 1.0 - 0.03 * ((i * i) as f64 % 5.0 - 2.0);
    }
    let plan = InversionPlan::unscaled(&matrix(), &info, &model, &Budget::default()).unwrap();
    let law = BoardLaw::new(&plan, &info, &model, GainCode(4096), &Q);
    let currents = Array2::from_shape_fn((6, 6), |(i, j)| {
        if i == j { 1.0 + 0.2 * i as f64 } else { 0.3 / (1.0 + (i + j) as f64) }
    });
    let found = law.currents(&law.volts(&currents)).unwrap();
    assert!(relative_error(&found, &currents) < 1e-9, "{}", relative_error(&found, &currents));
    let first = law.currents_of_equal_cells(&law.volts(&currents));
    assert!(relative_error(&first, &currents) > 0.01);
}
