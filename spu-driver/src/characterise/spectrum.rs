//! Power and cross spectra by Welch's method against the law of the board.
//!
//! Welch, IEEE Trans. Audio Electroacoust. 15, 70 (1967): Hann window, half overlapping segments. What
//! the estimate expects is not the spectrum itself but the spectrum seen through the window: with
//! `a(τ)` the window's autocorrelation, `2 h Σ K(τ) a(τ) e^{−iωhτ}`, which is exact.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex64;
use serde::Serialize;
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::record::Record;
use super::theory::{Theory, identity, solve};
use super::{ALARM, Estimate};

/// Most bands of the output.
const BANDS: usize = 160;
/// Squared correlation of the Hann window with itself half a segment away.
const OVERLAP: f64 = 1.0 / 36.0;
/// Correlation of the powers of bins one and two apart under a Hann window.
const NEIGHBOUR: [f64; 2] = [4.0 / 9.0, 1.0 / 36.0];

/// One-sided spectra of the cells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spectra {
    /// Samples of a segment.
    pub segment: usize,
    /// Half overlapping segments that were averaged.
    pub averages: usize,
    /// Equivalent noise bandwidth of the window, 1.5 bins, in Hz.
    pub resolution_hz: f64,
    /// Degrees of freedom of the power in one bin.
    pub degrees_of_freedom: f64,
    /// Level of the bands `low` to `high`.
    pub confidence: f64,
    /// Middle of each band, in Hz. Bins are grouped in bands of equal ratio.
    pub frequency_hz: Vec<f64>,
    /// Cell by cell.
    pub cells: Vec<CellSpectrum>,
    /// Pair by pair.
    pub pairs: Vec<PairSpectrum>,
}

/// Spectrum of one cell; densities in V²/Hz, one a band.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellSpectrum {
    /// Number of the cell.
    pub cell: usize,
    /// Measured density.
    pub density: Vec<f64>,
    /// Lower end of its confidence band (χ²).
    pub low: Vec<f64>,
    /// Upper end.
    pub high: Vec<f64>,
    /// Density that the law of the board and the window make the estimate expect: digital.
    pub expected: Vec<f64>,
    /// The law's density itself, in the middle of the band: digital.
    pub theory: Vec<f64>,
    /// χ² of the match over every second bin, divided by their number; 1 where the law holds.
    pub chi_squared: f64,
    /// Deviation of it from 1 in standard errors.
    pub chi_squared_z: f64,
    /// Bins behind it.
    pub bins: usize,
    /// True if the match is worse than chance allows at a false-alarm rate below 1e-6.
    pub deviates: bool,
    /// Noise current of the cell's own drive, times the gain of its converter, over the law's (amplitudes):
    /// found by taking the board's
    /// response off the measured cross spectra; `None` without a signal in every cell.
    pub drive: Option<Estimate>,
}

/// Coherence of a pair of cells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairSpectrum {
    /// The cells.
    pub cells: (usize, usize),
    /// Squared coherence `|S_ij|² / (S_ii S_jj)`, one a band.
    pub coherence: Vec<f64>,
    /// What the law expects.
    pub expected: Vec<f64>,
    /// Phase of the cross spectrum, in radians.
    pub phase: Vec<f64>,
    /// Largest coherence of a band.
    pub strongest: f64,
    /// Squared distance of the cross spectrum from the law's over its variance, mean of every second
    /// bin; 1 where the law holds.
    pub chi_squared: f64,
    /// Deviation of it from 1 in standard errors.
    pub chi_squared_z: f64,
}

/// Cross spectral densities, in V²/Hz, of pairs (i, j), i ≤ j, over all bins.
pub(crate) struct Densities {
    pub(crate) segment: usize,
    pub(crate) averages: usize,
    n: usize,
    pairs: Vec<Vec<Complex64>>,
}

impl Densities {
    pub(crate) fn at(&self, i: usize, j: usize) -> &[Complex64] {
        let (i, j) = (i.min(j), i.max(j));
        &self.pairs[i * (2 * self.n - i + 1) / 2 + j - i]
    }

    /// Density of (i, j) in any order.
    pub(crate) fn entry(&self, i: usize, j: usize, bin: usize) -> Complex64 {
        let value = self.at(i, j)[bin];
        if i <= j { value } else { value.conj() }
    }

