//! Boards of RC cells with resistive couplings: what relaxes to a mean.
//!
//! Such a board's cell voltages follow `C v̇ = −G v + i`, C diagonal, with a conductance matrix G of
//! self terms and couplings and held bias currents i. [`RcPlan`] puts a positive definite matrix T on it
//! such that `ẋ = −(T x − b)` runs as it stands, [`relax`](Relaxer::relax) lets it run for a given time
//! from zero and reads the voltages, and [`solve`](Relaxer::solve) waits for the limit `T⁻¹ b`: the mean
//! of thermodynamic linear algebra (arXiv 2308.05660).

mod calibrate;
mod model;
mod plan;
mod read;
mod relax;
mod solve;

pub use calibrate::{CalibratedRc, RcCalibrateOptions, calibrate};
pub use model::{RcCell, RcModel};
pub use plan::RcPlan;
pub use relax::{RelaxOptions, Relaxation, Relaxer};
pub use solve::{MeanInverse, MeanSolution, invert_by_mean, solve_by_mean};

#[cfg(all(test, feature = "sim"))]
mod tests;
