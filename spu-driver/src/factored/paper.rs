//! The time that the paper's hardware would take.

use std::time::Duration;

/// RC of the paper's estimate: 1 kΩ, 1 nF.
const RC_S: f64 = 1e-6;
/// Bits of a value.
const BITS: f64 = 16.0;
/// Rate at which values arrive, in bits per second.
const RATE: f64 = 50e9;

/// Time of one evolution by the model of arXiv 2405.13817, appendix C: `b d_z (b d_z + 2N)` values of 16
/// bits over 50 Gb/s, then t RC with RC = 1 µs. A model of the paper's hardware: nothing here is
/// measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PaperTime {
    /// Setting the three arrays.
    pub upload: Duration,
    /// The nodes' own time.
    pub analog: Duration,
}

impl PaperTime {
    /// Of arrays of `rows` (`b d_z`) and N `columns`, for `time` in τ; a time without an end counts
    /// as 0.
    pub fn new(rows: usize, columns: usize, time: f64) -> Self {
        let values = rows as f64 * (rows as f64 + 2.0 * columns as f64);
        let seconds = |s: f64| Duration::try_from_secs_f64(s).unwrap_or_default();
        Self { upload: seconds(values * BITS / RATE), analog: seconds(time * RC_S) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paper's example: N = 1e5, b = 32, `d_z` = 20, t = 50 τ: 41 ms against 50 µs.
    #[test]
    fn the_arrays_cost_more_than_the_analog_time() {
        let time = PaperTime::new(640, 100_000, 50.0);
        assert_eq!(time.upload.as_micros(), 41_091);
        assert_eq!(time.analog.as_micros(), 50);
    }
}