    /// Independent averages that have the same variance (Welch 1967).
    pub(crate) fn effective_averages(&self) -> f64 {
        let count = self.averages as f64;
        count / (1.0 + 2.0 * OVERLAP * (1.0 - 1.0 / count))
    }

    /// Bins that are compared: without the mean and the window's reach of it, without the last one;
    /// every second one, so that they are nearly independent.
    fn compared(&self) -> impl Iterator<Item = usize> + Clone {
        (3..self.segment / 2).step_by(2)
    }
}

/// Length of a segment that resolves the narrowest mode and leaves averages enough.
pub(crate) fn segment(bandwidth_hz: f64, period_s: f64, record: &Record) -> usize {
    let wanted = (6.0 / (bandwidth_hz * period_s)).ceil() as usize;
    let most = (record.len() / 64).min(record.burst).max(64);
    let power = wanted.clamp(64, 4096).next_power_of_two();
    if power <= most { power } else { (most + 1).next_power_of_two() / 2 }
}

fn hann(length: usize) -> Vec<f64> {
    let angle = 2.0 * std::f64::consts::PI / length as f64;
    (0..length).map(|k| 0.5 - 0.5 * libm::cos(angle * k as f64)).collect()
}

/// Cross spectral densities of a record.
pub(crate) fn welch(record: &Record, period_s: f64, segment: usize) -> Densities {
    let n = record.n();
    let window = hann(segment);
    let fft = RealFftPlanner::<f64>::new().plan_fft_forward(segment);
    let mut input = fft.make_input_vec();
    let mut lines = vec![fft.make_output_vec(); n];
    let mut scratch = fft.make_scratch_vec();
    let mut pairs = vec![vec![Complex64::default(); segment / 2 + 1]; n * (n + 1) / 2];
    let mut averages = 0_usize;
    let mut start = 0;
    while start + segment <= record.len() {
        if !record.together(start, start + segment - 1) {
            // The next burst.
            start = (start / record.burst + 1) * record.burst;
            continue;
        }
        for (cell, line) in lines.iter_mut().enumerate() {
            for (k, (value, weight)) in input.iter_mut().zip(&window).enumerate() {
                *value = record.volt(cell, start + k) * weight;
            }
            fft.process_with_scratch(&mut input, line, &mut scratch)
                .expect("buffers are those of the transform");
        }
        let mut pair = 0;
        for i in 0..n {
            for j in i..n {
                for ((sum, x), y) in pairs[pair].iter_mut().zip(&lines[i]).zip(&lines[j]) {
                    *sum += x * y.conj();
                }
                pair += 1;
            }
        }
        averages += 1;
        start += segment / 2;
    }
    let power: f64 = window.iter().map(|w| w * w).sum();
    let unit = 2.0 * period_s / power / averages.max(1) as f64;
    for sum in pairs.iter_mut().flatten() {
        *sum *= unit;
    }
    Densities { segment, averages, n, pairs }
}

/// What [`welch`] expects by the law of the board.
pub(crate) fn expected(theory: &Theory, segment: usize) -> Densities {
    let n = theory.n;
    let window = hann(segment);
    let power: f64 = window.iter().map(|w| w * w).sum();
    let overlap = |lag: usize| -> f64 {
        window.iter().zip(&window[lag..]).map(|(a, b)| a * b).sum::<f64>() / power
    };
    let overlaps: Vec<f64> = (0..segment).map(overlap).collect();
    let mut lags = theory.lagged(segment);
    for (i, rounding) in theory.rounding.iter().enumerate() {
        lags[0][[i, i]] += rounding;
    }
    let fft = RealFftPlanner::<f64>::new().plan_fft_forward(segment);
    let mut pairs = Vec::new();
    for i in 0..n {
        for j in i..n {
            let mut input = fft.make_input_vec();
            for (lag, value) in input.iter_mut().enumerate() {
                *value = lags[lag][[i, j]] * overlaps[lag];
                if lag > 0 {
                    // The negative lags: K(−τ) = K(τ)ᵀ.
                    *value += lags[segment - lag][[j, i]] * overlaps[segment - lag];
                }
            }
            let mut line = fft.make_output_vec();
            fft.process(&mut input, &mut line).expect("buffers are those of the transform");
            for value in &mut line {
                *value *= 2.0 * theory.period_s;
            }
            pairs.push(line);
        }
    }
    Densities { segment, averages: 0, n, pairs }
}

