//! Several copies of a board on the same matrix: do they agree, and what do they agree on?

use std::thread;

use ndarray::Array2;
use serde::Serialize;

use crate::agreement::Noise;
use crate::device::Device;
use crate::error::Error;
use crate::invert::{Inversion, InvertOptions, OperationError, Progress};
use crate::linalg::{affine_distance, frobenius, relative_error};
use crate::matrix::SpdMatrix;
use crate::route::{RouteChoice, invert_any};
use crate::spread::distance_limit;
use crate::stats::equality_p_value;

/// Probability that copies which are equal are not called so.
pub const EQUALITY_FALSE_ALARM: f64 = 1e-3;

/// What the comparison of the copies says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// No pair differs by more than its statistical error.
    EqualWithinNoise,
    /// Some pair differs, none by more than the profile's stated spread explains.
    DifferWithinSpread,
    /// These copies lie apart from the majority, by more than the stated spread explains.
    Outlier {
        /// Copies, from 0.
        copies: Vec<usize>,
    },
    /// Copies differ beyond the stated spread, and no majority tells which are wrong.
    Disagree,
}

impl Verdict {
    /// True if the copies can be used together.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::EqualWithinNoise | Self::DifferWithinSpread)
    }
}

/// Comparison of two copies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// The two copies, from 0.
    pub copies: (usize, usize),
    /// `‖X_a − X_b‖` over the mean of both norms.
    pub relative_difference: f64,
    /// Probability of such a distance between copies that are equal.
    pub p_value: f64,
    /// Affine-invariant distance.
    pub distance: f64,
    /// Largest distance that noise and the stated spread explain (one pair in a million).
    pub limit: f64,
}

/// Errors relative to the norm of the digital reference, with the statistical part taken out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BiasSplit {
    /// What all copies share: quantisation of the program, nominal values that are wrong.
    pub common: f64,
    /// What is each copy's own (root mean square over copies): tolerances, mismatch.
    pub independent: f64,
    /// Statistical error of one copy (root mean square over copies).
    pub statistical: f64,
}

/// Inverses of one matrix from several copies.
#[derive(Debug)]
pub struct EnsembleInversion {
    /// Result of each copy.
    pub copies: Vec<Result<Inversion, OperationError>>,
    /// Inverse by Cholesky factorisation on the host: digital, for comparison only.
    pub reference: Array2<f64>,
    /// Relative Frobenius error of each copy against the reference.
    pub errors: Vec<Option<f64>>,
    /// Every pair of copies that gave a result.
    pub pairs: Vec<Pair>,
    /// Mean over the copies that are no outliers, each by its [weight](Self::weights).
    pub mean: Array2<f64>,
    /// Weight of each copy in the mean, 0 for one that is left out: inverse to the square of the error
    /// that is expected of it, by samples, calibration and quantisation.
    pub weights: Vec<f64>,
    /// Relative Frobenius error of the mean against the reference.
    pub mean_error: f64,
    /// Where the errors come from; needs two copies.
    pub bias: Option<BiasSplit>,
    /// Whether the copies agree; needs two copies, none cancelled before it had a result.
    pub verdict: Option<Verdict>,
}

/// Inverts `a` on every device at once, a thread each, by the best route, and compares the results.
///
/// A copy without signal is an outlier, not an error: the others still count. A copy that was
/// cancelled before it had a result leaves no verdict, but the others' results are kept.
///
/// # Errors
/// What keeps a copy from running at all (link, program); of several the first. Cancellation
/// before any copy had a result.
pub fn invert_copies(
    devices: &mut [Box<dyn Device>],
    a: &SpdMatrix,
    options: &InvertOptions,
    progress: &dyn Progress,
) -> Result<EnsembleInversion, OperationError> {
    invert_copies_by(devices, a, options, RouteChoice::Auto, progress)
}

