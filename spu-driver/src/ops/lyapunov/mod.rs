//! Solutions of Lyapunov equations, from covariances of a board driven unequally.
//!
//! A board at rest solves `F Σ + Σ Fᵀ + Q = 0`: F its own drift, in the state x = (v, i),
//!
//! ```text
//! F = ⎡ −C⁻¹/R   −C⁻¹ ⎤     Q = ⎡ C⁻¹ S C⁻¹   0 ⎤     S = diag(σ_i² h)
//!     ⎣  L⁻¹       0  ⎦         ⎣     0       0 ⎦
//! ```
//!
//! with `σ_i` the root-mean-square noise current of cell i, in A, held for a sample period h. Voltages are
//! seen, currents are not, so what is read is the block `Σ_vv`, in V². Eliminating the currents, for
//! cells with equal R and L,
//!
//! ```text
//! C Σ_vv + Σ_vv C + (R²/2L) [C, [C, Σ_vv]] = R S
//! ```
//!
//! ([C, X] = C X − X C; in the eigenbasis of C, `Σ_kl = R S_kl / (c_k + c_l + (R²/2L)(c_k − c_l)²)`). With
//! `C = s A`, X proportional to `Σ_vv` and q proportional to σ², this is the class of equations that
//! an RLC board solves:
//!
//! ```text
//! A X + X A + γ [A, [A, X]] = diag(q),   γ = s R² / 2L
//! ```
//!
//! for A symmetric positive definite and diagonally dominant, with off-diagonals as the couplings' signs
//! allow, and q ≥ 0. Equal drives commute with A and give `X = (q/2) A⁻¹`. The plain equation
//! `A X + X A = diag(q)` is the limit γ → 0, of cells whose resonance is far below critical quality,
//! `R √(C/L) ≪ 1`; the profiles here are not there. Its solution is the board's times a factor for each
//! pair of modes, the same for every q:
//!
//! ```text
//! X_kl → X_kl (1 + γ (λ_k − λ_l)² / (λ_k + λ_l))
//! ```
//!
//! (here by the sampled law, so that the staircase of the drive goes as well). That is digital work with
//! the eigenvectors of A, as much as a digital solution takes; [`Lyapunov::solution`] has it applied,
//! [`Lyapunov::board_solution`] has not, and [`Lyapunov::correction`] says how much it is.
//!
//! On a board whose parts were measured, cells have R, L and drive of their own, and no factors do. Then
//! the covariance S of the currents whose law gives the measured `Σ_vv` is found first, by iteration: the
//! law of equal cells, whose modes stand alone, inverts that of the board to some per cent in each step.
//! With equal cells S comes out in one step, and the solution is the one above.

use ndarray::{Array1, Array2, ArrayRef2, s};
use spu_protocol::code::GainCode;

use super::equal_cells;
use crate::board_model::{BoardModel, CellValues, Law};
use crate::device::{BoardInfo, Device, Moments, Outcome};
use crate::error::Error;
use crate::invert::{InvertOptions, Ledger, OperationError, Progress, Run, batches};
use crate::linalg::{frobenius, product, relative_error};
use crate::matrix::SpdMatrix;
use crate::model::CellModel;
use crate::plan::InversionPlan;
use crate::readout::{ReadOut, Unreadable};
use crate::stats::Replicates;
use crate::systematic::{Systematic, capacitance_of, deviation};

/// Relative change below which the iteration for unequal cells has converged.
const CONVERGED: f64 = 1e-11;
/// Most of its steps: each leaves some per cent of the error.
const MAX_STEPS: usize = 100;

