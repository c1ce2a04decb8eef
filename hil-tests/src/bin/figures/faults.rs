//! Random schedules of calls and faults.

use std::thread::available_parallelism;

use anyhow::anyhow;
use hil_tests::schedules::{Clock, run_many};

use crate::Figure;

/// Schedules in which every call ended by its deadline with its own answer, every write happened
/// at most once and every frame was delivered or reported lost: all, or the figure fails.
pub(crate) fn schedules(quick: bool) -> anyhow::Result<Figure> {
    let (count, real) = if quick { (10_000, 200) } else { (100_000, 2000) };
    let threads = available_parallelism().map_or(1, usize::from);
    let run = |clock, threads, count| {
        run_many(1, clock, threads, move |number| number < count, |_| ())
            .map_err(|(seed, violation)| anyhow!("{clock:?} clock, seed {seed}: {violation}"))
    };
    let tally = run(Clock::Virtual, threads, count)?;
    let on_time = run(Clock::Real, 16, real)?;
    let faults: u64 = tally.faults.values().sum();
    Ok(Figure {
        value: tally.schedules as f64,
        detail: format!(
            "{} calls, {faults} link faults, {} frames compared; {} more schedules on the real \
             clock, overshoot p99.9 {:.1} ms, worst {:.1} ms",
            tally.calls,
            tally.frames_compared,
            on_time.schedules,
            on_time.overshoot_us(0.999) as f64 / 1e3,
            on_time.overshoot_us(1.0) as f64 / 1e3
        ),
    })
}
