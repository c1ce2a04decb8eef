//! Long vectors of f32: sums in f64, loops compiled for the CPU that runs them.

use pulp::Arch;

const LANES: usize = 32;
/// Products that a lane adds in f32 before they go to f64: few enough that their rounding is that of
/// the values themselves.
const SHORT: usize = 4;

/// Σ a b in f64, but for sums of four products.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    Arch::new().dispatch(|| {
        let mut sums = [0.0f64; LANES];
        let (a_blocks, b_blocks) = (a.chunks_exact(LANES * SHORT), b.chunks_exact(LANES * SHORT));
        let rest = a_blocks.remainder().iter().zip(b_blocks.remainder());
        let rest: f64 = rest.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        for (a, b) in a_blocks.zip(b_blocks) {
            let mut short = [0.0f32; LANES];
            for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
                for i in 0..LANES {
                    short[i] += a[i] * b[i];
                }
            }
            for i in 0..LANES {
                sums[i] += f64::from(short[i]);
            }
        }
        rest + sums.iter().sum::<f64>()
    })
}

/// ‖a‖₂ in f64.
pub(crate) fn norm(a: &[f32]) -> f64 {
    dot(a, a).sqrt()
}

/// y += s x.
pub(crate) fn axpy(s: f64, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len());
    let s = s as f32;
    Arch::new().dispatch(|| y.iter_mut().zip(x).for_each(|(y, x)| *y += s * x));
}

/// x *= s.
pub(crate) fn scale(s: f32, x: &mut [f32]) {
    for x in x {
        *x *= s;
    }
}

/// Whether all are finite.
pub(crate) fn finite(a: &[f32]) -> bool {
    // The sum of x·0 is NaN as soon as one x is not finite.
    Arch::new().dispatch(|| {
        let mut sums = [0.0f32; LANES];
        let chunks = a.chunks_exact(LANES);
        let rest: f32 = chunks.remainder().iter().map(|x| x * 0.0).sum();
        for chunk in chunks {
            for i in 0..LANES {
                sums[i] += chunk[i] * 0.0;
            }
        }
        !(rest + sums.iter().sum::<f32>()).is_nan()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::normals;

    #[test]
    fn sums_are_those_of_f64() {
        for n in [0, 5, 128, 1000, 37_434] {
            let draw = |seed| normals(seed, n).map(|z| z as f32).collect::<Vec<f32>>();
            let (a, b) = (draw(1), draw(2));
            let exact: f64 = a.iter().zip(&b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            assert!((dot(&a, &b) - exact).abs() <= 1e-8 * norm(&a) * norm(&b), "{n}");
            let mut sum = b.clone();
            axpy(2.0, &a, &mut sum);
            assert!(
                sum.iter()
                    .zip(a.iter().zip(&b))
                    .all(|(s, (a, b))| (s - (2.0 * a + b)).abs() < 1e-6)
            );
        }
    }

    #[test]
    fn what_is_not_finite_is_found_anywhere() {
        for n in [1, 40, 100] {
            assert!(finite(&vec![f32::MAX; n]));
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for at in [0, n / 2, n - 1] {
                    let mut values = vec![1.0; n];
                    values[at] = bad;
                    assert!(!finite(&values), "{bad} at {at} of {n}");
                }
            }
        }
    }
}