/// Bins grouped in bands of equal ratio.
fn bands(segment: usize) -> Vec<std::ops::Range<usize>> {
    let last = segment / 2;
    let ratio = libm::pow(last as f64, 1.0 / BANDS as f64);
    let mut bands = Vec::new();
    let mut from = 2;
    while from < last {
        let to = ((from as f64 * ratio).round() as usize).clamp(from + 1, last);
        bands.push(from..to);
        from = to;
    }
    bands
}

/// Bins that are as good as independent among `count` neighbours.
fn independent(count: usize) -> f64 {
    let m = count as f64;
    let share = |apart: f64| (m - apart).max(0.0) / m;
    m / (1.0 + 2.0 * (share(1.0) * NEIGHBOUR[0] + share(2.0) * NEIGHBOUR[1]))
}

/// Compares measured spectra with what the law expects; `silent` cells have no signal.
pub(crate) fn compare(
    measured: &Densities,
    expected: &Densities,
    theory: &Theory,
    silent: &[usize],
) -> Spectra {
    const CONFIDENCE: f64 = 0.95;
    let (n, segment) = (theory.n, measured.segment);
    let bands = bands(segment);
    let width = 1.0 / (theory.period_s * segment as f64);
    let middle = |band: &std::ops::Range<usize>| 0.5 * (band.start + band.end - 1) as f64 * width;
    let frequency_hz: Vec<f64> = bands.iter().map(middle).collect();
    let averages = measured.effective_averages();
    let dof = 2.0 * averages;
    let limits: Vec<(f64, f64)> = bands
        .iter()
        .map(|band| {
            let dof = dof * independent(band.len());
            ChiSquared::new(dof).map_or((f64::NAN, f64::NAN), |law| {
                let tail = 0.5 * (1.0 - CONFIDENCE);
                (dof / law.inverse_cdf(1.0 - tail), dof / law.inverse_cdf(tail))
            })
        })
        .collect();
    let over = |line: &[Complex64]| -> Vec<Complex64> {
        let mean = |band: &std::ops::Range<usize>| {
            line[band.clone()].iter().sum::<Complex64>() / band.len() as f64
        };
        bands.iter().map(mean).collect()
    };
    let power = |line: &[Complex64]| -> Vec<f64> { over(line).iter().map(|s| s.re).collect() };
    let law: Vec<Vec<f64>> = frequency_hz.iter().map(|f| theory.density(*f)).collect();
    let drives = drives(measured, expected, theory, silent);
    let cell = |i: usize| {
        let density = power(measured.at(i, i));
        let scaled = |pick: fn(&(f64, f64)) -> f64| {
            density.iter().zip(&limits).map(|(p, limit)| p * pick(limit)).collect()
        };
        let (chi_squared, bins) = power_match(measured, expected, i);
        let z = (chi_squared - 1.0) / ((2.0 + 12.0 / dof) / bins as f64).sqrt();
        CellSpectrum {
            cell: i,
            low: scaled(|limit| limit.0),
            high: scaled(|limit| limit.1),
            expected: power(expected.at(i, i)),
            theory: law.iter().map(|cells| cells[i]).collect(),
            chi_squared,
            chi_squared_z: z,
            bins,
            deviates: z > ALARM,
            drive: drives.as_ref().map(|drives| drives[i]),
            density,
        }
    };
    let pair = |(i, j): (usize, usize)| {
        let cross = over(measured.at(i, j));
        let coherence_of = |densities: &Densities| -> Vec<f64> {
            let own = power(densities.at(i, i)).into_iter().zip(power(densities.at(j, j)));
            let cross = over(densities.at(i, j));
            cross.iter().zip(own).map(|(s, (a, b))| s.norm_sqr() / (a * b)).collect()
        };
        let coherence = coherence_of(measured);
        let (chi_squared, chi_squared_z) = cross_match(measured, Some(expected), i, j);
        PairSpectrum {
            cells: (i, j),
            strongest: coherence.iter().fold(0.0, |most, x| most.max(*x)),
            expected: coherence_of(expected),
            phase: cross.iter().map(|s| libm::atan2(s.im, s.re)).collect(),
            chi_squared,
            chi_squared_z,
            coherence,
        }
    };
    let heard = |i: &usize| !silent.contains(i);
    let pairs = (0..n).filter(heard).flat_map(|i| (i + 1..n).filter(heard).map(move |j| (i, j)));
    Spectra {
        segment,
        averages: measured.averages,
        resolution_hz: 1.5 * width,
        degrees_of_freedom: dof,
        confidence: CONFIDENCE,
        cells: (0..n).map(cell).collect(),
        pairs: pairs.map(pair).collect(),
        frequency_hz,
    }
}

