//! Acquisition timing of the firmware's image, by a clock that counts instructions.

use std::process::ExitCode;

use anyhow::ensure;
use hil_tests::icount::{measure, missing};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// Ticks that are watched.
const TICKS: u32 = 100_000;
/// Most that ticks differ from a clock without jitter, as a part of a tick.
const JITTER: f64 = 0.5;

fn main() -> ExitCode {
    let trial = Trial::ignorable_test("no_tick_is_lost_and_none_drifts", || {
        run().map_err(|error| Failed::from(format!("{error:#}")))
    });
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn run() -> anyhow::Result<Completion> {
    let measured = match measure(TICKS) {
        Ok(measured) => measured,
        Err(error) => {
            return match missing(&error) {
                Some(reason) => {
                    eprintln!("skipped: {reason}");
                    Ok(Completion::ignored_with(format!("skipped: {reason}")))
                }
                None => Err(error),
            };
        }
    };
    eprintln!("{measured:?}, jitter {:.3} ticks", measured.jitter_ticks());
    let timing = &measured.timing;
    ensure!(timing.ticks >= TICKS, "only {} ticks", timing.ticks);
    ensure!(timing.ticks_lost == 0, "{} ticks lost", timing.ticks_lost);
    // Each is compared with the first, so a drift would add up.
    ensure!(measured.jitter_ticks() <= JITTER, "jitter of {:.3} ticks", measured.jitter_ticks());
    ensure!(measured.frames > 0 && measured.lost == 0, "{} frames lost", measured.lost);
    ensure!(timing.receive_overruns == 0, "octets from the host found no room");
    Ok(Completion::Completed)
}
