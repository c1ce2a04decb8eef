//! Step 2 of a calibration: which pairs meet when, and what their readings say together.

use ndarray::Array2;

use super::refused;
use crate::device::pair_index;
use crate::error::Error;
use crate::rc::model::RcModel;

/// What all pairs give.
pub(super) struct Pairs {
    /// d a of each cell.
    pub(super) products: Vec<f64>,
    /// a of each cell.
    pub(super) gains: Vec<f64>,
    /// Elements of each coupling, in siemens.
    pub(super) couplings: Vec<Vec<f64>>,
    /// Root-mean-square disagreement of an element's readings.
    pub(super) residual: f64,
}

/// What an element reads of its pair: `g / (d_i a_i)`, `g / (d_j a_j)`; `g / (d_i a_j)`,
/// `g / (d_j a_i)`.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub(super) own: [f64; 2],
    pub(super) cross: [f64; 2],
}

/// Rounds of disjoint pairs in which every pair comes once (the circle method of tournaments).
pub(super) fn rounds(n: usize) -> Vec<Vec<(usize, usize)>> {
    let m = n + n % 2;
    (0..m.saturating_sub(1))
        .map(|round| {
            let seat = |k: usize| if k == 0 { 0 } else { 1 + (k - 1 + round) % (m - 1) };
            (0..m / 2)
                .map(|k| (seat(k), seat(m - 1 - k)))
                .map(|(a, b)| (a.min(b), a.max(b)))
                .filter(|(_, b)| *b < n)
                .collect()
        })
        .collect()
}

/// Products, gains and elements that agree best with all readings, which come by pair and bit.
///
/// # Errors
/// [`Error::Uncalibrated`], which names an element that does not couple.
pub(super) fn fit(nominal: &RcModel, readings: &[Vec<Reading>]) -> Result<Pairs, Error> {
    let n = nominal.cell_count();
    // Differences of logarithms, cell i's less cell j's.
    let mut products = Array2::<f64>::zeros((n, n));
    let mut gains = Array2::<f64>::zeros((n, n));
    for i in 0..n {
        for j in i + 1..n {
            let of_pair = &readings[pair_index(n, i, j)];
            for (bit, reading) in of_pair.iter().enumerate() {
                if reading
                    .own
                    .iter()
                    .chain(&reading.cross)
                    .any(|value| *value <= 0.0 || !value.is_finite())
                {
                    return Err(refused(&format!(
                        "element {bit} of the coupling of cells {i} and {j} does not couple them: \
                             its switch is stuck, or a channel is swapped"
                    )));
                }
                let product = (reading.own[1] / reading.own[0]).ln();
                let gain = 0.5 * ((reading.cross[0] / reading.cross[1]).ln() + product);
                products[[i, j]] += product / of_pair.len() as f64;
                gains[[i, j]] += gain / of_pair.len() as f64;
            }
            products[[j, i]] = -products[[i, j]];
            gains[[j, i]] = -gains[[i, j]];
        }
    }
    let over_all = |differences: &Array2<f64>, mean: f64| -> Vec<f64> {
        let rows = differences.rows().into_iter();
        rows.map(|row| mean * (row.sum() / n as f64).exp()).collect()
    };
    let cell = nominal.cells[0];
    let products = over_all(&products, cell.drive_ampere * cell.adc_gain);
    let gains = over_all(&gains, cell.adc_gain);
    let drive = |i: usize| products[i] / gains[i];
    let mut couplings = nominal.couplings.clone();
    let (mut squares, mut count) = (0.0, 0_u32);
    for i in 0..n {
        for j in i + 1..n {
            let pair = pair_index(n, i, j);
            for (bit, reading) in readings[pair].iter().enumerate() {
                let four = [
                    reading.own[0] * products[i],
                    reading.own[1] * products[j],
                    reading.cross[0] * drive(i) * gains[j],
                    reading.cross[1] * drive(j) * gains[i],
                ];
                let mean = four.iter().sum::<f64>() / 4.0;
                couplings[pair][bit] = mean;
                squares += four.iter().map(|g| (g / mean - 1.0).powi(2)).sum::<f64>();
                count += 4;
            }
        }
    }
    let residual = (squares / f64::from(count.max(1))).sqrt();
    Ok(Pairs { products, gains, couplings, residual })
}

#[cfg(test)]
mod tests {
    use super::rounds;

    #[test]
    fn every_pair_meets_once() {
        for n in 1..=8 {
            let mut met: Vec<(usize, usize)> = rounds(n).concat();
            for round in rounds(n) {
                let mut cells: Vec<usize> = round.iter().flat_map(|(i, j)| [*i, *j]).collect();
                cells.sort_unstable();
                cells.dedup();
                assert_eq!(cells.len(), 2 * round.len());
            }
            met.sort_unstable();
            let all: Vec<_> = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).collect();
            assert_eq!(met, all);
        }
    }
}
