//! Modes of the coupled cells.
//!
//! With w = i·w̃ the drift of [`Circuit`] is complex symmetric, [[−D, −iS], [−iSᵀ, 0]], so a
//! complex orthogonal V (transposed without conjugation) diagonalises it: V⁻¹ = Vᵀ, and ‖V‖² is the
//! condition number. Singular vectors of S bring it near two-by-two blocks, Jacobi rotations with
//! complex angles do the rest (Seaton 1969; Golub and Van Loan, 8.5, for the real case).

use crate::analog::circuit::Circuit;
use crate::math::{Complex, Matrix, Svd, svd};

/// Above this ‖V‖² the modes are not used: near critical damping two of them become one.
const MAX_CONDITION: f64 = 1e4;
/// Imaginary parts below this fraction of the fastest rate count as zero.
const REAL: f64 = 1e-9;
const SWEEPS: usize = 24;

/// Complex amplitude of one eigenvalue: its left row picks the amplitude out of (y, w), its right
/// column puts it back.
#[derive(Debug, Clone)]
pub(crate) struct Mode {
    /// Eigenvalue, in 1/s.
    pub(crate) rate: Complex,
    /// Left eigenvector.
    pub(crate) left: Vec<Complex>,
    /// Right eigenvector; left · right = 1.
    pub(crate) right: Vec<Complex>,
}

/// Two eigenvalues that make one real block.
#[derive(Debug, Clone)]
pub(crate) enum Block {
    /// A complex-conjugate pair: the one with the positive imaginary part.
    Oscillating(Mode),
    /// Two real eigenvalues, with real eigenvectors.
    Overdamped(Mode, Mode),
}

/// The blocks of a circuit, one per cell; `None` if the rotations do not converge, or the modes
/// are too near an exceptional point.
pub(crate) fn blocks(circuit: &Circuit) -> Option<Vec<Block>> {
    let n = circuit.cells();
    let mut problem = Problem::new(circuit);
    problem.diagonalise(n)?;
    let condition: f64 = problem.vectors.iter().flatten().map(|v| v.norm_squared()).sum();
    if condition.is_nan() || condition > MAX_CONDITION * n as f64 {
        return None;
    }
    let modes: Vec<Mode> = (0..2 * n).map(|k| problem.mode(k, n)).collect();
    let fastest = modes.iter().map(|mode| mode.rate.norm()).fold(0.0, f64::max);
    let (mut blocks, mut real, mut conjugate) = (Vec::new(), Vec::new(), 0);
    for mode in modes {
        if mode.rate.im.abs() <= REAL * fastest {
            real.push(mode.into_real());
        } else if mode.rate.im > 0.0 {
            blocks.push(Block::Oscillating(mode));
        } else {
            conjugate += 1;
        }
    }
    if conjugate != blocks.len() || real.len() % 2 != 0 {
        return None;
    }
    let mut real = real.into_iter();
    while let (Some(first), Some(second)) = (real.next(), real.next()) {
        blocks.push(Block::Overdamped(first, second));
    }
    Some(blocks)
}

/// A complex symmetric matrix on its way to the diagonal.
struct Problem {
    matrix: Vec<Vec<Complex>>,
    /// Accumulated V; columns are eigenvectors of (y, w̃).
    vectors: Vec<Vec<Complex>>,
    norm: f64,
}

impl Problem {
    fn new(circuit: &Circuit) -> Self {
        let n = circuit.cells();
        let Svd { u, sigma, v } = svd(&circuit.coupling);
        let damping = u.transpose().times(&circuit.damping).times(&u);
        let size = 2 * n;
        let mut matrix = vec![vec![Complex::ZERO; size]; size];
        let mut vectors = matrix.clone();
        let real = |m: &Matrix, i, j| Complex::new(m[(i, j)], 0.0);
        for i in 0..n {
            for j in 0..n {
                // The damping is symmetric but for rounding; the rotations need it exactly so.
                let mean = 0.5 * (damping[(i, j)] + damping[(j, i)]);
                matrix[i][j] = Complex::new(-mean, 0.0);
                vectors[i][j] = real(&u, i, j);
                vectors[n + i][n + j] = real(&v, i, j);
            }
            matrix[i][n + i] = Complex::new(0.0, -sigma[i]);
            matrix[n + i][i] = matrix[i][n + i];
        }
        let norm = matrix.iter().flatten().map(|z| z.norm_squared()).sum::<f64>().sqrt();
        Self { matrix, vectors, norm }
    }

