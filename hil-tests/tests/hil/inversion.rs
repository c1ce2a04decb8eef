//! Does the board invert matrices, and does it say what it cannot?
//!
//! # The band of the statistical error
//! An estimate that is linear in moments of Gaussian samples has a squared Frobenius error
//! `Σ λ z²`, z standard normal. Laurent and Massart (2000, lemma 1) give
//! `P(error² ≥ E (1 + 2 a √x + 2 b x)) ≤ e^−x` and `P(error² ≤ E (1 − 2 a √x)) ≤ e^−x` with
//! E = Σ λ the predicted square, a = ‖λ‖ / E and `b = λ_max / E`; the mean of K independent runs has
//! a / √K and b / K. The λ are computed from the plan: in the coordinates of the modes the
//! estimated covariances of modes k and l are uncorrelated, each with variance
//! `σ_k² σ_l² T_kl (1 + δ_kl) / N`, `T_kl = Σ_m ρ_k(m) ρ_l(m)` (Isserlis), and the inverse is
//! `P Σ̂ Pᵀ` with P = D U.

use ndarray::Array2;
use spu_driver::Error;
use spu_driver::invert::{Inversion, InvertOptions, OperationError, Quiet};
use spu_driver::linalg::{frobenius, relative_error, symmetric_eigen};
use spu_driver::matrix::{MatrixError, SpdMatrix};
use spu_driver::plan::{Budget, InversionPlan};
use spu_driver::stats::equality_p_value;
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::bench::{Bench, Case, Need, Outcome, spreads};
use crate::support::{FALSE_ALARM, effective, invert, ring, spd};

/// The suite.
pub(crate) const CASES: &[Case] = &[
    Case { name: "identity", needs: &[Need::Rlc], run: identity },
    Case { name: "one_by_one", needs: &[Need::Rlc], run: one_by_one },
    Case { name: "block_diagonal", needs: &[Need::Rlc, Need::Cells(4)], run: block_diagonal },
    Case { name: "four_of_the_cells", needs: &[Need::Rlc, Need::Cells(4)], run: four },
    Case { name: "every_cell", needs: &[Need::Rlc, Need::Cells(2)], run: every_cell },
    Case {
        name: "couplings_of_either_sign",
        needs: &[Need::Rlc, Need::Signed, Need::Cells(3)],
        run: either_sign,
    },
    Case {
        name: "positive_entries_are_refused_without_signs",
        needs: &[Need::Rlc, Need::Unsigned, Need::Cells(3)],
        run: unsigned_refuses,
    },
    Case {
        name: "semi_definite_asks_for_damping",
        needs: &[Need::Rlc, Need::Cells(4)],
        run: damping,
    },
    Case { name: "refusals_name_the_remedy", needs: &[Need::Rlc], run: refusals },
    Case { name: "two_runs_agree", needs: &[Need::Rlc, Need::Cells(2)], run: repeatable },
    Case {
        name: "same_seed_same_inverse",
        needs: &[Need::Rlc, Need::SimulatedCells, Need::Cells(2)],
        run: same_seed,
    },
    Case {
        name: "error_falls_with_the_root_of_samples",
        needs: &[Need::Rlc, Need::Exact, Need::Cells(2)],
        run: root_law,
    },
];

/// Those of them that say something about a link.
pub(crate) const SHORT: &[Case] = &[
    Case { name: "every_cell", needs: &[Need::Rlc, Need::Cells(2)], run: every_cell },
    Case {
        name: "same_seed_same_inverse",
        needs: &[Need::Rlc, Need::SimulatedCells, Need::Cells(2)],
        run: same_seed,
    },
    Case { name: "refusals_name_the_remedy", needs: &[Need::Rlc], run: refusals },
];

/// Effective samples of a single inversion.
const SAMPLES: u64 = 4000;

/// Laws of the squared error, as parts of its expectation; see the module.
#[derive(Debug, Clone, Copy, Default)]
struct Law {
    /// ‖λ‖ / E.
    root: f64,
    /// `λ_max / E`.
    largest: f64,
}

