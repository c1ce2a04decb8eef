//! Equations of motion of the coupled cells.

use spu_protocol::code::CouplingCode;
use spu_protocol::payload::load::MAX_COUPLINGS;

use crate::LANES;
use crate::analog::parts::Parts;
use crate::math::Matrix;
use crate::profile::Kind;

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
    /// Storage, on RC boards.
    pub storage_codes: [CouplingCode; LANES],
}

impl BankCodes {
    /// Every switch open.
    pub const OPEN: Self = Self {
        self_codes: [CouplingCode(0); LANES],
        coupling_codes: [CouplingCode(0); MAX_COUPLINGS],
        storage_codes: [CouplingCode(0); LANES],
    };
}

/// Maxwell capacitance matrix of `cells` cells, in farads: of RLC boards the [`network`] of the banks
/// and the stray capacitances, of RC boards a diagonal of storage and stray capacitances.
pub(crate) fn capacitance(kind: Kind, parts: &Parts, codes: &BankCodes, cells: usize) -> Matrix {
    match kind {
        Kind::Rlc => {
            network(parts, codes, cells, |i, own| (parts.stray_farad[i] + own).max(MIN_SELF_FARAD))
        }
        // A factored board has no cells: what stands here is never made from it.
        Kind::Rc | Kind::Factored => Matrix::from_fn(cells, cells, |i, j| {
            let storage = bank(&parts.storage_elements[i], codes.storage_codes[i]);
            if i == j { (parts.stray_farad[i] + storage).max(MIN_SELF_FARAD) } else { 0.0 }
        }),
    }
}

/// Conductance matrix of the banks of an RC board and its leakage, in siemens.
fn conductance(parts: &Parts, codes: &BankCodes, cells: usize) -> Matrix {
    network(parts, codes, cells, |i, own| own + 1.0 / parts.r_ohm[i])
}

/// Matrix of self terms and couplings. With `own` the self term of a cell, made from its bank's value,
///
/// ```text
/// M_ii = own_i + Σ_j m_ij
/// M_ij = −m_ij where connected straight, as it takes ½ m (v_i − v_j)²
/// M_ij = +m_ij where cross-connected (negative code), as it takes ½ m (v_i + v_j)²
/// ```
fn network(
    parts: &Parts,
    codes: &BankCodes,
    cells: usize,
    own: impl Fn(usize, f64) -> f64,
) -> Matrix {
    let mut c = Matrix::zeros(cells, cells);
    for i in 0..cells {
        c[(i, i)] = own(i, bank(&parts.self_elements[i], codes.self_codes[i]));
    }
    let mut pair = 0;
    for i in 0..cells {
        for j in i + 1..cells {
            let code = codes.coupling_codes[pair];
            let value = bank(&parts.coupling_elements[pair], code);
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

/// Value of a bank whose switches are the bits of |code|, in its unit.
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
///
/// RC boards have no inductors: S = 0, and w stays 0.
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
    /// Roots of the inductances, in H^½; 1 where there are none.
    pub(crate) l_root: Vec<f64>,
    /// There are inductors.
    pub(crate) resonant: bool,
}

impl Circuit {
    /// The circuit of these codes.
    pub(crate) fn new(kind: Kind, parts: &Parts, codes: &BankCodes, cells: usize) -> Self {
        let k = capacitance(kind, parts, codes, cells)
            .cholesky()
            .expect("a sum of squares with every self term at least MIN_SELF_FARAD");
        let k_inverse = k.lower_inverse();
        // K⁻¹ G, and what the inductors are.
        let (scaled, l_root, coupling) = match kind {
            Kind::Rlc => {
                let root: Vec<f64> = parts.l_henry[..cells].iter().map(|l| l.sqrt()).collect();
                let over = |columns: &[f64]| {
                    Matrix::from_fn(cells, cells, |i, j| k_inverse[(i, j)] / columns[j])
                };
                let (scaled, coupling) = (over(&parts.r_ohm), over(&root));
                (scaled, root, coupling)
            }
            Kind::Rc | Kind::Factored => {
                let scaled = k_inverse.times(&conductance(parts, codes, cells));
                (scaled, vec![1.0; cells], Matrix::zeros(cells, cells))
            }
        };
        let damping = scaled.times(&k_inverse.transpose());
        Self { k, k_inverse, damping, coupling, l_root, resonant: kind == Kind::Rlc }
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
        let c = capacitance(Kind::Rlc, &parts, &codes, 3);
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
        Circuit::new(Kind::Rlc, &parts, &codes, 8);
        codes.coupling_codes = [CouplingCode(-32767); MAX_COUPLINGS];
        let circuit = Circuit::new(Kind::Rlc, &parts, &codes, 8);
        assert!(circuit.drift().max_abs().is_finite());
    }
}
