//! What the driver adds to a round trip over USB, on a machine whose clock counts instructions, with
//! the board in the gadget: what is outside of the machine takes no part in it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use spu_driver::{DeviceUri, open};
use spu_protocol::codec::max_encoded;

use super::median;
use super::plain::Plain;
use super::plug::{self, Plug};
use super::program::soon;
use crate::report::Report;

/// Bytes of a ping.
const PING: usize = 64;
/// Round trips of each kind in a round, after some that are not counted.
const TRIPS: usize = 300;
const FIRST: usize = 20;
/// By turns.
const ROUNDS: usize = 5;
/// Longest wait between two trips: the controller looks for work at its own pace, and a trip is to begin
/// at any moment of it.
const PAUSE_US: u64 = 4_000;

/// The clock and the moments at which trips begin.
struct Trips {
    rng: Xoshiro256PlusPlus,
}

impl Trips {
    /// Microseconds that each trip takes.
    fn time(&mut self, mut trip: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Vec<f64>> {
        let times = (0..FIRST + TRIPS).map(|_| {
            let pause = self.rng.next_u64() % PAUSE_US;
            std::thread::sleep(Duration::from_micros(pause));
            let start = Instant::now();
            trip()?;
            Ok(start.elapsed().as_secs_f64() * 1e6)
        });
        Ok(times.collect::<anyhow::Result<Vec<_>>>()?.split_off(FIRST))
    }
}

pub(crate) fn run(report: &mut Report, plug: &mut Plug) -> anyhow::Result<()> {
    let uri = plug::usb_uri()?;
    let mut trips = Trips { rng: Xoshiro256PlusPlus::seed_from_u64(1) };
    let (mut plain, mut link, mut ping) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plug.tell("far-echo")?;
        plain.extend(trips.plain().context("plain echo")?);
        link.extend(trips.link(&uri).context("echo through the link")?);
        plug.tell("board")?;
        let mut device = open(&uri)?;
        ping.extend(trips.time(|| Ok(device.ping(&[0x5A; PING], soon())?))?);
    }
    let count = ping.len();
    let (plain, link, ping) = (median(plain), median(link), median(ping));
    report.figure(
        "link.usb.added_p50_us",
        ping - plain,
        &format!(
            "median ping of {PING} bytes {ping:.1} us; echo of a message of its length from as far away \
             by plain transfers {plain:.1} us, through the driver's link alone {link:.1} us; {count} of \
             each; emulated computer, a nanosecond an instruction"
        ),
    )
}

impl Trips {
    fn plain(&mut self) -> anyhow::Result<Vec<f64>> {
        let plain = Plain::open()?;
        plain.drain();
        let sent = [0x5A; max_encoded(PING)];
        let mut received = [0; 512];
        self.time(|| {
            plain.write(&sent)?;
            let count = plain.read(&mut received)?;
            ensure!(received[..count] == sent, "the echo is not what was sent");
            Ok(())
        })
    }

    /// As [`plain`](Self::plain), by the driver's link.
    fn link(&mut self, uri: &str) -> anyhow::Result<Vec<f64>> {
        let mut link = uri.parse::<DeviceUri>()?.link(soon())?;
        let sent = [0x5A; max_encoded(PING)];
        let mut received = [0; 512];
        self.time(|| {
            link.write(&sent, soon())?;
            let count = link.read(&mut received, soon())?;
            ensure!(received[..count] == sent, "the echo is not what was sent");
            Ok(())
        })
    }
}