impl Law {
    fn of(plan: &InversionPlan) -> Self {
        let n = plan.n;
        let rho: Vec<_> =
            plan.modes.iter().map(|mode| mode.correlations(plan.decimation)).collect();
        let gram = Array2::from_shape_fn((n, n), |(k, l)| {
            (0..n).map(|i| plan.d[i].powi(2) * plan.vectors[[i, k]] * plan.vectors[[i, l]]).sum()
        });
        let gram = |k: usize, l: usize| -> f64 { gram[[k, l]] };
        let pairs: Vec<(usize, usize)> = (0..n).flat_map(|k| (k..n).map(move |l| (k, l))).collect();
        let deviation: Vec<f64> = pairs
            .iter()
            .map(|&(k, l)| {
                let lags: f64 = rho[k].iter().zip(&rho[l]).skip(1).map(|(x, y)| x * y).sum();
                let twice = if k == l { 2.0 } else { 1.0 };
                let both = plan.modes[k].variance(1.0) * plan.modes[l].variance(1.0);
                (both * twice * 2.0f64.mul_add(lags, 1.0)).sqrt()
            })
            .collect();
        // ‖P Δ Pᵀ‖² = tr G Δ G Δ as a form in the entries k ≤ l of Δ.
        let form = |(k, l): (usize, usize), (p, q): (usize, usize)| {
            let swap = gram(l, q) * gram(p, k);
            let keep = gram(l, p) * gram(q, k);
            match (k == l, p == q) {
                (true, true) => keep,
                (false, false) => 2.0 * (keep + swap),
                _ => 2.0 * keep,
            }
        };
        let whitened = Array2::from_shape_fn((pairs.len(), pairs.len()), |(a, b)| {
            deviation[a] * form(pairs[a], pairs[b]) * deviation[b]
        });
        let (lambda, _) = symmetric_eigen(&whitened);
        let sum: f64 = lambda.sum();
        let root = lambda.iter().map(|x| x * x).sum::<f64>().sqrt();
        Self { root: root / sum, largest: lambda[lambda.len() - 1] / sum }
    }

    /// The band of `error / predicted`, as root mean square over `runs`; each bound has this false
    /// alarm.
    fn band(self, runs: u32, false_alarm: f64) -> (f64, f64) {
        let x = -false_alarm.ln();
        let runs = f64::from(runs);
        let root = 2.0 * self.root * (x / runs).sqrt();
        let high = (2.0 * self.largest * x / runs + root + 1.0).sqrt();
        ((1.0 - root).max(0.0).sqrt(), high)
    }
}

/// Largest relative error of one run that noise explains, and what quantised banks add at most.
pub(crate) fn noise_limit(result: &Inversion, false_alarm: f64) -> f64 {
    let (_, high) = Law::of(&result.plan).band(1, false_alarm);
    result.predicted_error.mul_add(high, quantisation(result))
}

/// Largest relative error that quantising the banks can cause, to first order.
pub(crate) fn quantisation(result: &Inversion) -> f64 {
    let (values, _) = symmetric_eigen(&result.plan.capacitance);
    result.plan.quantisation * frobenius(&result.plan.capacitance) / values[0]
}

/// What a result must be on any board; on an exact one its error is within noise as well.
fn sound(bench: &Bench, result: &Inversion, a: &SpdMatrix) {
    let x = &result.inverse;
    assert_eq!(x.dim(), (a.n(), a.n()));
    assert!(x.iter().chain(&result.half_widths).all(|entry| entry.is_finite()));
    for ((i, j), entry) in x.indexed_iter() {
        assert!((entry - x[[j, i]]).abs() <= 1e-9 * frobenius(x), "not symmetric at ({i}, {j})");
    }
    assert!(symmetric_eigen(x).0[0] > 0.0, "not positive definite");
    assert!(result.half_widths.iter().all(|half| *half > 0.0));
    assert_eq!(result.kept, result.plan.samples);
    assert!(result.ticks.0 > result.kept);
    let error = relative_error(x, &a.digital_inverse());
    let exact = bench.lacks(Need::Exact).is_none();
    // Four times the sum of the stated spreads, drive and converter twice (they enter squared): an
    // order of magnitude that a wrong sign, order or scale leaves, no statement on accuracy.
    let [drive, bank, adc, r, l] = spreads(bench.info()).map(f64::from);
    let spread = 4.0 * (2.0 * (drive + adc) + bank + r + l);
    let limit = noise_limit(result, FALSE_ALARM) + if exact { 0.0 } else { spread };
    eprintln!(
        "{} {}×{}: error {error:.4}, predicted {:.4}, limit {limit:.4}",
        bench.name(),
        a.n(),
        a.n(),
        result.predicted_error
    );
    assert!(error <= limit, "error {error:.4} beyond {limit:.4}");
}

/// Entries that no board may show: cells without coupling have no covariance, whatever their
/// spread. Each is at most so many of its standard errors from zero that all of them together
/// alarm falsely once in a million.
fn uncoupled(result: &Inversion, pairs: &[(usize, usize)]) -> Outcome {
    let dof = result.replicates.len() as f64 - 1.0;
    let law = StudentsT::new(0.0, 1.0, dof)?;
    let t = law.inverse_cdf(1.0 - 0.5 * FALSE_ALARM / pairs.len() as f64);
    let variance = result.replicates.variance();
    for &(i, j) in pairs {
        let (entry, error) = (result.inverse[[i, j]], variance[[i, j]].sqrt());
        assert!(entry.abs() <= t * error, "entry ({i}, {j}) is {entry} ± {error}");
    }
    Ok(())
}

