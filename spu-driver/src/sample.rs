//! Draws Gaussian samples from a board at rest.

use ndarray::Array2;
use spu_protocol::code::GainCode;

use crate::board_model::BoardModel;
use crate::device::{BoardInfo, Device, FrameBlock, Outcome, Sink};
use crate::error::Error;
use crate::invert::{InvertOptions, Ledger, OperationError, Progress, Run};
use crate::matrix::SpdMatrix;
use crate::plan::{Budget, InversionPlan};
use crate::readout::ReadOut;
use crate::systematic::{capacitance_of, deviation};

/// Largest correlation of a mode over one sample distance that still counts as independent.
pub const INDEPENDENT: f64 = 0.01;
/// Samples of the zero-input run that measures the converters' offsets.
const OFFSET_SAMPLES: u64 = 1024;

/// Samples of `N(μ, A⁻¹)` from a board.
#[derive(Debug, Clone)]
pub struct GaussianSamples {
    /// Samples, `count × n`, in the units of A^(−1/2).
    pub values: Array2<f64>,
    /// μ, which the host added (digital): the voltages of an RLC board have mean 0.
    pub mean: Vec<f64>,
    /// How the board was set up; its `decimation` is the distance of two samples in ticks.
    pub plan: InversionPlan,
    /// The board.
    pub board: BoardInfo,
    /// Content hash of the calibration behind the result; `None`: uncalibrated.
    pub calibration: Option<u64>,
    /// Complete or cancelled; a cancelled run holds the samples that came before.
    pub outcome: Outcome,
    /// Offsets of the converters that were subtracted, in ADC codes.
    pub offsets: Vec<f64>,
    /// Covariance of the samples by the sampled law of the board's model as programmed (digital), `n × n`, in
    /// units of A⁻¹. What it is off A⁻¹ is known and is in the samples: quantisation of the banks, the
    /// staircase of the drive, rounding of the converters.
    pub law: Array2<f64>,
    /// Standard deviation that the calibration's own uncertainty leaves in each entry of the samples'
    /// covariance. `None` without calibration: then deviations of the board from the values that were used
    /// are in no number here.
    pub calibration_sigma: Option<Array2<f64>>,
}

/// Draws `count` samples of `N(0, A⁻¹)`, far enough apart to be independent (unless the budget
/// sets a decimation).
///
/// Each value is an ADC code, less the converter's offset as measured without drive, times a
/// factor of the host's scaling.
///
/// # Errors
/// [`OperationError`].
pub fn sample_gaussian(
    device: &mut dyn Device,
    a: &SpdMatrix,
    count: u64,
    options: &InvertOptions,
    progress: &dyn Progress,
) -> Result<GaussianSamples, OperationError> {
    let info = device.info().clone();
    let values = room(count, a.n())?;
    let asked = Budget { samples: Some(count), ..options.budget };
    let measured = options.board(&info)?;
    let model = measured.map_or_else(|| BoardModel::nominal(&info), |board| board.model.clone());
    let mut plan = InversionPlan::with_model(a, &info, &model, &asked)?;
    if options.budget.decimation.is_none() {
        plan.decimation = independent_decimation(&plan);
        let apart = Budget { decimation: Some(plan.decimation), ..asked };
        plan = InversionPlan::with_model(a, &info, &model, &apart)?;
    }
    let mut run = Run { device, options, fresh: true, ledger: Ledger::new(info.cells) };
    let offsets = run.offsets(&plan)?;
    let gain = run.set_gain(&plan, &info, &model)?;
    let factors = ReadOut::new(&plan, &info, &model, gain).sample_factors();
    let law = |model: &BoardModel| covariance_of_samples(&plan, &info, model, gain, &factors);
    let expected = law(&model);
    let draws: Vec<Array2<f64>> =
        measured.iter().flat_map(|board| &board.draws).map(|draw| law(draw) - &expected).collect();
    let mut sink = Collect {
        cells: info.cells,
        offsets: &offsets,
        factors: &factors,
        values,
        progress,
        copy: options.copy as usize,
    };
    let report = run.acquire(plan.settle, plan.decimation, count, true, &mut sink)?;
    let rows = sink.values.len() / plan.n;
    let values = Array2::from_shape_vec((rows, plan.n), sink.values)
        .map_err(|error| Error::Corrupt { what: error.to_string() })?;
    Ok(GaussianSamples {
        values,
        law: expected,
        calibration_sigma: deviation(&draws),
        mean: vec![0.0; plan.n],
        plan,
        calibration: measured.map(|board| board.id),
        board: info,
        outcome: report.outcome,
        offsets,
    })
}

