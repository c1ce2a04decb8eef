//! Are the samples what the theory says? Every limit has a false-alarm rate of at most 1e-6 in its
//! test, all comparisons of the test together, from the number of independent samples.
//!
//! Where sums of many samples are compared with a normal law the limit is [`SIGMAS`] standard
//! errors: two-sided 2.6e-12 a comparison under the exact law, times at most 1,000 comparisons, and
//! times e^(γ z³ / 6) ≤ 60 for the skewness γ ≤ 0.07 that sums of fourth powers of [`SAMPLES`]
//! samples have: below 2e-7.

use ndarray::{Array1, Array2};
use spu_driver::invert::Quiet;
use spu_driver::linalg::symmetric_eigen;
use spu_driver::sample::{GaussianSamples, INDEPENDENT, sample_gaussian};
use statrs::distribution::{Binomial, DiscreteCDF};

use crate::bench::{Bench, Case, Need, Outcome};
use crate::support::{
    FALSE_ALARM, below, both, burst, effective, generator, invert, lively, record, ring, spd,
};

/// The suite.
pub(crate) const CASES: &[Case] = &[
    Case { name: "means_are_zero", needs: &[Need::Rlc], run: means },
    Case {
        name: "covariance_is_the_inverse",
        needs: &[Need::Rlc, Need::Exact, Need::Cells(2)],
        run: covariance,
    },
    Case { name: "third_and_fourth_moments_are_gaussian", needs: &[Need::Rlc], run: gaussian },
    Case { name: "samples_are_independent", needs: &[Need::Rlc], run: independent },
    Case { name: "shuffled_record_has_no_memory", needs: &[Need::Rlc], run: shuffled },
    Case {
        name: "intervals_cover_the_inverse",
        needs: &[Need::Rlc, Need::Exact, Need::Cells(2)],
        run: coverage,
    },
];

/// Limit in standard errors; see the module.
const SIGMAS: f64 = 7.0;
/// Independent samples of a test.
const SAMPLES: u64 = 20_000;
/// Part by which the sampled law of a staircase drive departs from white noise in a planned
/// program (`MODE_RATIO_LIMIT`), which samples, unlike inverses, are not corrected for.
const STAIRCASE: f64 = 3e-3;

fn draw(bench: &Bench, seed: u64) -> anyhow::Result<GaussianSamples> {
    let a = spd(&ring(bench.info().cells));
    let mut lease = bench.device()?;
    let options = effective(SAMPLES, seed);
    let samples = sample_gaussian(lease.board(), &a, SAMPLES, &options, &Quiet)?;
    assert_eq!(samples.values.dim(), (SAMPLES as usize, a.n()));
    Ok(samples)
}

/// Variance of a mean over that of independent samples: neighbours may be correlated by
/// [`INDEPENDENT`], later ones less and less.
fn inflation() -> f64 {
    1.0 + 4.0 * INDEPENDENT
}

fn mean_and_deviation(column: &[f64]) -> (f64, f64) {
    let count = column.len() as f64;
    let mean = column.iter().sum::<f64>() / count;
    let square = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
    (mean, (square / (count - 1.0)).sqrt())
}

fn columns(values: &Array2<f64>) -> Vec<Vec<f64>> {
    values.columns().into_iter().map(|column| column.to_vec()).collect()
}

fn means(bench: &Bench) -> Outcome {
    let samples = draw(bench, 61)?;
    for (cell, column) in columns(&samples.values).iter().enumerate() {
        let (mean, deviation) = mean_and_deviation(column);
        let mut sorted = column.clone();
        sorted.sort_by(f64::total_cmp);
        // The offset is read without dither: it is right to half a code.
        let code = sorted.windows(2).map(|w| w[1] - w[0]).filter(|d| *d > 1e-9 * deviation);
        let code = code.fold(f64::INFINITY, f64::min);
        let error = deviation * (inflation() / SAMPLES as f64).sqrt();
        let limit = SIGMAS.mul_add(error, 0.5 * code);
        assert!(mean.abs() <= limit, "cell {cell}: mean {mean} beyond {limit}");
        assert!(limit < 0.1 * deviation, "cell {cell}: a limit of {limit} says nothing");
    }
    Ok(())
}

