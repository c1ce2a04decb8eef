//! Statistics of the noise generators. Each bound states its false-alarm rate; with fixed seeds a
//! test either passes always or never.

use spu_protocol::code::{DacCode, GainCode};
use spu_sim::noise::{KURTOSIS, Noise, PEAK, RMS, shape};
use spu_sim::{DacRow, Dispatch, LANES};

mod common;

const TICKS: usize = 1 << 19;

fn record() -> Vec<DacRow> {
    let mut noise = Noise::new(14);
    noise.seed(&common::sample_seeds());
    noise.drive(&[GainCode(4096); LANES], &[DacCode(0); LANES]);
    let mut rows = vec![DacRow::default(); TICKS];
    noise.generate(&mut rows, Dispatch::detect());
    rows
}

/// Codes of a cell over the rms.
fn column(rows: &[DacRow], cell: usize) -> Vec<f64> {
    rows.iter().map(|row| f64::from(row[cell].0) / RMS).collect()
}

#[test]
fn moments_to_fourth_order() {
    let rows = record();
    for cell in 0..LANES {
        let x = column(&rows, cell);
        // Each within 6 σ of its exact value, σ² = (E x^2k − (E x^k)²) / N with E x⁶ = 14.46 and
        // E x⁸ = 91.8: 2e-9 a bound, 6e-8 for the 32 of them.
        let bounds = [
            (0.0, 1.0),
            (1.0, KURTOSIS - 1.0),
            (0.0, 14.461),
            (KURTOSIS, 91.83 - KURTOSIS * KURTOSIS),
        ];
        for (order, (exact, variance)) in (1..).zip(bounds) {
            let found = x.iter().map(|x| x.powi(order)).sum::<f64>() / TICKS as f64;
            let bound = 6.0 * (variance / TICKS as f64).sqrt();
            assert!((found - exact).abs() < bound, "cell {cell}, order {order}: {found}");
        }
    }
}

#[test]
fn tails_end_where_they_should() {
    let rows = record();
    // Exact probability of |y| ≥ 3 rms: the fraction of sums of four octets with such a y.
    let mut ways = vec![1_u64];
    for _ in 0..4 {
        let mut next = vec![0; ways.len() + 255];
        for (sum, count) in ways.iter().enumerate() {
            for octet in 0..256 {
                next[sum + octet] += count;
            }
        }
        ways = next;
    }
    let word = |sum: usize| {
        let octets: [usize; 4] = std::array::from_fn(|k| sum.saturating_sub(255 * k).min(255));
        u32::from_le_bytes(octets.map(|octet| octet as u8))
    };
    let far = |y: i32| f64::from(y.abs()) >= 3.0 * RMS;
    let beyond: u64 =
        ways.iter().enumerate().filter(|(sum, _)| far(shape(word(*sum)))).map(|(_, n)| n).sum();
    let p = beyond as f64 / 2.0_f64.powi(32);
    // The Gaussian has 2.70e-3 there.
    assert!((2e-3..3e-3).contains(&p), "{p}");
    let n = (TICKS * LANES) as f64;
    let codes = || rows.iter().flatten().map(|code| i32::from(code.0));
    assert!(codes().all(|code| code.abs() <= PEAK));
    let found = codes().filter(|&code| far(code)).count() as f64;
    // 6 σ of the binomial: 2e-9.
    assert!((found - n * p).abs() < 6.0 * (n * p).sqrt(), "{found} instead of {}", n * p);
}

#[test]
fn spectrum_is_flat() {
    const LENGTH: usize = 1024;
    let rows = record();
    let segments = TICKS / LENGTH;
    assert_eq!(segments, 512);
    for cell in 0..LANES {
        let x = column(&rows, cell);
        let mut power = [0.0; LENGTH];
        for segment in x.chunks_exact(LENGTH) {
            let (mut re, mut im) = (segment.to_vec(), vec![0.0; LENGTH]);
            fourier(&mut re, &mut im);
            for (power, (re, im)) in power.iter_mut().zip(re.iter().zip(&im)) {
                *power += (re * re + im * im) / (LENGTH * segments) as f64;
            }
        }
        // A bin is the mean of 512 exponential variates. By Chernoff it leaves 0.70 to 1.33 with
        // probability exp(−512 (0.33 − ln 1.33)) = 1.1e-10: 4.4e-7 for the 511 bins of 8 cells.
        for (bin, power) in power.iter().enumerate().take(LENGTH / 2).skip(1) {
            assert!((0.70..1.33).contains(power), "cell {cell}, bin {bin}: {power}");
        }
    }
}

#[test]
fn cells_and_ticks_are_uncorrelated() {
    const LAGS: usize = 8;
    let rows = record();
    let columns: Vec<Vec<f64>> = (0..LANES).map(|cell| column(&rows, cell)).collect();
    // Correlations have σ = 1/√N; 6.5 σ is passed with 8e-11, 5e-8 for all 568.
    let bound = 6.5 / (TICKS as f64).sqrt();
    for a in 0..LANES {
        for b in 0..LANES {
            for lag in 0..=LAGS {
                if lag == 0 && a <= b {
                    continue;
                }
                let pairs = columns[a].iter().zip(&columns[b][lag..]);
                let found = pairs.map(|(x, y)| x * y).sum::<f64>() / TICKS as f64;
                assert!(found.abs() < bound, "cells {a} and {b}, lag {lag}: {found}");
            }
        }
    }
}

/// Fourier transform in place, by halves.
fn fourier(re: &mut [f64], im: &mut [f64]) {
    let n = re.len();
    let bits = n.trailing_zeros();
    for k in 0..n {
        let mirrored = k.reverse_bits() >> (usize::BITS - bits);
        if mirrored > k {
            re.swap(k, mirrored);
            im.swap(k, mirrored);
        }
    }
    let mut half = 1;
    while half < n {
        for k in 0..half {
            let (sin, cos) = (-std::f64::consts::PI * k as f64 / half as f64).sin_cos();
            for a in (k..n).step_by(2 * half) {
                let b = a + half;
                let (x, y) = (re[b] * cos - im[b] * sin, re[b] * sin + im[b] * cos);
                (re[b], im[b]) = (re[a] - x, im[a] - y);
                (re[a], im[a]) = (re[a] + x, im[a] + y);
            }
        }
        half *= 2;
    }
}
