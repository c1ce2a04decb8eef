//! The converters: offset and noise without drive, and what their codes look like with it.

use serde::Serialize;

use super::record::Record;

/// Bars of a histogram.
const BARS: usize = 48;
/// Expected count of a code from which on its absence is none of chance.
const EXPECTED: f64 = 30.0;

/// The converter of one cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Converter {
    /// Number of the cell.
    pub cell: usize,
    /// Mean code without drive.
    pub offset_codes: f64,
    /// The same in V, by the law's gain.
    pub offset_v: f64,
    /// Root mean square of the code about its mean without drive: noise floor, 0 where the code never
    /// changes.
    pub floor_codes: f64,
    /// Root mean square of the code about its mean with drive.
    pub rms_codes: f64,
    /// Smallest and largest code with drive.
    pub range: (i16, i16),
    /// Samples at the end of the converter's range.
    pub saturated: u64,
    /// Codes within two root mean squares of the mean that never came although a normal law expects them at
    /// least 30 times.
    pub missing_codes: usize,
    /// Codes that were looked for.
    pub looked_for: usize,
    /// Bits of the code (offset binary) that never changed although the range needs them.
    pub stuck_bits: Vec<u32>,
    /// Counts of codes in equal bars over the range: first code of each bar and its count.
    pub histogram: Vec<(i32, u64)>,
    /// Codes in a bar.
    pub bar_codes: u32,
}

/// From a record without drive and one with it.
pub(crate) fn converters(quiet: &Record, driven: &Record, saturated: &[u64]) -> Vec<Converter> {
    let floors = quiet.code_variances();
    let variances = driven.code_variances();
    let one = |cell: usize| {
        let (mean, rms) = (driven.means[cell], variances[cell].sqrt());
        let codes = &driven.codes[cell];
        let low = codes.iter().min().copied().unwrap_or(0);
        let high = codes.iter().max().copied().unwrap_or(0);
        let span = (i32::from(high) - i32::from(low) + 1) as usize;
        let mut counts = vec![0_u64; span];
        for code in codes {
            counts[(i32::from(*code) - i32::from(low)) as usize] += 1;
        }
        let peak = codes.len() as f64 / (rms.max(0.5) * libm::sqrt(2.0 * std::f64::consts::PI));
        let within = |(place, _): &(usize, &u64)| {
            let off = (f64::from(low) + *place as f64 - mean) / rms.max(0.5);
            off.abs() < 2.0 && peak * libm::exp(-0.5 * off * off) >= EXPECTED
        };
        let looked_for = counts.iter().enumerate().filter(within).count();
        let missing =
            counts.iter().enumerate().filter(within).filter(|(_, count)| **count == 0).count();
        let bar = span.div_ceil(BARS).max(1);
        let bars = counts.chunks(bar).enumerate().map(|(index, counts)| {
            (i32::from(low) + (index * bar) as i32, counts.iter().sum::<u64>())
        });
        Converter {
            cell,
            offset_codes: quiet.means[cell],
            offset_v: quiet.means[cell] * quiet.volts[cell],
            floor_codes: floors[cell].sqrt(),
            rms_codes: rms,
            range: (low, high),
            saturated: saturated.get(cell).copied().unwrap_or(0),
            missing_codes: missing,
            looked_for,
            stuck_bits: stuck_bits(codes, span),
            histogram: bars.collect(),
            bar_codes: bar as u32,
        }
    };
    (0..driven.n()).map(one).collect()
}

/// Bits below the range's own that are the same in every code.
fn stuck_bits(codes: &[i16], span: usize) -> Vec<u32> {
    let binary = |code: &i16| (i32::from(*code) + 0x8000) as u32;
    let (and, or) =
        codes.iter().fold((u32::MAX, 0), |(and, or), code| (and & binary(code), or | binary(code)));
    (0..16).filter(|bit| span > 2 << bit && ((and ^ or) >> bit) & 1 == 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stuck_bit_and_a_missing_code_are_seen() {
        // Codes of a triangle's density, wide enough for every code; bit 2 always set in one of them.
        let triangle: Vec<i16> =
            (0..40_000_i32).map(|k| (k % 101 + k / 7 % 101 - 100) as i16).collect();
        let stuck: Vec<i16> = triangle.iter().map(|code| code | 4).collect();
        let gap: Vec<i16> =
            triangle.iter().map(|code| if *code == 9 { 10 } else { *code }).collect();
        let record = Record::new(vec![triangle, stuck, gap], vec![1e-3; 3], 40_000);
        let quiet = Record::new(vec![vec![3; 10]; 3], vec![1e-3; 3], 10);
        let seen = converters(&quiet, &record, &[0; 3]);
        assert_eq!(seen[0].missing_codes, 0);
        assert!(seen[0].stuck_bits.is_empty() && seen[2].stuck_bits.is_empty());
        assert_eq!(seen[1].stuck_bits, [2]);
        assert_eq!(seen[2].missing_codes, 1);
        assert!((seen[0].offset_v - 3e-3).abs() < 1e-12 && seen[0].floor_codes == 0.0);
        let counted: u64 = seen[0].histogram.iter().map(|bar| bar.1).sum();
        assert_eq!(counted, 40_000);
    }
}