/// A solution of a Lyapunov equation, read from a board.
#[derive(Debug, Clone)]
pub struct Lyapunov {
    /// The solution of `A X + X A = diag(q)`, `n × n`, in units of q over units of A.
    pub solution: Array2<f64>,
    /// Half widths of its 95 % intervals, entry by entry: statistical only.
    pub half_widths: Array2<f64>,
    /// What more samples do not remove; quantisation is that of banks and gain codes.
    pub systematic: Systematic,
    /// Half widths of 95 % intervals that hold the statistical error, what the calibration leaves open and
    /// the known error of quantisation.
    pub intervals: Array2<f64>,
    /// What the board itself solves, `A X + X A + γ [A, [A, X]] = diag(q)`, in the same units.
    pub board_solution: Array2<f64>,
    /// γ, per unit of A.
    pub gamma: f64,
    /// Relative Frobenius distance of `board_solution` to `solution`: what the digital factors changed.
    pub correction: f64,
    /// q as applied: gain codes are whole numbers.
    pub applied: Vec<f64>,
    /// Solution of `A X + X A = diag(q)` by the host, for the A and q that were asked for (digital).
    pub digital: Array2<f64>,
    /// Relative Frobenius error of `solution` that the samples leave.
    pub statistical_error: f64,
    /// Measured covariance of the voltages, `n × n`, in V².
    pub covariance: Array2<f64>,
    /// Jackknife of it over batches.
    pub replicates: Replicates,
    /// The same by the sampled law of the board's model as programmed (digital), in V².
    pub reference: Array2<f64>,
    /// Largest distance of an entry of `covariance` to `reference`, in standard deviations by samples and
    /// calibration.
    pub largest_z: f64,
    /// How the board was set; D = I.
    pub plan: InversionPlan,
    /// Noise gain of the cell that is driven most.
    pub gain: GainCode,
    /// The board.
    pub board: BoardInfo,
    /// Content hash of the calibration behind the result; `None`: uncalibrated.
    pub calibration: Option<u64>,
    /// Complete or cancelled.
    pub outcome: Outcome,
    /// Kept samples.
    pub kept: u64,
}

/// Solves `A X + X A = diag(q)` with the covariance of a board that holds A and drives cell i in
/// proportion to `√q_i`.
///
/// # Errors
/// [`OperationError`]; [`Error::Unsupported`] where A cannot be held unscaled, and for a q of another
/// length, with a negative or not finite entry, or of zeros.
///
/// # Examples
/// ```
/// use ndarray::array;
/// use spu_driver::invert::{InvertOptions, Quiet};
/// use spu_driver::ops::lyapunov::lyapunov;
/// use spu_driver::{matrix::SpdMatrix, open};
///
/// let mut device = open("sim:profile=ideal")?;
/// let a = SpdMatrix::new(&array![[2.0, -1.0], [-1.0, 2.0]], 0.0)?;
/// let options = InvertOptions::default();
/// let found = lyapunov(device.as_mut(), &a, &[1.0, 0.25], &options, &Quiet)?;
/// let error = (found.solution[[0, 1]] - found.digital[[0, 1]]).abs();
/// assert!(error < 6.0 * found.half_widths[[0, 1]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn lyapunov(
    device: &mut dyn Device,
    a: &SpdMatrix,
    q: &[f64],
    options: &InvertOptions,
    progress: &dyn Progress,
) -> Result<Lyapunov, OperationError> {
    check(a, q)?;
    let info = device.info().clone();
    let measured = options.board(&info)?;
    let model = measured.map_or_else(|| BoardModel::nominal(&info), |board| board.model.clone());
    let mut plan = InversionPlan::unscaled(a, &info, &model, &options.budget)?;
    plan.drive = drive(&model, q);
    let wanted = batches(&plan)?;
    let mut run = Run { device, options, fresh: true, ledger: Ledger::new(info.cells) };
    let gain = run.set_gain(&plan, &info, &model)?;
    let record = run.measure(&plan, wanted, 0, plan.samples, progress)?;
    let whole = record.whole();
    let law = BoardLaw::new(&plan, &info, &model, gain, q);
    let covariance = law.read(&whole)?;
    let left_out = record.batches.iter().map(|batch| law.readout.covariance(&whole.without(batch)));
    let left_out: Vec<Array2<f64>> = left_out.collect();
    let replicates = Replicates::jackknife(&covariance, &left_out);
    let reference = law.reference();
    let currents = law.currents(&covariance)?;
    let solution = law.solution(&currents);
    // To first order in how cells differ.
    let part = |part: &Array2<f64>| {
        law.solution(&(&currents + &law.currents_of_equal_cells(&(part - &covariance))))
    };
    let parts: Vec<Array2<f64>> = left_out.iter().map(part).collect();
    let of_solution = Replicates::jackknife(&solution, &parts);
    let wanted = digital(a.entries(), q);
    let quantisation = law.programmed() - &wanted;
    let (mut draws, mut covariances) = (Vec::new(), Vec::new());
    for draw in measured.iter().flat_map(|board| &board.draws) {
        let here = BoardLaw::new(&plan, &info, draw, gain, q);
        let seen = here.read(&whole)?;
        let solved = here.solution(&here.currents(&seen)?) - (here.programmed() - &wanted);
        draws.push(solved - (&solution - &quantisation));
        covariances.push((seen - here.reference()) - (&covariance - &reference));
    }
    let systematic = Systematic::new(quantisation, draws);
    let mut variance = replicates.variance();
    if let Some(sd) = deviation(&covariances) {
        variance += &(&sd * &sd);
    }
    let z = (&covariance - &reference) / variance.mapv(f64::sqrt);
    let board_solution = &covariance * law.unit();
    Ok(Lyapunov {
        half_widths: of_solution.half_widths(),
        intervals: systematic.intervals(&of_solution),
        systematic,
        gamma: plan.farads * law.cell.r_ohm.powi(2) / (2.0 * law.cell.l_henry),
        correction: relative_error(&board_solution, &solution),
        applied: law.applied(),
        digital: wanted,
        statistical_error: of_solution.squared_error().sqrt() / frobenius(&solution),
        solution,
        board_solution,
        largest_z: z.iter().fold(0.0, |most, z| z.abs().max(most)),
        covariance,
        replicates,
        reference,
        plan,
        gain,
        calibration: measured.map(|board| board.id),
        board: info,
        outcome: record.outcome,
        kept: whole.count,
    })
}