fn covariance(bench: &Bench) -> Outcome {
    let samples = draw(bench, 62)?;
    let n = bench.info().cells;
    let expected = spd(&ring(n)).digital_inverse();
    let count = SAMPLES as f64;
    let size = symmetric_eigen(&expected).0[n - 1];
    for i in 0..n {
        for j in i..n {
            let pairs = samples.values.rows().into_iter().map(|row| row[i] * row[j]);
            let found = pairs.sum::<f64>() / count;
            let square = expected[[i, i]].mul_add(expected[[j, j]], expected[[i, j]].powi(2));
            let error = (square * inflation() / count).sqrt();
            let limit = SIGMAS.mul_add(error, STAIRCASE * size);
            let off = found - expected[[i, j]];
            assert!(off.abs() <= limit, "({i}, {j}): {found} for {}", expected[[i, j]]);
        }
    }
    Ok(())
}

/// Rows with mean zero and unit covariance, by the samples' own moments.
fn whitened(values: &Array2<f64>) -> Array2<f64> {
    let count = values.nrows() as f64;
    let means: Array1<f64> =
        values.rows().into_iter().fold(Array1::zeros(values.ncols()), |a, r| a + r) / count;
    let centred = values - &means;
    let covariance = centred.t().dot(&centred) / count;
    let (variances, vectors) = symmetric_eigen(&covariance);
    let mut rotated = centred.dot(&vectors);
    for mut row in rotated.rows_mut() {
        for (x, variance) in row.iter_mut().zip(&variances) {
            *x /= variance.sqrt();
        }
    }
    rotated
}

/// Hermite polynomials 0 to 4: orthogonal under the normal law, squared norm k!.
fn hermite(x: f64) -> [f64; 5] {
    let square = x * x;
    [1.0, x, square - 1.0, x * (square - 3.0), square * (square - 6.0) + 3.0]
}

/// Isserlis' theorem: of whitened Gaussian samples every product of Hermite polynomials of third
/// and fourth degree in all has mean zero and variance Π k!.
fn gaussian(bench: &Bench) -> Outcome {
    let samples = draw(bench, 63)?;
    let white = whitened(&samples.values);
    let n = white.ncols();
    let table: Vec<Vec<[f64; 5]>> =
        white.rows().into_iter().map(|row| row.iter().map(|x| hermite(*x)).collect()).collect();
    let mut degrees = Vec::new();
    fill(&mut vec![0; n], 0, 3, &mut degrees);
    fill(&mut vec![0; n], 0, 4, &mut degrees);
    assert!(degrees.len() <= 1000, "{} comparisons", degrees.len());
    let mut largest: f64 = 0.0;
    for degree in &degrees {
        let used: Vec<(usize, usize)> =
            degree.iter().copied().enumerate().filter(|(_, d)| *d > 0).collect();
        let product =
            |row: &Vec<[f64; 5]>| used.iter().map(|(cell, d)| row[*cell][*d]).product::<f64>();
        let mean = table.iter().map(product).sum::<f64>() / SAMPLES as f64;
        let norm: f64 = used.iter().map(|(_, d)| [1.0, 1.0, 2.0, 6.0, 24.0][*d]).product();
        let sigmas = mean / (norm * inflation() / SAMPLES as f64).sqrt();
        largest = largest.max(sigmas.abs());
        assert!(sigmas.abs() <= SIGMAS, "degrees {degree:?}: {sigmas} standard errors");
    }
    eprintln!("{}: {} moments, largest {largest:.2} sigma", bench.name(), degrees.len());
    Ok(())
}

/// Every way to share `left` degrees among the cells from `cell` on.
fn fill(degree: &mut Vec<usize>, cell: usize, left: usize, all: &mut Vec<Vec<usize>>) {
    if cell + 1 == degree.len() {
        degree[cell] = left;
        all.push(degree.clone());
        return;
    }
    for own in 0..=left {
        degree[cell] = own;
        fill(degree, cell + 1, left - own, all);
    }
}

/// Correlation of one column with another `lag` samples later.
fn correlation(x: &[f64], y: &[f64], lag: usize) -> f64 {
    let ((mx, sx), (my, sy)) = (mean_and_deviation(x), mean_and_deviation(y));
    let pairs = x.iter().zip(&y[lag..]);
    let count = x.len() - lag;
    pairs.map(|(a, b)| (a - mx) * (b - my)).sum::<f64>() / (count as f64 * sx * sy)
}

