//! Long vectors of f32: sums in f64, loops compiled for the CPU that runs them.

use pulp::Arch;

const LANES: usize = 16;

/// Σ a b in f64.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    Arch::new().dispatch(|| {
        let mut sums = [0.0f64; LANES];
        let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
        let rest = a_chunks.remainder().iter().zip(b_chunks.remainder());
        let rest: f64 = rest.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        for (a, b) in a_chunks.zip(b_chunks) {
            for i in 0..LANES {
                sums[i] += f64::from(a[i]) * f64::from(b[i]);
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