fn check(a: &SpdMatrix, q: &[f64]) -> Result<(), Error> {
    let mut reasons = Vec::new();
    if q.len() != a.n() {
        reasons.push(format!("q has {} entries for {} rows", q.len(), a.n()));
    }
    if let Some(i) = q.iter().position(|x| !x.is_finite() || *x < 0.0) {
        reasons.push(format!("q[{i}] is {}; give finite numbers that are not negative", q[i]));
    }
    if q.iter().all(|x| *x == 0.0) {
        reasons.push("q is zero; its solution is zero".into());
    }
    if reasons.is_empty() { Ok(()) } else { Err(Error::Unsupported { reasons }) }
}

/// Noise gain of each cell in use as a part of the largest: currents whose squares go as q.
fn drive(model: &BoardModel, q: &[f64]) -> Vec<f64> {
    let wanted: Vec<f64> =
        q.iter().zip(&model.cells).map(|(q, cell)| q.sqrt() / cell.drive_ampere).collect();
    let most = wanted.iter().fold(0.0_f64, |most, x| most.max(*x));
    wanted.iter().map(|x| x / most).collect()
}

/// `A X + X A = diag(q)` by the eigenvectors of A (digital).
fn digital(a: &ArrayRef2<f64>, q: &[f64]) -> Array2<f64> {
    let (values, vectors) = crate::linalg::symmetric_eigen(a);
    let right = Array2::from_diag(&ndarray::ArrayView1::from(q));
    in_modes(&right, &vectors, |k, l| 1.0 / (values[k] + values[l]))
}

/// `x` in the coordinates of the modes.
fn turned(x: &Array2<f64>, vectors: &Array2<f64>) -> Array2<f64> {
    product(&product(&vectors.t(), x), vectors)
}

/// Multiplies the entries of a symmetric matrix in other coordinates, and comes back.
fn in_modes(
    x: &Array2<f64>,
    vectors: &Array2<f64>,
    factor: impl Fn(usize, usize) -> f64,
) -> Array2<f64> {
    let mut inside = turned(x, vectors);
    for ((k, l), value) in inside.indexed_iter_mut() {
        *value *= factor(k, l);
    }
    product(&product(vectors, &inside), &vectors.t())
}

/// The law of the board as programmed.
struct BoardLaw {
    readout: ReadOut,
    model: BoardModel,
    cell: CellModel,
    law: Law,
    /// Capacitances of the modes, in farads, and their vectors.
    values: Array1<f64>,
    vectors: Array2<f64>,
    /// What equal cells show of currents whose covariance is 1 in each pair of modes.
    answers: Array2<f64>,
    /// Farads per unit of A.
    farads: f64,
    /// q per A² of currents.
    per_square: f64,
}

