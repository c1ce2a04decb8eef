//! Modes of a linear circuit from what can be measured on it.

use nalgebra::{Complex, DMatrix, DVector};

/// A mode: a pair of complex poles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mode {
    /// Undamped natural frequency |s| / 2π, in hertz; of a parallel RLC cell, where its impedance is largest.
    pub hertz: f64,
    /// Quality |s| / (−2 Re s); of a parallel RLC cell, this frequency over the width at −3 dB.
    pub q: f64,
}

/// The modes of a circuit of `order` poles whose free decay is `samples`, one every `period` seconds.
///
/// A sum of `order` decaying exponentials obeys a linear recurrence of that order, whose characteristic
/// roots are e^{sT} (Prony).
pub(crate) fn of_decay(samples: &[f64], order: usize, period: f64) -> Option<Vec<Mode>> {
    let rows = samples.len().checked_sub(order)?;
    let matrix = DMatrix::from_fn(rows, order, |k, j| samples[k + j]);
    let right = DVector::from_fn(rows, |k, _| samples[k + order]);
    let recurrence = least_squares(matrix, &right)?;
    // z^n = Σ a_j z^j
    let roots = roots(&recurrence.iter().map(|a| -a).collect::<Vec<_>>());
    Some(modes(roots.into_iter().map(|z| z.ln() / period)))
}

/// The modes of a circuit of `order` poles whose impedance at some frequencies (hertz) is this.
///
/// With Z = N(s)/D(s), D monic of degree `order` and N of one degree less, N(s) − Z (D(s) − s^n) = Z s^n is
/// linear in the coefficients (Levy). s is in units of the middle frequency.
pub(crate) fn of_impedance(spectrum: &[(f64, Complex<f64>)], order: usize) -> Option<Vec<Mode>> {
    let middle = spectrum.get(spectrum.len() / 2)?.0;
    let largest = spectrum.iter().map(|(_, z)| z.norm()).fold(0.0, f64::max);
    let term = |row: usize, column: usize| {
        let (hertz, z) = spectrum[row / 2];
        let s = Complex::new(0.0, hertz / middle);
        let value = if column < order {
            s.powu(column as u32)
        } else {
            -z / largest * s.powu((column - order) as u32)
        };
        if row.is_multiple_of(2) { value.re } else { value.im }
    };
    let rows = 2 * spectrum.len();
    let matrix = DMatrix::from_fn(rows, 2 * order, term);
    let right = DVector::from_fn(rows, |row, _| -term(row, 2 * order));
    let coefficients = least_squares(matrix, &right)?;
    let omega = std::f64::consts::TAU * middle;
    let poles = roots(&coefficients.as_slice()[order..]);
    Some(modes(poles.into_iter().map(|s| s * omega)))
}

/// Least squares with columns scaled to equal length.
fn least_squares(mut matrix: DMatrix<f64>, right: &DVector<f64>) -> Option<DVector<f64>> {
    let scale: Vec<f64> = matrix.column_iter().map(|column| column.norm()).collect();
    for (mut column, norm) in matrix.column_iter_mut().zip(&scale) {
        column /= *norm;
    }
    let mut solution = matrix.svd(true, true).solve(right, 0.0).ok()?;
    for (value, norm) in solution.iter_mut().zip(&scale) {
        *value /= norm;
    }
    Some(solution)
}

/// Roots of `z^n + c[n−1] z^(n−1) + … + c[0]`, the eigenvalues of its companion matrix.
fn roots(coefficients: &[f64]) -> Vec<Complex<f64>> {
    let n = coefficients.len();
    let companion = DMatrix::from_fn(n, n, |i, j| {
        let last = if j == n - 1 { -coefficients[i] } else { 0.0 };
        last + if i == j + 1 { 1.0 } else { 0.0 }
    });
    companion.complex_eigenvalues().iter().copied().collect()
}

/// The modes of poles, by frequency: of each pair the one with the positive imaginary part.
fn modes(poles: impl Iterator<Item = Complex<f64>>) -> Vec<Mode> {
    let mut modes: Vec<_> = poles
        .filter(|s| s.im > 0.0)
        .map(|s| Mode { hertz: s.norm() / std::f64::consts::TAU, q: s.norm() / (-2.0 * s.re) })
        .collect();
    modes.sort_by(|a, b| a.hertz.total_cmp(&b.hertz));
    modes
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    const POLES: [(f64, f64); 2] = [(100e3, 2.0), (130e3, 3.0)];

    fn pole((hertz, q): (f64, f64)) -> Complex<f64> {
        let omega = TAU * hertz;
        Complex::new(-omega / (2.0 * q), omega * (1.0 - 0.25 / (q * q)).sqrt())
    }

    fn check(found: &[Mode]) {
        assert_eq!(found.len(), 2);
        for (mode, (hertz, q)) in found.iter().zip(POLES) {
            assert!((mode.hertz / hertz - 1.0).abs() < 1e-8, "{mode:?}");
            assert!((mode.q / q - 1.0).abs() < 1e-8, "{mode:?}");
        }
    }

    #[test]
    fn modes_of_a_decay_and_of_an_impedance() {
        let period = 1.0 / 12e6;
        let decay: Vec<f64> = (0..100)
            .map(|k| POLES.map(|p| (pole(p) * period * f64::from(k)).exp().re).iter().sum())
            .collect();
        check(&of_decay(&decay, 4, period).unwrap());
        let spectrum: Vec<_> = (1..100)
            .map(|k| {
                let hertz = 4e3 * f64::from(k);
                let s = Complex::new(0.0, TAU * hertz);
                let part = |p| {
                    let a = pole(p);
                    s / ((s - a) * (s - a.conj())) * 1e9
                };
                (hertz, POLES.map(part).iter().sum())
            })
            .collect();
        check(&of_impedance(&spectrum, 4).unwrap());
    }
}
