//! Errors of inverses against the digital ones.

use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use spu_driver::invert::{InvertOptions, Quiet, invert};
use spu_driver::linalg::{frobenius, relative_error};
use spu_driver::matrix::SpdMatrix;
use spu_driver::route::{RouteChoice, invert_any};

use super::boards::{calibrated, effective};
use super::work::Workers;
use super::{bound, matrices};
use crate::median;

/// How boards are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Taken for nominal.
    Uncalibrated,
    /// By their calibration.
    Calibrated,
    /// By their calibration, the mean of [`PROGRAMMINGS`] programmings.
    Mitigated,
}

/// Programmings that mitigation averages.
pub const PROGRAMMINGS: u32 = 16;

/// Relative Frobenius errors of inverses, one board and one matrix each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// Profile of the boards.
    pub profile: String,
    /// Generator of the matrices.
    pub generator: String,
    /// Smallest and largest condition among them.
    pub condition: (f64, f64),
    /// How the boards were used.
    pub way: Way,
    /// Effective independent samples of each.
    pub effective: u64,
    /// Seed of the first board and matrix.
    pub seed: u64,
    /// Median error.
    pub error: f64,
    /// Median of what so many independent samples leave, [`bound`].
    pub bound: f64,
    /// Median of the error of quantisation, as the results themselves state it.
    pub quantisation: f64,
    /// Matrices that were refused.
    pub refused: usize,
    /// All errors.
    pub errors: Vec<f64>,
}

/// One inverse.
struct One {
    condition: f64,
    error: f64,
    bound: f64,
    quantisation: f64,
}

impl One {
    fn of(a: &SpdMatrix, inverse: &ndarray::Array2<f64>, samples: u64, quantisation: f64) -> Self {
        let truth = a.digital_inverse();
        Self {
            condition: a.condition(),
            error: relative_error(inverse, &truth),
            bound: bound(&truth, samples as f64),
            quantisation,
        }
    }
}

impl Errors {
    fn new(
        profile: &str,
        generator: &str,
        way: Way,
        effective: u64,
        seed: u64,
        all: &[Option<One>],
    ) -> Result<Self> {
        let good = || all.iter().flatten();
        anyhow::ensure!(good().next().is_some(), "every matrix was refused");
        let column = |of: fn(&One) -> f64| good().map(of).collect::<Vec<f64>>();
        let conditions = column(|one| one.condition);
        let range = |fold: fn(f64, f64) -> f64| conditions.iter().copied().reduce(fold);
        Ok(Self {
            profile: profile_name(profile),
            generator: generator.into(),
            condition: (range(f64::min).unwrap_or(f64::NAN), range(f64::max).unwrap_or(f64::NAN)),
            way,
            effective,
            seed,
            error: median(column(|one| one.error)),
            bound: median(column(|one| one.bound)),
            quantisation: median(column(|one| one.quantisation)),
            refused: all.iter().filter(|one| one.is_none()).count(),
            errors: column(|one| one.error),
        })
    }
}

/// The name of a profile that may be a file.
pub(super) fn profile_name(profile: &str) -> String {
    let file = std::path::Path::new(profile).file_stem();
    file.map_or_else(|| profile.to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Errors of `boards` boards from `seed` on, each with a *grounded* matrix of its own, in each of these
/// ways and with each of these numbers of samples.
///
/// # Errors
/// What keeps a board from running.
pub fn well_conditioned(
    profile: &str,
    boards: usize,
    settings: &[(Way, u64)],
    seed: u64,
    workers: &Workers,
) -> Result<Vec<Errors>> {
    let by_board = workers.each(&format!("boards of {profile}"), boards, |index| {
        let seed = seed + index as u64;
        let mut board = calibrated(profile, seed)?;
        let a = matrices::well_conditioned(seed)?;
        settings
            .iter()
            .map(|&(way, samples)| {
                let mut options =
                    InvertOptions { budget: effective(samples), ..board.options.clone() };
                match way {
                    Way::Uncalibrated => options.measured = Arc::default(),
                    Way::Calibrated => {}
                    Way::Mitigated => {
                        options.programmings =
                            NonZeroU32::new(PROGRAMMINGS).unwrap_or(NonZeroU32::MIN);
                    }
                }
                let result = invert(board.devices[0].as_mut(), &a, &options, &Quiet)?;
                let truth = frobenius(&a.digital_inverse());
                let quantisation = frobenius(&result.systematic.quantisation) / truth;
                Ok(Some(One::of(&a, &result.inverse, samples, quantisation)))
            })
            .collect::<Result<Vec<_>>>()
    })?;
    settings
        .iter()
        .zip(columns(by_board))
        .map(|(&(way, samples), all)| Errors::new(profile, "grounded", way, samples, seed, &all))
        .collect()
}

/// Errors of *haar-log* matrices of κ ≤ 30, each by the best route on a calibrated board of its own, with
/// each of these numbers of samples.
///
/// # Errors
/// What keeps a board from running.
pub fn any_spd(
    profile: &str,
    count: usize,
    settings: &[u64],
    seed: u64,
    workers: &Workers,
) -> Result<Vec<Errors>> {
    const CONDITION: f64 = 30.0;
    let what = format!("any matrix on {}", profile_name(profile));
    let by_board = workers.each(&what, count, |index| {
        let seed = seed + index as u64;
        let mut board = calibrated(profile, seed)?;
        let a = matrices::haar_log_up_to(8, CONDITION, seed)?;
        let mut invert = |&samples: &u64| {
            let options = InvertOptions { budget: effective(samples), ..board.options.clone() };
            let device = board.devices[0].as_mut();
            let result = invert_any(device, &a, &options, RouteChoice::Auto, &Quiet).ok()?;
            Some(One::of(&a, &result.inverse, samples, result.route.quantisation_error))
        };
        Ok(settings.iter().map(&mut invert).collect::<Vec<_>>())
    })?;
    let errors = |(&samples, all): (&u64, Vec<Option<One>>)| {
        Errors::new(profile, "haar-log", Way::Calibrated, samples, seed, &all)
    };
    settings.iter().zip(columns(by_board)).map(errors).collect()
}

/// Results by setting, of results by board.
fn columns(rows: Vec<Vec<Option<One>>>) -> Vec<Vec<Option<One>>> {
    let mut columns: Vec<Vec<Option<One>>> = Vec::new();
    for row in rows {
        columns.resize_with(row.len(), Vec::new);
        for (column, one) in columns.iter_mut().zip(row) {
            column.push(one);
        }
    }
    columns
}
