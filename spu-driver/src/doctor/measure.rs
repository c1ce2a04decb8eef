//! Small statistics of measured times.

use std::time::{Duration, Instant};

use super::Measure;
use crate::device::{FrameBlock, Sink};
use crate::time::now;

/// Times, sorted.
pub(super) struct Times(Vec<Duration>);

impl Times {
    pub(super) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The smallest time that so large a share of all does not exceed; zero if there is none.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        let index = rank.clamp(1, self.0.len().max(1)) - 1;
        self.0.get(index).copied().unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// When the blocks of a stream arrived.
pub(super) struct Arrivals {
    /// Of each block the moment, the tick of its first frame, and its number of codes.
    blocks: Vec<(Instant, u64, usize)>,
    cells: usize,
}

impl Arrivals {
    /// Of a board with so many cells.
    pub(super) fn new(cells: usize) -> Self {
        Self { blocks: Vec::new(), cells }
    }

    /// Seconds from the first arrival, and ticks from its own, of each block's last frame, at this
    /// decimation.
    pub(super) fn ticks(&self, decimation: u64) -> Vec<(f64, f64)> {
        let last = |tick: u64, codes: usize| {
            tick + (codes / self.cells.max(1)).saturating_sub(1) as u64 * decimation
        };
        let Some((start, tick, codes)) = self.blocks.first().copied() else { return Vec::new() };
        let origin = last(tick, codes);
        self.blocks
            .iter()
            .map(|(at, tick, codes)| {
                ((*at - start).as_secs_f64(), last(*tick, *codes).saturating_sub(origin) as f64)
            })
            .collect()
    }

    /// Frames that arrived behind the first block, and the time that they took: what the start of
    /// the stream took is left out.
    pub(super) fn behind_the_first(&self) -> Option<(u64, Duration)> {
        let [(first, ..), rest @ ..] = &self.blocks[..] else { return None };
        let (last, ..) = rest.last()?;
        let codes: usize = rest.iter().map(|(.., codes)| codes).sum();
        Some(((codes / self.cells.max(1)) as u64, *last - *first))
    }
}

impl Sink for Arrivals {
    fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()> {
        self.blocks.push((now(), block.tick.0, block.codes.len()));
        Ok(())
    }
}

pub(super) fn micros(what: &'static str, time: Duration) -> Measure {
    Measure { what, value: time.as_secs_f64() * 1e6, unit: "µs" }
}

/// So many bytes in this time.
pub(super) fn rate(what: &'static str, bytes: u64, time: Duration) -> Measure {
    let value = bytes as f64 / time.as_secs_f64().max(1e-9) / 1e6;
    Measure { what, value, unit: "MB/s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_that_were_measured() {
        let ms = Duration::from_millis;
        let times = Times::new((1..=100).rev().map(ms).collect());
        assert_eq!(times.quantile(0.5), ms(50));
        assert_eq!(times.quantile(0.99), ms(99));
        assert_eq!(times.quantile(1.0), ms(100));
        assert_eq!(times.quantile(0.0), ms(1));
        assert_eq!(Times::new(vec![ms(3)]).quantile(0.99), ms(3));
        assert_eq!(Times::new(Vec::new()).quantile(0.5), Duration::ZERO);
    }
}
