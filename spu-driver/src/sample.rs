//! Draws Gaussian samples from a board at rest.

use ndarray::Array2;

use crate::board_model::BoardModel;
use crate::device::{BoardInfo, Device, FrameBlock, Outcome, Sink};
use crate::error::Error;
use crate::invert::{InvertOptions, Ledger, OperationError, Progress, Run};
use crate::matrix::SpdMatrix;
use crate::plan::{Budget, InversionPlan};
use crate::readout::ReadOut;

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
        self.load(plan, spu_protocol::code::GainCode(0))?;
        let report = self.acquire(plan.settle, 1, OFFSET_SAMPLES, false, &mut crate::NullSink)?;
        if report.outcome == Outcome::Cancelled {
            return Err(Error::Cancelled);
        }
        let moments =
            report.moments.ok_or_else(|| Error::Corrupt { what: "moments are missing".into() })?;
        Ok(moments.sums[..plan.n].iter().map(|s| *s as f64 / moments.count as f64).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_memory_cannot_hold_is_refused() {
        assert!(room(1000, 8).expect("64 kB").capacity() >= 8000);
        for count in [u64::MAX, u64::MAX / 8, 1 << 58] {
            let error = room(count, 8).expect_err("more than any machine has");
            assert!(error.to_string().contains("ask for fewer"), "{error}");
        }
    }
}