/// As [`invert_copies`], by a choice of routes.
///
/// # Errors
/// As [`invert_copies`].
pub fn invert_copies_by(
    devices: &mut [Box<dyn Device>],
    a: &SpdMatrix,
    options: &InvertOptions,
    choice: RouteChoice,
    progress: &dyn Progress,
) -> Result<EnsembleInversion, OperationError> {
    let mut results: Vec<Result<Inversion, OperationError>> = thread::scope(|scope| {
        let running: Vec<_> = devices
            .iter_mut()
            .enumerate()
            .map(|(copy, device)| {
                let options = InvertOptions { copy: options.copy + copy as u32, ..options.clone() };
                scope.spawn(move || invert_any(device.as_mut(), a, &options, choice, progress))
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let fatal = |r: &Result<_, OperationError>| matches!(r, Err(error) if !matches!(error, OperationError::NoSignal { .. }));
    if let Some(index) = results.iter().position(fatal) {
        results.swap_remove(index)?;
    }
    compare(results, a)
}

/// Compares results of one matrix.
pub(crate) fn compare(
    copies: Vec<Result<Inversion, OperationError>>,
    a: &SpdMatrix,
) -> Result<EnsembleInversion, OperationError> {
    let reference = a.digital_inverse();
    let valid: Vec<(usize, &Inversion)> = copies
        .iter()
        .enumerate()
        .filter_map(|(index, result)| Some((index, result.as_ref().ok()?)))
        .collect();
    let Some((_, first)) = valid.first() else {
        return Err(copies
            .into_iter()
            .find_map(Result::err)
            .unwrap_or_else(|| Error::Unsupported { reasons: vec!["no copies".into()] }.into()));
    };
    // Calibrated copies have no spread: each is read by its own values. Of one that has drifted since,
    // nothing is known of what these leave open.
    let calibrated = valid.iter().all(|(_, inversion)| inversion.systematic.calibration.is_some());
    let spread = if valid.len() > 1 && !calibrated {
        distance_limit(&first.plan, &first.board)
    } else {
        0.0
    };
    let pairs = pairs(&valid, spread);
    let silent: Vec<usize> = (0..copies.len()).filter(|index| copies[*index].is_err()).collect();
    let cut_short =
        |index: &usize| matches!(copies[*index], Err(OperationError::Device(Error::Cancelled)));
    let judged = copies.len() > 1 && !silent.iter().any(cut_short);
    let verdict = judged.then(|| judge(copies.len(), &pairs, &silent));
    let excluded: &[usize] = match &verdict {
        Some(Verdict::Outlier { copies }) => copies,
        _ => &[],
    };
    let used: Vec<&Inversion> = valid
        .iter()
        .filter(|(index, _)| !excluded.contains(index))
        .map(|(_, inversion)| *inversion)
        .collect();
    let mut weights = vec![0.0; copies.len()];
    for (index, inversion) in valid.iter().filter(|(index, _)| !excluded.contains(index)) {
        weights[*index] = 1.0 / expected_square(inversion);
    }
    let total: f64 = weights.iter().sum();
    let mut mean = Array2::zeros(reference.dim());
    for (index, inversion) in &valid {
        weights[*index] /= total;
        mean += &(&inversion.inverse * weights[*index]);
    }
    let errors = copies
        .iter()
        .map(|r| Some(relative_error(&r.as_ref().ok()?.inverse, &reference)))
        .collect();
    Ok(EnsembleInversion {
        errors,
        pairs,
        mean_error: relative_error(&mean, &reference),
        bias: (used.len() > 1).then(|| split(&used, &mean, &reference)),
        verdict,
        mean,
        weights,
        reference,
        copies,
    })
}

/// Squared Frobenius error that is expected of a result, as far as it is known.
fn expected_square(inversion: &Inversion) -> f64 {
    let calibration =
        inversion.systematic.calibration.as_ref().map_or(0.0, |sd| frobenius(sd).powi(2));
    let quantisation = frobenius(&inversion.systematic.quantisation).powi(2);
    inversion.replicates.squared_error() + calibration + quantisation
}

/// What is compared with other copies: calibrated, without the quantisation that is this copy's own.
fn comparable(inversion: &Inversion) -> Array2<f64> {
    match inversion.calibration {
        Some(_) => &inversion.inverse - &inversion.systematic.quantisation,
        None => inversion.inverse.clone(),
    }
}

/// Affine distance that the uncertainty of a calibration leaves, one standard deviation: entries over
/// the roots of their diagonals.
fn calibration_distance(inversion: &Inversion) -> f64 {
    let x = &inversion.inverse;
    inversion.systematic.calibration.as_ref().map_or(0.0, |sd| {
        let whitened =
            sd.indexed_iter().map(|((i, j), sd)| sd * sd / (x[[i, i]] * x[[j, j]]).abs());
        whitened.sum::<f64>().sqrt()
    })
}

fn pairs(valid: &[(usize, &Inversion)], spread: f64) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (at, (a, x)) in valid.iter().enumerate() {
        for (b, y) in &valid[at + 1..] {
            let kept = (x.kept as f64, y.kept as f64);
            let noise = Noise::of(&x.plan).limit(kept).max(Noise::of(&y.plan).limit(kept));
            let known = 5.0 * calibration_distance(x).hypot(calibration_distance(y));
            let (u, v) = (comparable(x), comparable(y));
            let norms = 0.5 * (frobenius(&u) + frobenius(&v));
            pairs.push(Pair {
                copies: (*a, *b),
                relative_difference: frobenius(&(&u - &v)) / norms,
                p_value: equality_p_value((&u, &x.replicates), (&v, &y.replicates)),
                distance: affine_distance(&u, &v),
                limit: spread.hypot(noise).hypot(known),
            });
        }
    }
    pairs
}

/// The verdict on `count` copies; `silent` ones gave no result.
fn judge(count: usize, pairs: &[Pair], silent: &[usize]) -> Verdict {
    let compatible = |a: usize, b: usize| {
        pairs.iter().any(|pair| {
            (pair.copies == (a, b) || pair.copies == (b, a)) && pair.distance <= pair.limit
        })
    };
    // The largest group that is compatible throughout; of equal ones none is a majority.
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for mask in 1_u32..1 << count.min(16) {
        let group: Vec<usize> =
            (0..count).filter(|i| mask >> i & 1 == 1 && !silent.contains(i)).collect();
        let joint = group
            .iter()
            .enumerate()
            .all(|(at, a)| group[at + 1..].iter().all(|b| compatible(*a, *b)));
        if joint && group.len() == mask.count_ones() as usize {
            groups.push(group);
        }
    }
    let largest = groups.iter().map(Vec::len).max().unwrap_or(0);
    if largest == count {
        let significance = EQUALITY_FALSE_ALARM / pairs.len() as f64;
        return if pairs.iter().all(|pair| pair.p_value >= significance) {
            Verdict::EqualWithinNoise
        } else {
            Verdict::DifferWithinSpread
        };
    }
    let mut leaders = groups.iter().filter(|group| group.len() == largest);
    match (leaders.next(), leaders.next()) {
        (Some(group), None) if 2 * largest > count || largest + silent.len() == count => {
            Verdict::Outlier { copies: (0..count).filter(|i| !group.contains(i)).collect() }
        }
        _ => Verdict::Disagree,
    }
}

fn split(used: &[&Inversion], mean: &Array2<f64>, reference: &Array2<f64>) -> BiasSplit {
    let count = used.len() as f64;
    let size = frobenius(reference).powi(2);
    let statistical = used.iter().map(|x| x.replicates.squared_error()).sum::<f64>() / count;
    let scatter =
        used.iter().map(|x| frobenius(&(&x.inverse - mean)).powi(2)).sum::<f64>() / (count - 1.0);
    let independent = (scatter - statistical).max(0.0);
    let whole = frobenius(&(mean - reference)).powi(2);
    let common = (whole - (independent + statistical) / count).max(0.0);
    BiasSplit {
        common: (common / size).sqrt(),
        independent: (independent / size).sqrt(),
        statistical: (statistical / size).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(a: usize, b: usize, distance: f64, p_value: f64) -> Pair {
        Pair { copies: (a, b), relative_difference: distance, p_value, distance, limit: 1.0 }
    }

    #[test]
    fn verdicts() {
        let equal = [pair(0, 1, 0.1, 0.5), pair(0, 2, 0.1, 0.4), pair(1, 2, 0.1, 0.9)];
        assert_eq!(judge(3, &equal, &[]), Verdict::EqualWithinNoise);
        let differ = [pair(0, 1, 0.6, 1e-9), pair(0, 2, 0.1, 0.4), pair(1, 2, 0.5, 1e-9)];
        assert_eq!(judge(3, &differ, &[]), Verdict::DifferWithinSpread);
        let one_out = [pair(0, 1, 2.0, 0.0), pair(0, 2, 0.1, 0.4), pair(1, 2, 3.0, 0.0)];
        assert_eq!(judge(3, &one_out, &[]), Verdict::Outlier { copies: vec![1] });
        let all_apart = [pair(0, 1, 2.0, 0.0), pair(0, 2, 2.0, 0.0), pair(1, 2, 3.0, 0.0)];
        assert_eq!(judge(3, &all_apart, &[]), Verdict::Disagree);
        assert_eq!(judge(2, &[pair(0, 1, 2.0, 0.0)], &[]), Verdict::Disagree);
        // A chain: 0 ~ 1 ~ 2 but not 0 ~ 2 leaves no single majority.
        let chain = [pair(0, 1, 0.5, 0.0), pair(0, 2, 2.0, 0.0), pair(1, 2, 0.5, 0.0)];
        assert_eq!(judge(3, &chain, &[]), Verdict::Disagree);
    }

    #[test]
    fn a_silent_copy_is_an_outlier() {
        assert_eq!(judge(3, &[pair(0, 2, 0.1, 0.5)], &[1]), Verdict::Outlier { copies: vec![1] });
        assert_eq!(judge(2, &[], &[0]), Verdict::Outlier { copies: vec![0] });
    }
}
