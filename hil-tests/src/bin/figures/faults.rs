//! Random schedules of calls and faults, and a plug that is pulled.

use std::thread::available_parallelism;

use anyhow::anyhow;
use hil_tests::schedules::{Clock, run_many};
use hil_tests::unplug::{self, Plug};

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

/// Calls that hung, gave a wrong number or failed other than as disconnected when the plug was
/// pulled at a random moment.
pub(crate) fn unplug(quick: bool) -> anyhow::Result<Figure> {
    let times = if quick { 50 } else { 1000 };
    let own = std::env::current_exe()?;
    let (mut wrong, mut detail) = (0, Vec::new());
    for plug in Plug::ALL {
        let counts = unplug::run(plug, times, 1, &own)?;
        wrong += counts.wrong.len();
        let disconnected: u64 = counts.disconnected.values().sum();
        detail.push(format!(
            "{}: pulled {} times, {} calls completed, {disconnected} disconnected, noticed within \
             {:.0} ms; wrong: {:?}",
            plug.name(),
            counts.pulled,
            counts.completed,
            counts.slowest_ms,
            counts.wrong
        ));
    }
    Ok(Figure { value: wrong as f64, detail: detail.join("; ") })
}
