//! What the driver makes of each link, beside what the link itself carries: a `rev-a` board in
//! another thread, at the other end of the link.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hil_tests::median;
use spu_driver::{Deadline, Device};
use spu_protocol::codec::max_encoded;
use spu_sim::serve::{self, Endpoint, Served};
use spu_sim::{Profile, SimBoard, SimConfig};

use crate::Figure;
use crate::raw::{self, Ends};
use crate::speed::{BOARD, CLOCK_HZ, Sum, program, rate};

/// Part of a link's ceiling that the driver is to reach.
const PART: f64 = 0.8;
/// Octets of a ping.
const PING: usize = 64;

/// A link between this process and a board.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Link {
    InProcess,
    Unix,
    Pty,
    Tcp,
}

impl Link {
    fn named(name: &str) -> anyhow::Result<Self> {
        Ok(match name {
            "inproc" => Self::InProcess,
            "unix" => Self::Unix,
            "pty" => Self::Pty,
            "tcp" => Self::Tcp,
            other => bail!("no link {other}; there are inproc, unix, pty, tcp"),
        })
    }

    /// A connection of this kind with nothing behind it; in process there is none.
    fn raw(self) -> anyhow::Result<Option<Ends>> {
        Ok(match self {
            Self::InProcess => None,
            Self::Tcp => Some(raw::tcp()?),
            #[cfg(unix)]
            Self::Unix => Some(raw::unix()?),
            #[cfg(unix)]
            Self::Pty => Some(raw::pty()?),
            #[cfg(not(unix))]
            Self::Unix | Self::Pty => bail!("this platform has no such link"),
        })
    }

    /// A board at the other end, and what serves it.
    fn open(self) -> anyhow::Result<(Option<Served>, Box<dyn Device>)> {
        let endpoint = match self {
            Self::InProcess => return Ok((None, spu_driver::open(BOARD)?)),
            Self::Tcp => Endpoint::Tcp { host: "127.0.0.1".into(), port: 0 },
            Self::Unix => {
                let name = format!("spu-figures-{}", std::process::id());
                Endpoint::Unix { path: std::env::temp_dir().join(name) }
            }
            Self::Pty => Endpoint::Pty { link: None },
        };
        let profile = Profile::named("rev-a")?;
        let config = SimConfig { profile, seed: 0, copy: 0, without: [].into() };
        let served = serve::spawn(SimBoard::new(config)?, &endpoint)?;
        let device = spu_driver::open(served.uri())?;
        Ok((Some(served), device))
    }
}

/// Rate of a raw stream over the ceiling: the link's own, or what makes the full rate of the board
/// [`PART`] of it, whichever is lower. So it is at least [`PART`] where the driver reaches that part
/// of the link's rate, or the full rate.
pub(crate) fn ceiling_ratio(name: &str, quick: bool) -> anyhow::Result<Figure> {
    let link = Link::named(name)?;
    let (rounds, frames) = if quick { (7, 4_000_000) } else { (21, 6_000_000) };
    let (_served, mut device) = link.open()?;
    let frame_octets = frame_octets(device.as_ref());
    device.load(&program(device.info()), Deadline::after_secs(10))?;
    let octets = frames as usize * frame_octets;
    let mut sum = Sum::default();
    let (mut rates, mut ceilings) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        // By turns, so that what else this computer does weighs on both.
        ceilings.push(match link.raw()? {
            Some(ends) => raw::copy(ends, octets)?,
            None => memory_copy(octets),
        });
        let frames = rate(device.as_mut(), frames, true, &mut sum)?;
        rates.push(frames * frame_octets as f64);
    }
    rates.sort_by(f64::total_cmp);
    let (rate, ceiling) = (median(rates.clone()), median(ceilings));
    let full = CLOCK_HZ * frame_octets as f64;
    let value = rate / ceiling.min(full / PART);
    Ok(Figure {
        value,
        detail: format!(
            "{:.0} MB/s of samples ({:.1} MS/s of 8 channels), plain copy {:.0} MB/s, full rate \
             {:.0} MB/s; medians of {rounds} runs by turns, {:.0} to {:.0} MB/s",
            rate / 1e6,
            rate / frame_octets as f64 / 1e6,
            ceiling / 1e6,
            full / 1e6,
            rates[0] / 1e6,
            rates[rates.len() - 1] / 1e6,
        ),
    })
}

/// Median round trip of a ping, less that of a plain message over the same kind of link.
pub(crate) fn added_p50(name: &str, quick: bool) -> anyhow::Result<Figure> {
    let link = Link::named(name)?;
    let (rounds, pings) = if quick { (10, 2_000) } else { (20, 10_000) };
    let (_served, mut device) = link.open()?;
    let payload = [0x5a; PING];
    let (mut times, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        match link.raw()? {
            Some(ends) => plain.extend(raw::ping_pong(ends, max_encoded(PING), pings)?),
            None => plain.push(Duration::ZERO),
        }
        for _ in 0..pings {
            let start = Instant::now();
            device.ping(&payload, Deadline::after_secs(10))?;
            times.push(start.elapsed());
        }
    }
    times.sort_unstable();
    plain.sort_unstable();
    let at = |times: &[Duration], part: f64| {
        times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e6
    };
    let (p50, p99) = (at(&times, 0.5), at(&times, 0.99));
    let (plain50, plain99) = (at(&plain, 0.5), at(&plain, 0.99));
    Ok(Figure {
        value: p50 - plain50,
        detail: format!(
            "ping of {PING} bytes: p50 {p50:.1}, p99 {p99:.1} us; plain message: p50 \
             {plain50:.1}, p99 {plain99:.1} us; {} of each",
            times.len()
        ),
    })
}

fn frame_octets(device: &dyn Device) -> usize {
    let raw = &device.info().raw;
    (device.info().cells * usize::from(raw.sample_bits)).div_ceil(8)
}

/// Octets a second of a copy in memory, piece by piece as the driver reads.
fn memory_copy(octets: usize) -> f64 {
    let (from, mut to) = (vec![0x5a_u8; 64 * 1024], vec![0_u8; 64 * 1024]);
    let start = Instant::now();
    for _ in 0..octets.div_ceil(from.len()) {
        std::hint::black_box(&mut to).copy_from_slice(std::hint::black_box(&from));
    }
    octets as f64 / start.elapsed().as_secs_f64()
}

/// The figure of this name, if it is one of a link: `link.NAME.WHAT`.
pub(crate) fn figure(name: &str, quick: bool) -> anyhow::Result<Option<Figure>> {
    let Some(rest) = name.strip_prefix("link.") else { return Ok(None) };
    let (link, what) = rest.split_once('.').context("write link.NAME.ceiling_ratio")?;
    match what {
        "ceiling_ratio" => ceiling_ratio(link, quick).map(Some),
        "added_p50_us" => added_p50(link, quick).map(Some),
        _ => Ok(None),
    }
}
