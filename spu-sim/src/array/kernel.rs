//! Loops over the arrays: the same operations in the same order on every instruction set.

use crate::dispatch::{Kernel, MulAdd};
use crate::noise::{RMS, shape};

/// Accumulators of a sum: their order, and so every bit of the sum, is fixed.
pub(super) const WIDTH: usize = 8;
/// Columns of an array that are decoded at once.
pub(super) const COLUMNS: usize = 512;

/// What turns a code into the transmission of its resistors.
///
/// An element is a differential pair of banks: a positive code sets the one that adds, a negative
/// code the one that subtracts, the other is open. Element i of an array has its own relative
/// tolerance for each sign, [`shape`] of a hash of 2i + sign: a deviate within 4.04 σ that no
/// memory holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// Transmission of code 1.
    pub(super) lsb: f64,
    /// 1 σ of the relative tolerance.
    pub(super) spread: f64,
    /// Which draw.
    pub(super) key: [u32; 2],
}

/// C. Wellons' `lowbias32`: a permutation of 32-bit words with little bias.
const fn mix(word: u32) -> u32 {
    let word = (word ^ word >> 16).wrapping_mul(0x7FEB_352D);
    let word = (word ^ word >> 15).wrapping_mul(0x846C_A68B);
    word ^ word >> 16
}

impl Scale {
    /// Transmission of the element of this index.
    #[inline(always)]
    fn of<M: MulAdd>(&self, code: i16, index: u32) -> f64 {
        let element = index << 1 | u32::from(code < 0);
        let [first, second] = self.key;
        let deviate = shape(mix(mix(element ^ first).wrapping_add(second)));
        let factor = M::mul_add(self.spread / RMS, f64::from(deviate), 1.0);
        f64::from(code) * self.lsb * factor
    }
}

/// Elements from `index` on; what is beyond the codes is 0.
pub(super) struct Decode<'a> {
    pub(super) scale: Scale,
    pub(super) codes: &'a [i16],
    pub(super) index: u32,
    pub(super) out: &'a mut [f64],
}

impl Kernel for Decode<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let Self { scale, codes, index, out } = self;
        let (here, beyond) = out.split_at_mut(codes.len());
        if scale.spread == 0.0 {
            for (out, code) in here.iter_mut().zip(codes) {
                *out = f64::from(*code) * scale.lsb;
            }
        } else {
            for (k, (out, code)) in here.iter_mut().zip(codes).enumerate() {
                *out = scale.of::<M>(*code, index.wrapping_add(k as u32));
            }
        }
        beyond.fill(0.0);
    }
}

/// out += a bᵀ for row-major a and b with rows of `len` entries, a multiple of [`WIDTH`].
pub(super) struct AddProduct<'a> {
    pub(super) a: &'a [f64],
    pub(super) b: &'a [f64],
    pub(super) len: usize,
    pub(super) out: &'a mut [f64],
}

impl Kernel for AddProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let Self { a, b, len, out } = self;
        if len == 0 {
            return;
        }
        let columns = b.len() / len;
        for (pair, rows) in a.chunks(2 * len).zip(out.chunks_mut(2 * columns.max(1))) {
            let (first, second) = pair.split_at(len);
            for (k, other) in b.chunks(2 * len).enumerate() {
                let (left, right) = other.split_at(len);
                match (second.is_empty(), right.is_empty()) {
                    (false, false) => {
                        let sums = dots::<M>(first, second, left, right);
                        rows[2 * k] += sums[0];
                        rows[2 * k + 1] += sums[1];
                        rows[columns + 2 * k] += sums[2];
                        rows[columns + 2 * k + 1] += sums[3];
                    }
                    (false, true) => {
                        rows[2 * k] += dot::<M>(first, left);
                        rows[columns + 2 * k] += dot::<M>(second, left);
                    }
                    (true, false) => {
                        rows[2 * k] += dot::<M>(first, left);
                        rows[2 * k + 1] += dot::<M>(first, right);
                    }
                    (true, true) => rows[2 * k] += dot::<M>(first, left),
                }
            }
        }
    }
}

/// Four inner products at once: each operand is loaded for two of them.
#[inline(always)]
fn dots<M: MulAdd>(a: &[f64], b: &[f64], c: &[f64], d: &[f64]) -> [f64; 4] {
    let mut sums = [[0.0; WIDTH]; 4];
    let left = a.chunks_exact(WIDTH).zip(b.chunks_exact(WIDTH));
    let right = c.chunks_exact(WIDTH).zip(d.chunks_exact(WIDTH));
    for ((a, b), (c, d)) in left.zip(right) {
        for lane in 0..WIDTH {
            sums[0][lane] = M::mul_add(a[lane], c[lane], sums[0][lane]);
            sums[1][lane] = M::mul_add(a[lane], d[lane], sums[1][lane]);
            sums[2][lane] = M::mul_add(b[lane], c[lane], sums[2][lane]);
            sums[3][lane] = M::mul_add(b[lane], d[lane], sums[3][lane]);
        }
    }
    sums.map(total)
}

#[inline(always)]
fn dot<M: MulAdd>(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; WIDTH];
    for (a, b) in a.chunks_exact(WIDTH).zip(b.chunks_exact(WIDTH)) {
        for lane in 0..WIDTH {
            sums[lane] = M::mul_add(a[lane], b[lane], sums[lane]);
        }
    }
    total(sums)
}

#[inline(always)]
fn total(sums: [f64; WIDTH]) -> f64 {
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

/// out += factor x.
pub(super) struct AddScaled<'a> {
    pub(super) factor: f64,
    pub(super) x: &'a [f64],
    pub(super) out: &'a mut [f64],
}

impl Kernel for AddScaled<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        for (out, x) in self.out.iter_mut().zip(self.x) {
            *out = M::mul_add(self.factor, *x, *out);
        }
    }
}

/// out = keep out + factor x.
pub(super) struct Relax<'a> {
    pub(super) keep: f64,
    pub(super) factor: f64,
    pub(super) x: &'a [f64],
    pub(super) out: &'a mut [f64],
}

impl Kernel for Relax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        for (out, x) in self.out.iter_mut().zip(self.x) {
            *out = M::mul_add(self.keep, *out, self.factor * *x);
        }
    }
}
