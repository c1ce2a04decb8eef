//! Equations of motion of the coupled cells.

use spu_protocol::code::CouplingCode;
use spu_protocol::payload::load::MAX_COUPLINGS;

use crate::LANES;
use crate::analog::parts::Parts;
use crate::math::Matrix;

/// A node is never without capacitance: less than this between a cell and ground counts as this,
/// in farads (pads and converter input; design choice). It keeps the capacitance matrix positive
/// definite whatever the codes are.
pub const MIN_SELF_FARAD: f64 = 1e-12;

/// Bank codes that are active on a board, by cell and by pair (0,1), (0,2) … (1,2) ….
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BankCodes {
    /// Self terms.
    pub self_codes: [CouplingCode; LANES],
    /// Couplings; negative where cross-connected.
    pub coupling_codes: [CouplingCode; MAX_COUPLINGS],
}

impl BankCodes {
    /// Every switch open.
    pub const OPEN: Self = Self {
        self_codes: [CouplingCode(0); LANES],
        coupling_codes: [CouplingCode(0); MAX_COUPLINGS],
    };
}

/// Maxwell capacitance matrix of `cells` cells, in farads.
///
/// ```text
/// C_ii = self_i + stray_i + Σ_j c_ij
/// C_ij = −c_ij where connected straight, as it stores ½ c (v_i − v_j)²
/// C_ij = +c_ij where cross-connected (negative code), as it stores ½ c (v_i + v_j)²
/// ```
pub(crate) fn capacitance(parts: &Parts, codes: &BankCodes, cells: usize) -> Matrix {
    let mut c = Matrix::zeros(cells, cells);
    for i in 0..cells {
        let own = parts.stray_farad[i] + bank(&parts.self_farad[i], codes.self_codes[i]);
        c[(i, i)] = own.max(MIN_SELF_FARAD);
    }
    let mut pair = 0;
    for i in 0..cells {
        for j in i + 1..cells {
            let code = codes.coupling_codes[pair];
            let value = bank(&parts.coupling_farad[pair], code);
            c[(i, i)] += value;
            c[(j, j)] += value;
            let off = if code.0 < 0 { value } else { -value };
            c[(i, j)] = off;
            c[(j, i)] = off;
            pair += 1;
        }
    }
    c
}

/// Capacitance of a bank whose switches are the bits of |code|, in farads.
fn bank(elements: &[f64], code: CouplingCode) -> f64 {
    let switches = code.0.unsigned_abs();
    elements
        .iter()
        .enumerate()
        .filter(|(bit, _)| switches >> bit & 1 == 1)
        .map(|(_, farad)| farad)
        .sum()
}

/// The cells in energy coordinates.
///
/// With C = K Kᵀ (Cholesky), y = Kᵀ v and w = L^½ i the stored energy is ½ yᵀy + ½ wᵀw, and
/// C dv = (−G v − i + u) dt, L di = v dt become
///
/// ```text
/// dy = (−D y − S w + K⁻¹ u) dt,   D = K⁻¹ G K⁻ᵀ,   S = K⁻¹ L^−½
/// dw =   Sᵀ y dt
/// ```
#[derive(Debug, Clone)]
pub(crate) struct Circuit {
    /// Cholesky factor of the capacitance matrix, in F^½.
    pub(crate) k: Matrix,
    /// Its inverse.
    pub(crate) k_inverse: Matrix,
    /// Damping D, in 1/s.
    pub(crate) damping: Matrix,
    /// Coupling S to the inductors, in 1/s.
    pub(crate) coupling: Matrix,
    /// Roots of the inductances, in H^½.
    pub(crate) l_root: Vec<f64>,
}

impl Circuit {
    /// The circuit of these codes.
    pub(crate) fn new(parts: &Parts, codes: &BankCodes, cells: usize) -> Self {
        let k = capacitance(parts, codes, cells)
            .cholesky()
            .expect("a sum of squares with every self term at least MIN_SELF_FARAD");
        let k_inverse = k.lower_inverse();
        let l_root: Vec<f64> = parts.l_henry[..cells].iter().map(|l| l.sqrt()).collect();
        let scaled = Matrix::from_fn(cells, cells, |i, j| k_inverse[(i, j)] / parts.r_ohm[j]);
        let damping = scaled.times(&k_inverse.transpose());
        let coupling = Matrix::from_fn(cells, cells, |i, j| k_inverse[(i, j)] / l_root[j]);
        Self { k, k_inverse, damping, coupling, l_root }
    }

    /// Number of cells.
    pub(crate) fn cells(&self) -> usize {
        self.k.rows()
    }

    /// Drift matrix of (y, w), in 1/s.
    pub(crate) fn drift(&self) -> Matrix {
        let n = self.cells();
        Matrix::from_fn(2 * n, 2 * n, |i, j| match (i < n, j < n) {
            (true, true) => -self.damping[(i, j)],
            (true, false) => -self.coupling[(i, j - n)],
            (false, true) => self.coupling[(j, i - n)],
            (false, false) => 0.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    #[test]
    fn maxwell_matrix_of_straight_and_crossed_couplings() {
        let profile = Profile::named("ideal").unwrap();
        let parts = Parts::draw(&profile, 1, 0);
        let mut codes = BankCodes::OPEN;
        codes.self_codes[..3].copy_from_slice(&[1000, 2000, 3000].map(CouplingCode));
        codes.coupling_codes[..3].copy_from_slice(&[100, -50, 0].map(CouplingCode));
        let lsb = profile.banks.self_lsb.value;
        let c = capacitance(&parts, &codes, 3);
        let expected = [[1150.0, -100.0, 50.0], [-100.0, 2100.0, 0.0], [50.0, 0.0, 3050.0]];
        for i in 0..3 {
            for j in 0..3 {
                assert!((c[(i, j)] / lsb - expected[i][j]).abs() < 1e-9, "{i} {j}");
            }
        }
    }

    #[test]
    fn any_codes_give_a_circuit() {
        let parts = Parts::draw(&Profile::named("ideal").unwrap(), 1, 0);
        let mut codes = BankCodes::OPEN;
        Circuit::new(&parts, &codes, 8);
        codes.coupling_codes = [CouplingCode(-32767); MAX_COUPLINGS];
        let circuit = Circuit::new(&parts, &codes, 8);
        assert!(circuit.drift().max_abs().is_finite());
    }
}