fn off_diagonal(n: usize) -> Vec<(usize, usize)> {
    (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).collect()
}

fn identity(bench: &Bench) -> Outcome {
    let n = bench.info().cells;
    let a = spd(&Array2::eye(n));
    let mut lease = bench.device()?;
    let result = invert(lease.board(), &a, &effective(SAMPLES, 21))?;
    sound(bench, &result, &a);
    if n > 1 {
        uncoupled(&result, &off_diagonal(n))?;
    }
    Ok(())
}

fn one_by_one(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    for value in [1.0, 2.5e6, 3e-7] {
        let a = spd(&Array2::from_elem((1, 1), value));
        let result = invert(lease.board(), &a, &effective(SAMPLES, 22))?;
        sound(bench, &result, &a);
    }
    Ok(())
}

fn block_diagonal(bench: &Bench) -> Outcome {
    let n = bench.info().cells;
    let split = n / 2;
    let (first, second) = (ring(split), ring(n - split) * 2.0);
    let a = Array2::from_shape_fn((n, n), |(i, j)| match (i < split, j < split) {
        (true, true) => first[[i, j]],
        (false, false) => second[[i - split, j - split]],
        _ => 0.0,
    });
    let a = spd(&a);
    let mut lease = bench.device()?;
    let result = invert(lease.board(), &a, &effective(SAMPLES, 23))?;
    sound(bench, &result, &a);
    let across: Vec<_> =
        off_diagonal(n).into_iter().filter(|(i, j)| *i < split && *j >= split).collect();
    uncoupled(&result, &across)
}

fn four(bench: &Bench) -> Outcome {
    let a = spd(&ring(4));
    let mut lease = bench.device()?;
    let result = invert(lease.board(), &a, &effective(SAMPLES, 24))?;
    sound(bench, &result, &a);
    // Cells beyond the matrix take no part.
    assert!(result.plan.program.gain_codes.iter().all(|gain| gain.0 == 0));
    let program = result.plan.program_with(result.gain);
    assert!(program.gain_codes[4..].iter().all(|gain| gain.0 == 0));
    assert!(program.gain_codes[..4].iter().all(|gain| *gain == result.gain));
    Ok(())
}

fn every_cell(bench: &Bench) -> Outcome {
    let a = spd(&ring(bench.info().cells));
    let mut lease = bench.device()?;
    let result = invert(lease.board(), &a, &effective(SAMPLES, 25))?;
    sound(bench, &result, &a);
    // Intervals are as wide as the plan says, up to their own scatter.
    let ratio = result.statistical_error / result.predicted_error;
    assert!((0.5..2.0).contains(&ratio), "measured over predicted error {ratio}");
    Ok(())
}

/// A matrix with entries of both signs that is diagonally dominant.
fn mixed(n: usize) -> Array2<f64> {
    let mut a = ring(n);
    a[[0, 1]] = -a[[0, 1]];
    a[[1, 0]] = a[[0, 1]];
    a
}

fn either_sign(bench: &Bench) -> Outcome {
    let a = spd(&mixed(bench.info().cells));
    let mut lease = bench.device()?;
    let result = invert(lease.board(), &a, &effective(SAMPLES, 26))?;
    sound(bench, &result, &a);
    assert!(result.inverse[[0, 1]] < 0.0, "the sign of entry (0, 1) is lost");
    Ok(())
}

/// Every reason of a refusal.
fn reasons<T: std::fmt::Debug>(result: Result<T, OperationError>) -> String {
    match result {
        Err(OperationError::Device(Error::Unsupported { reasons })) => reasons.join("; "),
        other => panic!("not refused with reasons but {other:?}"),
    }
}

fn run(bench: &Bench, a: &SpdMatrix, options: &InvertOptions) -> Result<Inversion, OperationError> {
    let mut lease = bench.device()?;
    spu_driver::invert::invert(lease.board(), a, options, &Quiet)
}

fn unsigned_refuses(bench: &Bench) -> Outcome {
    let a = SpdMatrix::new(&mixed(bench.info().cells), 0.0)?;
    let text = reasons(run(bench, &a, &effective(SAMPLES, 27)));
    for part in ["1 off-diagonal entries are positive", "(0, 1)", "no sign", "rev-b"] {
        assert!(text.contains(part), "no {part:?} in {text:?}");
    }
    Ok(())
}

