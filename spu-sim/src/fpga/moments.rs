//! Accumulators over kept ticks: sums, products, saturations.

use crate::dispatch::{Kernel, MulAdd};
use crate::{AdcRow, LANES};

/// Distances between cells that cover every pair: lane l of distance d is the product of cells l
/// and l + d (mod 8), so five distances of eight lanes hold all 36 products.
const DISTANCES: usize = LANES / 2 + 1;

/// Accumulators. 64 bits never overflow in 2³² ticks: a product is at most 2³⁰.
#[derive(Debug, Clone, Default)]
#[repr(align(64))]
pub(crate) struct Moments {
    sums: [i64; LANES],
    products: [[i64; LANES]; DISTANCES],
    saturated: [u64; LANES],
}

impl Moments {
    /// Sum of the codes of a cell.
    pub(crate) fn sum(&self, cell: usize) -> i64 {
        self.sums[cell]
    }

    /// Sum of the products of two cells, `i ≤ j`.
    pub(crate) fn product(&self, i: usize, j: usize) -> i64 {
        let distance = j - i;
        if distance < DISTANCES {
            self.products[distance][i]
        } else {
            self.products[LANES - distance][j]
        }
    }

    /// Ticks at which a cell's code was at full scale; stops at 2³² − 1.
    pub(crate) fn saturated(&self, cell: usize) -> u32 {
        u32::try_from(self.saturated[cell]).unwrap_or(u32::MAX)
    }
}

/// Adds rows to the saturation counts and, if `products` is set, to the moments.
pub(crate) struct Accumulate<'a> {
    pub(crate) moments: &'a mut Moments,
    pub(crate) rows: &'a [AdcRow],
    pub(crate) full_scale: i16,
    pub(crate) products: bool,
}

impl Kernel for Accumulate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        // A block's counts and sums fit 32 bits; so does a pair of products: 2 · (2¹⁵ − 1)² < 2³¹.
        for rows in self.rows.chunks(1 << 12) {
            saturations(self.moments, rows, self.full_scale);
            if self.products {
                products(self.moments, rows);
            }
        }
    }
}

#[inline(always)]
fn saturations(moments: &mut Moments, rows: &[AdcRow], full_scale: i16) {
    let mut counts = [0_i16; LANES];
    for row in rows {
        for lane in 0..LANES {
            counts[lane] += i16::from(row[lane].0 >= full_scale || row[lane].0 <= -full_scale);
        }
    }
    for lane in 0..LANES {
        moments.saturated[lane] += counts[lane] as u64;
    }
}

#[inline(always)]
fn products(moments: &mut Moments, rows: &[AdcRow]) {
    let mut sums = [0_i32; LANES];
    let mut products = moments.products;
    let (pairs, last) = rows.as_chunks::<2>();
    let padded = last.first().map(|&row| [row, AdcRow::default()]);
    for [a, b] in pairs.iter().chain(&padded) {
        let (a, b) = (wide(a), wide(b));
        for lane in 0..LANES {
            sums[lane] += a[lane] + b[lane];
        }
        for distance in 0..DISTANCES {
            let (far_a, far_b) = (rotate(a, distance), rotate(b, distance));
            for lane in 0..LANES {
                let both = a[lane] * far_a[lane] + b[lane] * far_b[lane];
                products[distance][lane] += i64::from(both);
            }
        }
    }
    moments.products = products;
    for lane in 0..LANES {
        moments.sums[lane] += i64::from(sums[lane]);
    }
}

#[inline(always)]
fn wide(row: &AdcRow) -> [i32; LANES] {
    std::array::from_fn(|lane| i32::from(row[lane].0))
}

#[inline(always)]
fn rotate(row: [i32; LANES], distance: usize) -> [i32; LANES] {
    std::array::from_fn(|lane| row[(lane + distance) % LANES])
}

#[cfg(test)]
mod tests {
    use spu_protocol::code::AdcCode;

    use super::*;
    use crate::dispatch::Dispatch;

    #[test]
    fn moments_are_the_plain_sums() {
        use rand_core::{Rng, SeedableRng};
        let mut generator = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(1);
        let mut rows: Vec<AdcRow> = (0..5001)
            .map(|_| std::array::from_fn(|_| AdcCode((generator.next_u64() as i16).max(-32767))))
            .collect();
        rows[7] = [AdcCode(-32767); LANES];
        rows[8] = [AdcCode(-32767); LANES];
        for dispatch in [Dispatch::detect(), Dispatch::scalar()] {
            let mut moments = Moments::default();
            for rows in rows.chunks(999) {
                let moments = &mut moments;
                dispatch.run(Accumulate { moments, rows, full_scale: 30_000, products: true });
            }
            for i in 0..LANES {
                let column = |i: usize| rows.iter().map(move |row| i64::from(row[i].0));
                assert_eq!(moments.sum(i), column(i).sum::<i64>());
                let high = column(i).filter(|code| code.abs() >= 30_000).count();
                assert_eq!(moments.saturated(i) as usize, high);
                for j in i..LANES {
                    let product: i64 = column(i).zip(column(j)).map(|(a, b)| a * b).sum();
                    assert_eq!(moments.product(i, j), product, "{i} {j}");
                }
            }
        }
    }
}