/// Largest correlation over the first lags within and between columns, of two different cells at
/// lag 0 as well if `across`.
fn memory(columns: &[Vec<f64>], across: bool) -> f64 {
    let mut largest: f64 = 0.0;
    for (i, x) in columns.iter().enumerate() {
        for (j, y) in columns.iter().enumerate() {
            let first = usize::from(!across || i == j);
            for lag in first..8 {
                largest = largest.max(correlation(x, y, lag).abs());
            }
        }
    }
    largest
}

/// Real modes forget a little later than nominal ones: the stated spread of R and L moves the decay
/// over a sample by a small part, so twice the nominal rest is allowed.
fn independent(bench: &Bench) -> Outcome {
    let samples = draw(bench, 64)?;
    let largest = memory(&columns(&samples.values), false);
    let limit = SIGMAS.mul_add((inflation() / (SAMPLES - 8) as f64).sqrt(), 2.0 * INDEPENDENT);
    assert!(largest <= limit, "correlation {largest} beyond {limit}");
    Ok(())
}

/// A permutation of 0 … count − 1 (Fisher and Yates).
fn permutation(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut rng = generator(seed);
    for index in (1..count).rev() {
        order.swap(index, below(&mut rng, index as u64 + 1) as usize);
    }
    order
}

/// A record at full rate has a long memory; each cell's codes in an order of their own have none,
/// within or between cells. The first half shows that the measure of the other tests can see.
fn shuffled(bench: &Bench) -> Outcome {
    let info = bench.info().clone();
    let mut lease = bench.device()?;
    let count = burst(&info);
    let (keep, _) = record(lease.board(), &lively(&info, 65), &both(5000, 1, count))?;
    let columns: Vec<Vec<f64>> = (0..info.cells).map(|cell| keep.cell(cell).collect()).collect();
    assert!(memory(&columns, true) > 0.9, "neighbouring samples at full rate are alike");
    let null: Vec<Vec<f64>> = columns
        .iter()
        .enumerate()
        .map(|(cell, column)| {
            permutation(column.len(), 66 + cell as u64).iter().map(|at| column[*at]).collect()
        })
        .collect();
    let (largest, limit) = (memory(&null, true), SIGMAS / f64::from(count - 8).sqrt());
    assert!(largest <= limit, "correlation {largest} beyond {limit} in a shuffled record");
    Ok(())
}

/// One entry a run, so that hits are independent: their number is binomial with 95 %.
///
/// The band leaves 1e-6 outside, both sides together. The interval's own approximations (batch
/// means, Student's t) may cost 1 %, so the lower side is taken at 94 %, the upper at 96 %.
fn coverage(bench: &Bench) -> Outcome {
    const RUNS: u64 = 150;
    let a = spd(&ring(bench.info().cells));
    let reference = a.digital_inverse();
    let n = a.n();
    let entries: Vec<(usize, usize)> = (0..n).flat_map(|i| (i..n).map(move |j| (i, j))).collect();
    let mut lease = bench.device()?;
    let (mut hits, mut all) = (0, 0.0);
    for run in 0..RUNS {
        let result = invert(lease.board(), &a, &effective(2000, 2000 + run))?;
        let covers = |(i, j): (usize, usize)| {
            (result.inverse[[i, j]] - reference[[i, j]]).abs() <= result.half_widths[[i, j]]
        };
        hits += u64::from(covers(entries[run as usize % entries.len()]));
        all += entries.iter().filter(|entry| covers(**entry)).count() as f64 / entries.len() as f64;
    }
    let low = Binomial::new(0.94, RUNS)?;
    let high = Binomial::new(0.96, RUNS)?;
    eprintln!("coverage {hits} of {RUNS}; over all entries {:.4}", all / RUNS as f64);
    assert!(low.cdf(hits) >= 0.5 * FALSE_ALARM, "{hits} of {RUNS} intervals cover: too narrow");
    assert!(
        high.sf(hits.saturating_sub(1)) >= 0.5 * FALSE_ALARM,
        "{hits} of {RUNS} cover: too wide"
    );
    Ok(())
}
