//! What the host believes of one board: the values of its parts, cell by cell and element by
//! element, and the law that follows from them.
//!
//! The parts are a profile's nominal ones, or those that a calibration measured. With the Maxwell
//! capacitance matrix C of the programmed banks and a current uⱼ that the DAC of cell j holds for a
//! sample period h,
//!
//! ```text
//! C v̇ = −R⁻¹ v − i + u,   L i̇ = v
//! ```
//!
//! with diagonal R and L. Over one period the state x = (v, i) makes one exact step
//! `x⁺ = Φ x + Γ u` (zero-order hold). All of this is digital work of the host: it plans, calibrates
//! and reads out; it never replaces a read-out.

use std::collections::BTreeMap;
use std::sync::Arc;

use ndarray::Array2;

use crate::device::{BoardInfo, pair_index};
use crate::error::Error;
use crate::linalg::{exponential, product, solve};

/// The values of one cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellValues {
    /// Parallel resistance, in ohms.
    pub r_ohm: f64,
    /// Parallel inductance, in henries.
    pub l_henry: f64,
    /// Capacitance to ground with every switch open, in farads.
    pub stray_farad: f64,
    /// Current of the DAC, in amperes per code.
    pub drive_ampere: f64,
    /// Gain of the ADC, in codes per volt.
    pub adc_gain: f64,
    /// ADC code at 0 V.
    pub adc_offset: f64,
}

/// The values of one board.
#[derive(Debug, Clone, PartialEq)]
pub struct BoardModel {
    /// Cell by cell.
    pub cells: Vec<CellValues>,
    /// Elements of each cell's self-term bank, in farads; element k is switched by bit k.
    pub selves: Vec<Vec<f64>>,
    /// Elements of each coupling bank, in farads, by pair as [`pair_index`] orders them.
    pub couplings: Vec<Vec<f64>>,
    /// Sample period, in seconds.
    pub period_s: f64,
}

/// A board whose parts were measured.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredBoard {
    /// Content hash of the calibration that this comes from.
    pub id: u64,
    /// The values.
    pub model: BoardModel,
    /// Other sets of values that the measurements allow as well: draws from what they leave open.
    pub draws: Vec<BoardModel>,
}

/// Measured boards by serial number.
pub type MeasuredBoards = BTreeMap<u64, Arc<MeasuredBoard>>;

impl MeasuredBoard {
    /// Refuses values that are those of a board of another shape.
    ///
    /// # Errors
    /// [`Error::Unsupported`].
    pub fn check(&self, info: &BoardInfo) -> Result<(), Error> {
        let fits = |model: &BoardModel| {
            let bits = |banks: &[Vec<f64>], bits: u8, count: usize| {
                banks.len() == count && banks.iter().all(|bank| bank.len() == usize::from(bits))
            };
            model.cell_count() == info.cells
                && bits(&model.selves, info.raw.self_bits, info.cells)
                && bits(&model.couplings, info.raw.coupling_bits, info.couplings)
        };
        if fits(&self.model) && self.draws.iter().all(fits) {
            return Ok(());
        }
        Err(Error::Unsupported {
            reasons: vec![format!(
                "calibration {:016x} has values for another number of cells or bank bits than this \
                 {} board; calibrate it (`spu calibrate`)",
                self.id, info.profile
            )],
        })
    }
}

impl BoardModel {
    /// The nominal values of a board's profile.
    pub fn nominal(info: &BoardInfo) -> Self {
        let raw = &info.raw;
        let cell = CellValues {
            r_ohm: f64::from(raw.r_ohm),
            l_henry: f64::from(raw.l_henry),
            stray_farad: f64::from(raw.stray_farad),
            drive_ampere: f64::from(raw.dac_lsb_ampere),
            adc_gain: 1.0 / f64::from(raw.adc_lsb_volt),
            adc_offset: 0.0,
        };
        let selves = nominal_bank(raw.self_bits, raw.self_lsb_farad);
        let couplings = nominal_bank(raw.coupling_bits, raw.coupling_lsb_farad);
        Self {
            cells: vec![cell; info.cells],
            selves: vec![selves; info.cells],
            couplings: vec![couplings; info.couplings],
            period_s: info.sample_period_s(),
        }
    }