/// Draws `count` samples of `N(mean, A⁻¹)`: as [`sample_gaussian`], and the mean is added on the host
/// (digital). `mean` has a value for each row of A, in the units of A^(−1/2).
///
/// # Errors
/// [`OperationError`]; [`Error::Unsupported`] for a mean of another length or that is not finite.
///
/// # Examples
/// ```
/// use ndarray::array;
/// use spu_driver::invert::{InvertOptions, Quiet};
/// use spu_driver::sample::sample_normal;
/// use spu_driver::{matrix::SpdMatrix, open};
///
/// let mut device = open("sim:profile=ideal")?;
/// let a = SpdMatrix::new(&array![[2.0, -1.0], [-1.0, 2.0]], 0.0)?;
/// let options = InvertOptions::default();
/// let drawn = sample_normal(device.as_mut(), &a, &[10.0, -5.0], 1000, &options, &Quiet)?;
/// assert!((drawn.values.column(0).sum() / 1000.0 - 10.0).abs() < 0.2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn sample_normal(
    device: &mut dyn Device,
    a: &SpdMatrix,
    mean: &[f64],
    count: u64,
    options: &InvertOptions,
    progress: &dyn Progress,
) -> Result<GaussianSamples, OperationError> {
    let mut reasons = Vec::new();
    if mean.len() != a.n() {
        reasons.push(format!("the mean has {} values for {} rows", mean.len(), a.n()));
    }
    if let Some(x) = mean.iter().find(|x| !x.is_finite()) {
        reasons.push(format!("the mean holds {x}; every value must be finite"));
    }
    if !reasons.is_empty() {
        return Err(Error::Unsupported { reasons }.into());
    }
    let mut drawn = sample_gaussian(device, a, count, options, progress)?;
    for mut row in drawn.values.rows_mut() {
        for (x, mean) in row.iter_mut().zip(mean) {
            *x += mean;
        }
    }
    drawn.mean = mean.to_vec();
    Ok(drawn)
}

/// Covariance of the samples, ADC codes times `factors`, by the sampled law of a board of these values.
fn covariance_of_samples(
    plan: &InversionPlan,
    info: &BoardInfo,
    model: &BoardModel,
    gain: GainCode,
    factors: &[f64],
) -> Array2<f64> {
    let first = model.first(plan.n);
    let sigma = ReadOut::new(plan, info, model, gain).sigma().to_vec();
    let volts = first.law(&capacitance_of(plan, model)).covariance(&sigma);
    Array2::from_shape_fn((plan.n, plan.n), |(i, j)| {
        let codes = volts[[i, j]] * first.cells[i].adc_gain * first.cells[j].adc_gain;
        let rounding = if i == j { 1.0 / 12.0 } else { 0.0 };
        (codes + rounding) * factors[i] * factors[j]
    })
}

/// Memory for `count` samples of `n` values, before anything is set on the board.
fn room(count: u64, n: usize) -> Result<Vec<f64>, Error> {
    let mut values = Vec::new();
    let wanted = usize::try_from(count).ok().and_then(|count| count.checked_mul(n));
    match wanted.map(|wanted| values.try_reserve_exact(wanted)) {
        Some(Ok(())) => Ok(values),
        _ => Err(Error::Unsupported {
            reasons: vec![format!(
                "{count} samples of {n} values need {:.1} GB of memory; ask for fewer at a time",
                count as f64 * n as f64 * 8e-9
            )],
        }),
    }
}

/// The smallest decimation over which every mode forgets.
fn independent_decimation(plan: &InversionPlan) -> u32 {
    let longest = plan.modes.iter().map(|mode| {
        let rho = mode.correlations(1);
        rho.iter().rposition(|r| r.abs() > INDEPENDENT).map_or(1, |lag| lag + 1)
    });
    longest.max().unwrap_or(1) as u32
}

struct Collect<'a> {
    cells: usize,
    offsets: &'a [f64],
    factors: &'a [f64],
    values: Vec<f64>,
    progress: &'a dyn Progress,
    copy: usize,
}

impl Sink for Collect<'_> {
    fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()> {
        for frame in block.codes.chunks_exact(self.cells) {
            for ((code, offset), factor) in frame.iter().zip(self.offsets).zip(self.factors) {
                self.values.push((f64::from(code.0) - offset) * factor);
            }
        }
        Ok(())
    }

    fn progress(&mut self, kept: u64, total: u64) {
        self.progress.update(self.copy, kept, total);
    }
}

