//! Fourth moments against Isserlis' theorem: for a Gaussian of mean zero
//! `E[v_i v_j v_k v_l] = Σ_ij Σ_kl + Σ_ik Σ_jl + Σ_il Σ_jk`.

use serde::Serialize;

use super::record::Record;
use super::{BATCHES, Estimate, Extreme};

/// Deviations of the fourth moments from Isserlis' theorem, in units of the cells' root mean squares.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FourthMoments {
    /// Every i ≤ j ≤ k ≤ l of cells with a signal.
    pub moments: Vec<FourthMoment>,
    /// Excess kurtosis `E[v⁴]/E[v²]² − 3` of each of them.
    pub excess_kurtosis: Vec<(usize, Estimate)>,
    /// The largest deviation.
    pub worst: Extreme,
    /// Mean of z²: near 1 where the law is Gaussian (Student's t with 63 degrees of freedom: 1.03).
    pub mean_square_z: f64,
    /// Batches of the jackknife, each many correlation times long: the effective sample size enters
    /// through their scatter.
    pub batches: usize,
}

/// One fourth moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FourthMoment {
    /// The cells.
    pub cells: [usize; 4],
    /// The moment over the root mean squares of its cells.
    pub moment: f64,
    /// What the second moments make of it.
    pub gaussian: f64,
    /// Their difference, without the bias of the second moments' own errors (jackknife).
    pub excess: Estimate,
    /// The difference in standard errors.
    pub z: f64,
}

struct Sums {
    ticks: f64,
    second: Vec<f64>,
    fourth: Vec<f64>,
}

fn pair(n: usize, i: usize, j: usize) -> usize {
    let (i, j) = (i.min(j), i.max(j));
    i * (2 * n - i + 1) / 2 + j - i
}

/// From the record, less silent cells.
pub(crate) fn fourth(record: &Record, silent: &[usize]) -> FourthMoments {
    let cells: Vec<usize> = (0..record.n()).filter(|cell| !silent.contains(cell)).collect();
    let n = cells.len();
    let mut index = Vec::new();
    for i in 0..n {
        for j in i..n {
            for k in j..n {
                index.extend((k..n).map(|l| [i, j, k, l]));
            }
        }
    }
    let places: Vec<(usize, usize)> =
        index.iter().map(|[i, j, k, l]| (pair(n, *i, *j), pair(n, *k, *l))).collect();
    let variances = record.code_variances();
    let unit: Vec<f64> = cells.iter().map(|cell| variances[*cell].powf(-0.5)).collect();
    let mut parts: Vec<Sums> = Vec::new();
    let mut products = vec![0.0; n * (n + 1) / 2];
    let mut frame = vec![0.0; n];
    for range in record.parts(BATCHES) {
        let mut sums = Sums {
            ticks: range.len() as f64,
            second: vec![0.0; products.len()],
            fourth: vec![0.0; index.len()],
        };
        for tick in range {
            for ((value, cell), unit) in frame.iter_mut().zip(&cells).zip(&unit) {
                *value = (f64::from(record.codes[*cell][tick]) - record.means[*cell]) * unit;
            }
            let mut at = 0;
            for i in 0..n {
                for j in i..n {
                    products[at] = frame[i] * frame[j];
                    sums.second[at] += products[at];
                    at += 1;
                }
            }
            for (sum, (a, b)) in sums.fourth.iter_mut().zip(&places) {
                *sum += products[*a] * products[*b];
            }
        }
        parts.push(sums);
    }
    let whole = Sums {
        ticks: parts.iter().map(|part| part.ticks).sum(),
        second: total(&parts, |part| &part.second),
        fourth: total(&parts, |part| &part.fourth),
    };
    let gaussian = |second: &[f64], ticks: f64, [i, j, k, l]: [usize; 4]| {
        let s = |a, b| second[pair(n, a, b)] / ticks;
        s(i, j) * s(k, l) + s(i, k) * s(j, l) + s(i, l) * s(j, k)
    };
    let batches = parts.len() as f64;
    let mut moments = Vec::new();
    for (place, cells_of) in index.iter().enumerate() {
        let (moment, expected) =
            (whole.fourth[place] / whole.ticks, gaussian(&whole.second, whole.ticks, *cells_of));
        let mut pseudo = Vec::with_capacity(parts.len());
        for part in &parts {
            let ticks = whole.ticks - part.ticks;
            let s = |a: usize, b: usize| {
                let at = pair(n, a, b);
                (whole.second[at] - part.second[at]) / ticks
            };
            let [i, j, k, l] = *cells_of;
            let without = (whole.fourth[place] - part.fourth[place]) / ticks
                - (s(i, j) * s(k, l) + s(i, k) * s(j, l) + s(i, l) * s(j, k));
            pseudo.push(batches * (moment - expected) - (batches - 1.0) * without);
        }
        let excess = Estimate::of(&pseudo);
        moments.push(FourthMoment {
            cells: cells_of.map(|at| cells[at]),
            moment,
            gaussian: expected,
            z: excess.value / excess.error,
            excess,
        });
    }
    let kurtosis = |moment: &&FourthMoment| moment.cells.iter().all(|i| *i == moment.cells[0]);
    FourthMoments {
        excess_kurtosis: moments
            .iter()
            .filter(kurtosis)
            .map(|moment| (moment.cells[0], moment.excess))
            .collect(),
        worst: Extreme::of(moments.iter().map(|m| (m.cells.to_vec(), m.z)), parts.len()),
        mean_square_z: moments.iter().map(|m| m.z * m.z).sum::<f64>() / moments.len() as f64,
        batches: parts.len(),
        moments,
    }
}

fn total(parts: &[Sums], of: fn(&Sums) -> &Vec<f64>) -> Vec<f64> {
    let mut sum = vec![0.0; of(&parts[0]).len()];
    for part in parts {
        for (sum, value) in sum.iter_mut().zip(of(part)) {
            *sum += value;
        }
    }
    sum
}