    fn diagonalise(&mut self, n: usize) -> Option<()> {
        for i in 0..n {
            self.rotate(i, n + i)?;
        }
        let mut last = f64::INFINITY;
        for _ in 0..SWEEPS {
            let off = self.off_diagonal();
            // Converged, or as near as rounding allows.
            if off <= 1e-15 * self.norm || (off <= 1e-12 * self.norm && off >= 0.5 * last) {
                return Some(());
            }
            last = off;
            for p in 0..2 * n {
                for q in p + 1..2 * n {
                    self.rotate(p, q)?;
                }
            }
        }
        None
    }

    /// Root of the sum of squared off-diagonal moduli.
    fn off_diagonal(&self) -> f64 {
        let size = self.matrix.len();
        let mut sum = 0.0;
        for p in 0..size {
            for q in p + 1..size {
                sum += 2.0 * self.matrix[p][q].norm_squared();
            }
        }
        sum.sqrt()
    }

    /// Makes element (p, q) zero; `None` where the rotation's angle is infinite.
    fn rotate(&mut self, p: usize, q: usize) -> Option<()> {
        let off = self.matrix[p][q];
        if off.norm() <= 1e-18 * self.norm {
            return Some(());
        }
        // t = tan θ, the smaller root of t² + 2 τ t − 1 = 0.
        let gap = self.matrix[q][q] - self.matrix[p][p];
        let tau = (gap * off.reciprocal()).scale(0.5);
        let root = (tau * tau + Complex::ONE).sqrt();
        let same_side = tau.re * root.re + tau.im * root.im >= 0.0;
        let t = (if same_side { tau + root } else { tau - root }).reciprocal();
        let square = t * t + Complex::ONE;
        if square.norm().is_nan() || square.norm() < 1e-8 {
            return None;
        }
        let c = square.sqrt().reciprocal();
        let s = t * c;
        for k in 0..self.matrix.len() {
            let (x, y) = (self.matrix[k][p], self.matrix[k][q]);
            self.matrix[k][p] = c * x - s * y;
            self.matrix[k][q] = s * x + c * y;
            let (x, y) = (self.vectors[k][p], self.vectors[k][q]);
            self.vectors[k][p] = c * x - s * y;
            self.vectors[k][q] = s * x + c * y;
        }
        for k in 0..self.matrix.len() {
            let (x, y) = (self.matrix[p][k], self.matrix[q][k]);
            self.matrix[p][k] = c * x - s * y;
            self.matrix[q][k] = s * x + c * y;
        }
        self.matrix[p][q] = Complex::ZERO;
        self.matrix[q][p] = Complex::ZERO;
        Some(())
    }

    /// Mode `k` in terms of (y, w).
    fn mode(&self, k: usize, n: usize) -> Mode {
        let column = |i: usize| self.vectors[i][k];
        // The amplitude is Vᵀ (y, w̃) with w̃ = −i w, and (y, w) = (V_y, i V_w̃) times it.
        let part = |i: usize, turn: fn(Complex) -> Complex| {
            if i < n { column(i) } else { turn(column(i)) }
        };
        Mode {
            rate: self.matrix[k][k],
            left: (0..2 * n).map(|i| part(i, |z| -z.times_i())).collect(),
            right: (0..2 * n).map(|i| part(i, Complex::times_i)).collect(),
        }
    }
}

impl Mode {
    /// The same mode with a real eigenvector: its common phase is moved away.
    fn into_real(self) -> Self {
        let mut largest = Complex::ZERO;
        for z in &self.right {
            if z.norm_squared() > largest.norm_squared() {
                largest = *z;
            }
        }
        let phase = largest.scale(1.0 / largest.norm());
        let back = phase.reciprocal();
        let real = |z: Complex| Complex::new(z.re, 0.0);
        Self {
            rate: real(self.rate),
            left: self.left.into_iter().map(|z| real(z * phase)).collect(),
            right: self.right.into_iter().map(|z| real(z * back)).collect(),
        }
    }
}