impl Run<'_> {
    /// Mean code of each cell in use without drive.
    fn offsets(&mut self, plan: &InversionPlan) -> Result<Vec<f64>, Error> {
        self.load(plan, GainCode(0))?;
        let report = self.acquire(plan.settle, 1, OFFSET_SAMPLES, false, &mut crate::NullSink)?;
        if report.outcome == Outcome::Cancelled {
            return Err(Error::Cancelled);
        }
        let moments =
            report.moments.ok_or_else(|| Error::Corrupt { what: "moments are missing".into() })?;
        Ok(moments.sums[..plan.n].iter().map(|s| *s as f64 / moments.count as f64).collect())
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::*;
    use crate::invert::Quiet;
    use crate::linalg::{frobenius, relative_error};
    use crate::stats::student_quantile;
    use crate::testing::{calibrated, true_model};

    fn matrix() -> SpdMatrix {
        let a = Array2::from_shape_fn((8, 8), |(i, j)| match i.abs_diff(j) {
            0 => 2.5,
            1 => -1.0,
            _ => 0.0,
        });
        SpdMatrix::new(&a, 0.0).unwrap()
    }

    /// The law of the samples by a calibration is that of the true parts, as far as the calibration says:
    /// Student's t with as many degrees of freedom as draws, 1e-6 over all entries of all boards
    /// (Bonferroni). Of a board taken for nominal it is far off. Fixed seeds.
    #[test]
    fn the_law_of_samples_is_that_of_the_board() {
        let gain = GainCode(4096);
        for (profile, seed) in [("rev-a", 1), ("rev-a", 2), ("rev-b", 1), ("rev-b", 2)] {
            let uri = format!("sim:profile={profile},seed={seed}");
            let info = crate::open(&uri).unwrap().info().clone();
            let board = calibrated(&uri)[&info.serial].clone();
            let plan =
                InversionPlan::with_model(&matrix(), &info, &board.model, &Budget::default())
                    .unwrap();
            let factors = ReadOut::new(&plan, &info, &board.model, gain).sample_factors();
            let law =
                |model: &BoardModel| covariance_of_samples(&plan, &info, model, gain, &factors);
            let (believed, truth) = (law(&board.model), law(&true_model(profile, seed, &info)));
            let draws: Vec<_> = board.draws.iter().map(|draw| law(draw) - &believed).collect();
            let sigma = deviation(&draws).unwrap();
            let limit = student_quantile(draws.len(), 1.0 - 1e-6 / (36.0 * 4.0));
            for (at, believed) in believed.indexed_iter() {
                let off = (believed - truth[at]).abs();
                assert!(off < limit * sigma[at], "{uri} {at:?}: {off} ± {}", sigma[at]);
            }
            let known = relative_error(&believed, &truth);
            let nominal = relative_error(&law(&BoardModel::nominal(&info)), &truth);
            println!("{uri}: law by calibration {known:.1e} off, nominal {nominal:.3}");
            assert!(known < 0.02 * nominal);
        }
    }

    /// Covariance of 8,000 independent samples: its relative error squared is spread like χ² with some
    /// 36 degrees of freedom, and beyond 1.7 times the expected error by chance in less than 1e-6.
    #[test]
    fn samples_of_a_calibrated_board_have_the_law_that_was_asked_for() {
        const COUNT: u64 = 8_000;
        let a = matrix();
        let reference = a.digital_inverse();
        let (trace, norm) = (reference.diag().sum(), frobenius(&reference));
        let statistical = ((trace * trace / (norm * norm) + 1.0) / COUNT as f64).sqrt();
        let uri = "sim:profile=rev-a,seed=6";
        let error = |measured| {
            let options = InvertOptions { measured, ..InvertOptions::default() };
            let mut device = crate::open(uri).unwrap();
            let drawn = sample_gaussian(device.as_mut(), &a, COUNT, &options, &Quiet).unwrap();
            let covariance = drawn.values.t().dot(&drawn.values) / COUNT as f64;
            let known = relative_error(&drawn.law, &reference);
            let left = drawn.calibration_sigma.as_ref().map_or(0.0, |sd| frobenius(sd) / norm);
            (relative_error(&covariance, &reference), statistical.hypot(known).hypot(left))
        };
        let (known, expected) = error(calibrated(uri));
        let (plain, _) = error(std::sync::Arc::default());
        println!("calibrated {known:.4}, expected {expected:.4}, uncalibrated {plain:.4}");
        assert!(known < 1.7 * expected && known < 0.3 * plain, "{known} {expected} {plain}");
    }

    #[test]
    fn what_memory_cannot_hold_is_refused() {
        assert!(room(1000, 8).expect("64 kB").capacity() >= 8000);
        for count in [u64::MAX, u64::MAX / 8, 1 << 58] {
            let error = room(count, 8).expect_err("more than any machine has");
            assert!(error.to_string().contains("ask for fewer"), "{error}");
        }
    }
}
