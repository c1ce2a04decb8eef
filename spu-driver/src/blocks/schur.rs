//! The recursion: Schur complements until a block fits.

use ndarray::{Array2, ArrayRef2, s};

use crate::linalg::large::{multiply, multiply_flops, symmetrised};

/// Inverts a block, given the number of its first row in the whole.
pub(crate) type Leaf<'a, E> = dyn FnMut(usize, &Array2<f64>) -> Result<Array2<f64>, E> + 'a;

/// Inverts `a`, whose first row is row `first` of the whole, with `leaf` for blocks of at most `size`
/// rows. Adds the operations between leaves to `flops`.
pub(crate) fn invert<E>(
    a: &ArrayRef2<f64>,
    size: usize,
    first: usize,
    flops: &mut u64,
    leaf: &mut Leaf<'_, E>,
) -> Result<Array2<f64>, E> {
    let n = a.nrows();
    if n <= size {
        return leaf(first, &a.to_owned());
    }
    // Half of the leaves, each full.
    let head = size * n.div_ceil(size).div_ceil(2);
    let tail = n - head;
    let q = a.slice(s![..head, head..]);
    let b = invert(&a.slice(s![..head, ..head]), size, first, flops, leaf)?;
    let w = multiply(&b, &q);
    let complement = &a.slice(s![head.., head..]) - &multiply(&q.t(), &w);
    *flops += multiply_flops(head, head, tail) + multiply_flops(tail, head, tail);
    *flops += (tail * tail) as u64;
    let c = invert(&symmetrised(&complement), size, first + head, flops, leaf)?;
    let wc = multiply(&w, &c);
    let corner = &b + &multiply(&wc, &w.t());
    *flops += multiply_flops(head, tail, tail) + multiply_flops(head, tail, head);
    *flops += (head * head) as u64;
    let mut out = Array2::zeros((n, n));
    out.slice_mut(s![..head, ..head]).assign(&symmetrised(&corner));
    out.slice_mut(s![..head, head..]).assign(&-&wc);
    out.slice_mut(s![head.., ..head]).assign(&-&wc.t());
    out.slice_mut(s![head.., head..]).assign(&c);
    Ok(out)
}