/// Reduced χ² of a cell's power, and the number of bins.
fn power_match(measured: &Densities, expected: &Densities, cell: usize) -> (f64, usize) {
    let bins = measured.compared();
    let half_dof = measured.effective_averages();
    let off = |bin: usize| measured.at(cell, cell)[bin].re / expected.at(cell, cell)[bin].re - 1.0;
    let sum: f64 = bins.clone().map(|bin| half_dof * off(bin).powi(2)).sum();
    let count = bins.count();
    (sum / count as f64, count)
}

/// Mean squared distance of a cross spectrum from the expected one (`None`: from zero, at the measured
/// powers) over its variance `S_ii S_jj / K`, and its deviation from 1 in standard errors.
pub(crate) fn cross_match(
    measured: &Densities,
    expected: Option<&Densities>,
    i: usize,
    j: usize,
) -> (f64, f64) {
    let averages = measured.effective_averages();
    let powers = expected.unwrap_or(measured);
    let (mut sum, mut variance, mut count) = (0.0, 0.0, 0.0);
    for bin in measured.compared() {
        let both = powers.at(i, i)[bin].re * powers.at(j, j)[bin].re;
        let centre = expected.map_or(Complex64::default(), |law| law.at(i, j)[bin]);
        sum += (measured.at(i, j)[bin] - centre).norm_sqr() * averages / both;
        let coherence = centre.norm_sqr() / both;
        // Of a complex Gaussian whose pseudo-variance is the coherence, and its fourth cumulant.
        variance += 1.0 + coherence * coherence + 12.0 / averages;
        count += 1.0;
    }
    let mean = sum / count;
    (mean, (mean - 1.0) * count / variance.sqrt())
}

/// Drive of each cell over the law's: with the response H of the board, `H⁻¹ S H⁻*` is diagonal and
/// holds the power of each cell's noise current.
fn drives(
    measured: &Densities,
    expected: &Densities,
    theory: &Theory,
    silent: &[usize],
) -> Option<Vec<Estimate>> {
    if !silent.is_empty() {
        return None;
    }
    let n = theory.n;
    let width = 1.0 / (theory.period_s * measured.segment as f64);
    let mut sums = vec![(0.0, 0.0); n];
    for bin in measured.compared() {
        let back = solve(theory.transfer(bin as f64 * width), identity(n));
        for (j, row) in back.iter().enumerate() {
            let current = |densities: &Densities| -> f64 {
                let mut sum = Complex64::default();
                for k in 0..n {
                    for l in 0..n {
                        sum += row[k] * densities.entry(k, l, bin) * row[l].conj();
                    }
                }
                sum.re
            };
            let rounding: f64 =
                row.iter().zip(&theory.rounding).map(|(g, r)| g.norm_sqr() * r).sum();
            // Only where the converter's rounding is small against the drive.
            if rounding < 0.1 * theory.sigma[j].powi(2) {
                sums[j].0 += current(measured) / current(expected);
                sums[j].1 += 1.0;
            }
        }
    }
    let averages = measured.effective_averages();
    let estimate = |(sum, bins): (f64, f64)| {
        (bins >= 8.0).then(|| {
            let power = sum / bins;
            let value = power.max(0.0).sqrt();
            // Of the power 1/√(K bins) of itself, of the amplitude half of that.
            Estimate { value, error: 0.5 * value / (averages * bins).sqrt() }
        })
    };
    sums.into_iter().map(estimate).collect()
}