fn damping(bench: &Bench) -> Outcome {
    let n = bench.info().cells;
    // The ring without its ground: rows sum to zero.
    let laplacian = ring(n) - Array2::<f64>::eye(n) * 4.0;
    let Err(error) = SpdMatrix::new(&laplacian, 0.0) else { panic!("semi-definite") };
    assert!(matches!(error, MatrixError::NotPositiveDefinite { .. }), "{error}");
    assert!(error.to_string().contains("add damping, for example --damping"), "{error}");
    let damped = SpdMatrix::new(&laplacian, 4.0)?;
    assert!((damped.damping() - 4.0).abs() < 1e-15);
    let result = run(bench, &damped, &effective(SAMPLES, 28))?;
    sound(bench, &result, &spd(&ring(n)));
    Ok(())
}

fn refusals(bench: &Bench) -> Outcome {
    let n = bench.info().cells;
    let large = spd(&Array2::eye(n + 1));
    let text = reasons(run(bench, &large, &effective(SAMPLES, 29)));
    let size = format!("the board has {n} cells; use a larger board or split");
    assert!(text.contains(&size), "{text:?}");

    let a = spd(&Array2::eye(n));
    let nothing = InvertOptions {
        budget: Budget { samples: Some(0), ..Budget::default() },
        ..InvertOptions::default()
    };
    let text = reasons(run(bench, &a, &nothing));
    assert!(text.contains("at least 1"), "{text:?}");

    let few = InvertOptions {
        budget: Budget { samples: Some(10), ..Budget::default() },
        ..InvertOptions::default()
    };
    let Err(OperationError::TooFewSamples { samples: 10, needed, .. }) = run(bench, &a, &few)
    else {
        panic!("10 samples are enough")
    };
    let enough = InvertOptions {
        budget: Budget { samples: Some(needed), ..Budget::default() },
        ..InvertOptions::default()
    };
    run(bench, &a, &enough)?;
    Ok(())
}

/// Other noise on the same board gives the same inverse within noise. The limit on the p-value is
/// the false-alarm rate.
fn repeatable(bench: &Bench) -> Outcome {
    let a = spd(&ring(bench.info().cells));
    let mut lease = bench.device()?;
    let x = invert(lease.board(), &a, &effective(SAMPLES, 30))?;
    let y = invert(lease.board(), &a, &effective(SAMPLES, 31))?;
    assert_ne!(x.inverse, y.inverse);
    let p = equality_p_value((&x.inverse, &x.replicates), (&y.inverse, &y.replicates));
    assert!(p >= FALSE_ALARM, "two runs of one board differ, p = {p:e}");
    // And another matrix is told apart.
    let b = spd(&(ring(bench.info().cells) * 2.0));
    let z = invert(lease.board(), &b, &effective(SAMPLES, 32))?;
    let p = equality_p_value((&x.inverse, &x.replicates), (&z.inverse, &z.replicates));
    assert!(p < FALSE_ALARM, "half the inverse is not told apart, p = {p:e}");
    Ok(())
}

fn same_seed(bench: &Bench) -> Outcome {
    let a = spd(&ring(bench.info().cells));
    let x = run(bench, &a, &effective(1000, 33))?;
    let y = run(bench, &a, &effective(1000, 33))?;
    assert_eq!(x.inverse, y.inverse);
    assert_eq!(x.half_widths, y.half_widths);
    Ok(())
}

/// The mean squared error of K runs lies in the module's band at every budget, over two decades
/// and to below 1 %; six bounds share the false-alarm rate.
fn root_law(bench: &Bench) -> Outcome {
    let a = spd(&ring(bench.info().cells));
    let reference = a.digital_inverse();
    let mut lease = bench.device()?;
    for (samples, runs) in [(1000, 64), (10_000, 24), (100_000, 4)] {
        let (mut square, mut band, mut bias) = (0.0, (0.0, 0.0), 0.0_f64);
        for seed in 0..runs {
            let result = invert(lease.board(), &a, &effective(samples, 1000 + u64::from(seed)))?;
            let error = relative_error(&result.inverse, &reference);
            square += (error / result.predicted_error).powi(2) / f64::from(runs);
            band = Law::of(&result.plan).band(runs, FALSE_ALARM / 6.0);
            bias = bias.max(quantisation(&result) / result.predicted_error);
        }
        let ratio = square.sqrt();
        let (low, high) = (band.0 - bias, band.1 + bias);
        eprintln!("N_eff {samples}: error over predicted {ratio:.3}, band {low:.3} to {high:.3}");
        assert!((low..=high).contains(&ratio), "N_eff {samples}: {ratio} not in {low}..{high}");
    }
    Ok(())
}