    /// The first `n` cells alone: what is left of the board where the others are not coupled to them.
    #[must_use]
    pub fn first(&self, n: usize) -> Self {
        let cells = self.cell_count();
        let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| pair_index(cells, i, j)));
        Self {
            cells: self.cells[..n].to_vec(),
            selves: self.selves[..n].to_vec(),
            couplings: pairs.map(|pair| self.couplings[pair].clone()).collect(),
            period_s: self.period_s,
        }
    }

    /// True if all cells have the same R, L and drive, so that the eigenvectors of C split them into
    /// independent modes.
    pub fn is_uniform(&self) -> bool {
        let first = &self.cells[0];
        self.cells.iter().all(|cell| {
            (cell.r_ohm, cell.l_henry, cell.drive_ampere)
                == (first.r_ohm, first.l_henry, first.drive_ampere)
        })
    }

    /// Number of cells.
    pub fn cell_count(&self) -> usize {
        self.cells.len()
    }

    /// Capacitance that a self-term code connects to cell `cell`, stray capacitance included.
    pub fn self_farad(&self, cell: usize, code: i16) -> f64 {
        self.cells[cell].stray_farad + bank(&self.selves[cell], code)
    }

    /// Capacitance that a coupling code connects between the cells of a pair; never negative.
    pub fn coupling_farad(&self, pair: usize, code: i16) -> f64 {
        bank(&self.couplings[pair], code)
    }

    /// Maxwell capacitance matrix of codes of all cells, in farads:
    /// `C_ii = self_i + Σ_j c_ij`, `C_ij = ∓c_ij` for a straight (crossed) coupling.
    pub fn capacitance(&self, selves: &[i16], couplings: &[i16]) -> Array2<f64> {
        network(
            self.cell_count(),
            |cell| self.self_farad(cell, selves[cell]),
            |pair| signed(couplings[pair], self.coupling_farad(pair, couplings[pair])),
        )
    }

    /// The law of the cells in one sample period, with capacitance matrix `c` (all cells, in farads,
    /// positive definite).
    pub fn law(&self, c: &Array2<f64>) -> Law {
        let n = self.cell_count();
        let inverse = solve(c, &Array2::eye(n));
        // d(v, i, u)/dt, u held; scaled so that all entries are rates: i √(L/C) and u R are volts.
        let mut drift = Array2::zeros((3 * n, 3 * n));
        let scale = (self.cells[0].l_henry / c[[0, 0]]).sqrt();
        for i in 0..n {
            for j in 0..n {
                drift[[i, j]] = -inverse[[i, j]] / self.cells[j].r_ohm;
                drift[[i, n + j]] = -inverse[[i, j]] / scale;
                drift[[i, 2 * n + j]] = inverse[[i, j]] / scale;
            }
            drift[[n + i, i]] = scale / self.cells[i].l_henry;
        }
        let step = exponential(&(drift * self.period_s));
        let volts = |i: usize| if i < n { 1.0 } else { scale };
        Law {
            phi: Array2::from_shape_fn((2 * n, 2 * n), |(i, j)| step[[i, j]] * volts(j) / volts(i)),
            gamma: Array2::from_shape_fn((2 * n, n), |(i, j)| {
                step[[i, 2 * n + j]] * scale / volts(i)
            }),
        }
    }
}

/// Elements of a bank as its profile has them: element k has 2ᵏ LSB.
pub(crate) fn nominal_bank(bits: u8, lsb: f32) -> Vec<f64> {
    (0..bits).map(|bit| f64::from(lsb) * f64::from(1_u32 << bit)).collect()
}

/// Largest code of a bank of `bits` bits, at most 15, without sign.
pub(crate) fn bank_top(bits: u8) -> i16 {
    ((1_u32 << bits.min(15)) - 1) as i16
}

/// Matrix of n self terms and of couplings by pair, of capacitances or conductances:
/// `M_ii = own_i + Σ_j |m_ij|`, `M_ij = −m_ij`. A coupling m > 0 adds ½m(vᵢ − vⱼ)² to energy or loss, a
/// cross-connected one (m < 0) ½|m|(vᵢ + vⱼ)².
pub(crate) fn network(
    n: usize,
    own: impl Fn(usize) -> f64,
    coupling: impl Fn(usize) -> f64,
) -> Array2<f64> {
    let mut matrix = Array2::zeros((n, n));
    for i in 0..n {
        matrix[[i, i]] += own(i);
        for j in i + 1..n {
            let value = coupling(pair_index(n, i, j));
            matrix[[i, i]] += value.abs();
            matrix[[j, j]] += value.abs();
            matrix[[i, j]] = -value;
            matrix[[j, i]] = -value;
        }
    }
    matrix
}