impl BoardLaw {
    fn new(
        plan: &InversionPlan,
        info: &BoardInfo,
        model: &BoardModel,
        gain: GainCode,
        q: &[f64],
    ) -> Self {
        let first = model.first(plan.n);
        let cell = CellModel::mean(&first);
        let n = plan.n;
        let capacitance = capacitance_of(plan, model);
        let (values, vectors) = crate::linalg::symmetric_eigen(&capacitance);
        // A current that is 1 in every mode's coordinate shows the answer of every pair of modes.
        let all = product(&vectors, &Array2::ones((n, 1)));
        let state = equal_cells(&first).law(&capacitance).covariance_of(&product(&all, &all.t()));
        let answers = turned(&state.slice(s![..n, ..n]).to_owned(), &vectors);
        let readout = ReadOut::new(plan, info, model, gain);
        let squares: f64 = readout.sigma().iter().map(|sigma| sigma * sigma).sum();
        Self {
            law: first.law(&capacitance),
            readout,
            model: first,
            cell,
            values,
            vectors,
            answers,
            farads: plan.farads,
            per_square: q.iter().sum::<f64>() / squares,
        }
    }

    fn read(&self, moments: &Moments) -> Result<Array2<f64>, OperationError> {
        let covariance = self.readout.covariance(moments);
        let cells: Vec<usize> = (0..covariance.nrows())
            .filter(|&i| covariance[[i, i]] * self.model.cells[i].adc_gain.powi(2) <= 0.5)
            .collect();
        if cells.is_empty() { Ok(covariance) } else { Err(Unreadable::NoSignal { cells }.into()) }
    }

    /// Covariance of the voltages, in V², that currents of this covariance, in A², make.
    fn volts(&self, currents: &Array2<f64>) -> Array2<f64> {
        let n = self.model.cell_count();
        self.law.covariance_of(currents).slice(s![..n, ..n]).to_owned()
    }

    /// By the sampled law as programmed, in V².
    fn reference(&self) -> Array2<f64> {
        self.volts(&Array2::from_diag(&ndarray::ArrayView1::from(&self.squares())))
    }

    /// σ² of each cell, in A².
    fn squares(&self) -> Vec<f64> {
        self.readout.sigma().iter().map(|sigma| sigma * sigma).collect()
    }

    /// q as applied.
    fn applied(&self) -> Vec<f64> {
        self.squares().iter().map(|square| square * self.per_square).collect()
    }

    /// Solution for the A and q that the codes hold (digital).
    fn programmed(&self) -> Array2<f64> {
        let q = self.applied();
        let right = Array2::from_diag(&ndarray::ArrayView1::from(&q));
        in_modes(&right, &self.vectors, |k, l| self.farads / (self.values[k] + self.values[l]))
    }

    /// What turns V² into units of q over units of A: `C Σ + Σ C = R h diag(σ²)`, `C = s A`.
    fn unit(&self) -> f64 {
        self.farads * self.per_square / (self.cell.r_ohm * self.cell.period_s)
    }

    /// Covariance of the currents, in A², that give equal cells this covariance of voltages, in V².
    fn currents_of_equal_cells(&self, covariance: &Array2<f64>) -> Array2<f64> {
        in_modes(covariance, &self.vectors, |k, l| 1.0 / self.answers[[k, l]])
    }

    /// The same of these cells.
    fn currents(&self, covariance: &Array2<f64>) -> Result<Array2<f64>, OperationError> {
        let mut currents = self.currents_of_equal_cells(covariance);
        let first = &self.model.cells[0];
        let alike = |cell: &CellValues| (cell.r_ohm, cell.l_henry) == (first.r_ohm, first.l_henry);
        if self.model.cells.iter().all(alike) {
            return Ok(currents);
        }
        for _ in 0..MAX_STEPS {
            let missing = self.currents_of_equal_cells(&(covariance - &self.volts(&currents)));
            currents += &missing;
            let left = frobenius(&missing) / frobenius(&currents);
            if left < CONVERGED {
                return Ok(currents);
            }
            if !left.is_finite() {
                break;
            }
        }
        Err(OperationError::Inconsistent)
    }

    /// `A X + X A = S`, S the covariance of the currents in units of q.
    fn solution(&self, currents: &Array2<f64>) -> Array2<f64> {
        let unit = self.farads * self.per_square;
        in_modes(currents, &self.vectors, |k, l| unit / (self.values[k] + self.values[l]))
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests;
