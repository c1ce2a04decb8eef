//! Speed of the simulator against the board's 12 MHz clock, on one core.
//!
//! `cargo bench -p spu-sim` prints ticks per second with noise, conversion and moments of every
//! tick included, for each profile and for the paths beside the usual one; frames per second and
//! the round trip of a command through the whole simulated board. Where the system says how long
//! the thread was on a CPU (Linux), that time counts, so that other work on the machine does not;
//! elsewhere the wall clock's.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use spu_protocol::opcode::Opcode;
use spu_protocol::payload::AcquireRequest;
use spu_protocol::regs::mode;
use spu_sim::analog::Method;
use spu_sim::{Analog, Dispatch, Fpga, Profile, profile};

const CLOCK: f64 = 12e6;
const REPEATS: usize = 5;

fn main() {
    for name in profile::CELL_NAMES {
        for decimation in [1, 16] {
            let mut fpga = common::fpga(name, 7, Dispatch::detect());
            assert_eq!(fpga.converters().method(), Method::Modal);
            report(
                &format!("{name} D={decimation}"),
                ticks_per_second(&mut fpga, decimation, 12e6),
            );
        }
    }
    report("rev-a dense", ticks_per_second(&mut dense("rev-a"), 1, 6e6));
    let mut scalar = common::fpga("rev-a", 7, Dispatch::scalar());
    report("rev-a scalar", ticks_per_second(&mut scalar, 1, 4e5));
    for name in profile::CELL_NAMES {
        report(&format!("{name} stream"), stream(name));
    }
    println!("{:16} {:8.2} us", "round trip", 1e6 * round_trip());
    println!("{:16} {:8.2} us", "load of banks", 1e6 * load());
}

fn report(what: &str, rate: f64) {
    println!("{what:16} {:8.2} M/s, {:5.2} x the board's clock", rate / 1e6, rate / CLOCK);
}

/// Shortest of some runs, in seconds: other work on the machine only ever slows one down.
fn best(mut run: impl FnMut()) -> f64 {
    let time = || {
        let begin = Instant::now();
        let on_cpu = on_cpu();
        run();
        match (on_cpu, self::on_cpu()) {
            (Some(begin), Some(end)) => end.saturating_sub(begin),
            _ => begin.elapsed(),
        }
    };
    std::iter::repeat_with(time).take(REPEATS).min().map_or(f64::NAN, |time| time.as_secs_f64())
}

/// Time that this thread has spent on a CPU.
fn on_cpu() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

fn dense(name: &str) -> Fpga<Analog> {
    let profile = Profile::named(name).expect("shipped profile");
    let analog = Analog::new(profile.clone(), 7, 0, Dispatch::detect()).dense();
    let mut fpga = Fpga::new(&profile, 1, analog, Dispatch::detect()).expect("valid profile");
    common::program(&mut fpga, &common::sample_codes(&profile));
    fpga
}

fn ticks_per_second(fpga: &mut Fpga<Analog>, decimation: u32, ticks: f64) -> f64 {
    let count = (ticks / f64::from(decimation)) as u32;
    let seconds = best(|| {
        common::start(fpga, mode::MOMENTS, 0, decimation, count);
        fpga.advance(u64::MAX);
    });
    f64::from(count) * f64::from(decimation) / seconds
}

/// Raw frames of all cells per second: simulated, packed, framed, sent, parsed and unpacked.
fn stream(name: &str) -> f64 {
    const FRAMES: u32 = 4_000_000;
    let mut host = common::Host::open(common::config(name, 7, 0));
    let codes = common::sample_codes(&host.board.config().profile);
    host.load(&codes);
    let seconds = best(|| {
        host.acquire(0, 1, FRAMES, AcquireRequest::STREAM | AcquireRequest::MOMENTS);
        let mut frames = 0;
        let (status, lost) = host.follow(|codes| frames += codes.len() / 8);
        assert_eq!((frames as u64, lost), (u64::from(FRAMES), 0));
        assert_eq!(status.status.kept, u64::from(FRAMES));
    });
    f64::from(FRAMES) / seconds
}

/// Seconds of a `Ping` of 16 octets.
fn round_trip() -> f64 {
    const CALLS: u32 = 20_000;
    let mut host = common::Host::open(common::config("rev-a", 7, 0));
    let seconds = best(|| {
        for _ in 0..CALLS {
            host.call(Opcode::Ping, &[0x55; 16]);
        }
    });
    seconds / f64::from(CALLS)
}

/// Seconds from bank codes to step coefficients.
fn load() -> f64 {
    const LOADS: u32 = 100;
    let mut fpga = common::fpga("rev-a", 7, Dispatch::detect());
    let mut codes = common::sample_codes(&Profile::named("rev-a").expect("shipped profile"));
    let seconds = best(|| {
        for _ in 0..LOADS {
            codes.self_codes[0].0 ^= 1;
            common::program(&mut fpga, &codes);
        }
    });
    seconds / f64::from(LOADS)
}