/// A bank's value with the sign of its code.
pub(crate) fn signed(code: i16, value: f64) -> f64 {
    if code < 0 { -value } else { value }
}

/// Value of a bank whose switches are the bits of |code|.
pub(crate) fn bank(elements: &[f64], code: i16) -> f64 {
    let switches = code.unsigned_abs();
    elements
        .iter()
        .enumerate()
        .filter(|(bit, _)| switches >> bit & 1 == 1)
        .map(|(_, farad)| farad)
        .sum()
}

/// One sample period of the cells: `x⁺ = Φ x + Γ u`, x = (v in V, i in A), u in A.
#[derive(Debug, Clone, PartialEq)]
pub struct Law {
    /// Φ, `2n × 2n`.
    pub phi: Array2<f64>,
    /// Γ, `2n × n`.
    pub gamma: Array2<f64>,
}

impl Law {
    /// Stationary covariance of x for independent currents of these root mean squares, in A: the
    /// solution of `Σ = Φ Σ Φᵀ + Γ diag(σ²) Γᵀ`, by doubling (Smith 1968).
    pub fn covariance(&self, sigma: &[f64]) -> Array2<f64> {
        let squares: Vec<f64> = sigma.iter().map(|sigma| sigma * sigma).collect();
        self.covariance_of(&Array2::from_diag(&ndarray::ArrayView1::from(&squares)))
    }

    /// The same for currents of this covariance, `n × n`, in A²; linear in it.
    pub(crate) fn covariance_of(&self, currents: &Array2<f64>) -> Array2<f64> {
        let mut sum = product(&product(&self.gamma, currents), &self.gamma.t());
        let mut power = self.phi.clone();
        for _ in 0..64 {
            let more = product(&product(&power, &sum), &power.t());
            let size = crate::linalg::frobenius(&more);
            sum += &more;
            if size <= 1e-16 * crate::linalg::frobenius(&sum) {
                break;
            }
            power = product(&power, &power);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CellModel;

    fn model(n: usize) -> BoardModel {
        let cell = CellValues {
            r_ohm: 1200.0,
            l_henry: 820e-6,
            stray_farad: 20e-12,
            drive_ampere: 4e-3 / 8191.0,
            adc_gain: 2047.0,
            adc_offset: 0.0,
        };
        let bank: Vec<f64> = (0..4).map(|bit| 150e-12 * f64::from(1 << bit)).collect();
        BoardModel {
            cells: vec![cell; n],
            selves: vec![bank.clone(); n],
            couplings: vec![bank; n * (n - 1) / 2],
            period_s: 1.0 / 12e6,
        }
    }

    #[test]
    fn equal_cells_follow_the_law_of_their_modes() {
        let model = model(3);
        let c = model.capacitance(&[9, 12, 15], &[3, 0, -5]);
        let covariance = model.law(&c).covariance(&[1e-3; 3]);
        let cell = CellModel { r_ohm: 1200.0, l_henry: 820e-6, period_s: 1.0 / 12e6 };
        let (values, vectors) = crate::linalg::symmetric_eigen(&c);
        let variances = values.mapv(|c| cell.mode(c).variance(1e-3));
        let expected = crate::linalg::from_eigen(&variances, &vectors);
        for i in 0..3 {
            for j in 0..3 {
                let error = covariance[[i, j]] - expected[[i, j]];
                assert!(error.abs() < 1e-11 * expected[[0, 0]], "{i} {j}: {error}");
            }
        }
    }

    #[test]
    fn elements_add_up() {
        let mut model = model(2);
        model.selves[1][2] = 7e-10;
        model.couplings[0][1] = 2e-10;
        let c = model.capacitance(&[1, 4], &[-2]);
        assert!((c[[0, 0]] - 370e-12).abs() < 1e-24);
        assert!((c[[1, 1]] - 920e-12).abs() < 1e-24);
        assert!((c[[0, 1]] - 2e-10).abs() < 1e-24);
    }

    #[test]
    fn a_held_current_ends_in_the_inductor() {
        let model = model(2);
        let law = model.law(&model.capacitance(&[9, 12], &[3]));
        let fixed = ndarray::array![[0.0], [0.0], [1e-3], [-2e-3]];
        let next =
            product(&law.phi, &fixed) + product(&law.gamma, &ndarray::array![[1e-3], [-2e-3]]);
        for (a, b) in next.iter().zip(&fixed) {
            assert!((a - b).abs() < 1e-13, "{next}");
        }
    }
}
