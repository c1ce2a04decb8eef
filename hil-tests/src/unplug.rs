//! The plug is pulled at a random moment while calls and streams run: each call ends as
//! disconnected or is whole and right, and once the plug is back the same device works.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use spu_driver::{Deadline, Device, Error};
use spu_protocol::regs;
use spu_sim::serve::{self, Endpoint, Served};

use crate::schedules::board::board;
use crate::schedules::expect::{Keep, Truth, moments_of, plan, program};
use crate::schedules::{Sampling, below};

/// How the plug is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plug {
    /// The pseudo-terminal is closed, and comes back under the same link.
    Pty,
    /// The TCP connection is closed, and its port refuses for a while.
    Tcp,
    /// The Unix socket is closed, and its file is gone for a while.
    Unix,
    /// The process that serves the board is killed, and another one started.
    Process,
}

impl Plug {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::Pty, Self::Tcp, Self::Unix, Self::Process];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pty => "pty",
            Self::Tcp => "tcp",
            Self::Unix => "unix",
            Self::Process => "process",
        }
    }
}

/// What was counted.
#[derive(Debug, Default, serde::Serialize)]
pub struct Counts {
    /// Times that the plug was pulled.
    pub pulled: u64,
    /// Calls that were whole, and right.
    pub completed: u64,
    /// Calls that ended as disconnected, by what they were.
    pub disconnected: BTreeMap<&'static str, u64>,
    /// Frames that were compared with those of a run without disturbance.
    pub frames_compared: u64,
    /// What was neither: hangs, wrong numbers, other errors.
    pub wrong: Vec<String>,
    /// Longest time from the pull to the end of the call that noticed, in milliseconds.
    pub slowest_ms: f64,
}

/// Time that a call is given.
const CALL: Duration = Duration::from_secs(10);
/// A call that takes longer hangs.
const HANG: Duration = Duration::from_secs(11);
/// Longest time from the first call to the pull.
const LATEST: Duration = Duration::from_millis(12);

/// Pulls the plug `times` times. `server` is a program that calls [`serve_forever`] with the path
/// that follows its argument `--serve`; only [`Plug::Process`] needs it.
///
/// # Errors
/// Where a board cannot be served at all; what goes wrong with calls is in the counts.
pub fn run(plug: Plug, times: u64, seed: u64, server: &Path) -> Result<Counts> {
    let folder = tempfile::tempdir()?;
    let mut bench = Bench::new(plug, folder.path(), server)?;
    let mut device = spu_driver::open(&bench.uri)?;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let (mut truth, mut counts) = (Truth::default(), Counts::default());
    let mut number = 0;
    while counts.pulled < times && counts.wrong.len() < 10 {
        let after = LATEST.mul_f64(below(&mut rng, 1000) as f64 / 1000.0);
        let pulled = thread::scope(|scope| -> Result<Instant> {
            let pull = scope.spawn(|| {
                thread::sleep(after);
                let moment = Instant::now();
                bench.pull().map(|()| moment)
            });
            // Calls until one notices.
            loop {
                number += 1;
                let before = Instant::now();
                let call = Call::of(below(&mut rng, 5));
                let result = call.make(device.as_mut(), number, &mut rng, &mut truth, &mut counts);
                let took = before.elapsed();
                if took > HANG {
                    counts.wrong.push(format!("{} took {took:?}", call.name()));
                }
                match result {
                    Ok(()) => counts.completed += 1,
                    Err(Failure::Call(Error::Disconnected { .. })) => {
                        *counts.disconnected.entry(call.name()).or_default() += 1;
                        break;
                    }
                    Err(Failure::Call(error)) => {
                        counts.wrong.push(format!("{}: {error}", call.name()));
                        break;
                    }
                    Err(Failure::Wrong(what)) => {
                        counts.wrong.push(format!("{}: {what}", call.name()));
                        break;
                    }
                }
            }
            let noticed = Instant::now();
            let moment = pull.join().map_err(|_| anyhow!("pulling the plug panicked"))??;
            let waited = noticed.saturating_duration_since(moment).as_secs_f64() * 1e3;
            counts.slowest_ms = counts.slowest_ms.max(waited);
            Ok(moment)
        });
        pulled?;
        counts.pulled += 1;
        bench.plug_in()?;
        if let Err(error) = device.ping(b"back", Deadline::after(CALL)) {
            counts.wrong.push(format!("once plugged in again: {error}"));
        }
    }
    Ok(counts)
}

/// Why a call did not return the right result.
enum Failure {
    /// It said so.
    Call(Error),
    /// It did not.
    Wrong(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

#[derive(Debug, Clone, Copy)]
enum Call {
    Ping,
    Registers,
    Load,
    Stream,
    Moments,
}

impl Call {
    fn of(number: u64) -> Self {
        match number {
            0 => Self::Ping,
            1 => Self::Registers,
            2 => Self::Load,
            3 => Self::Stream,
            _ => Self::Moments,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Registers => "registers",
            Self::Load => "load",
            Self::Stream => "stream",
            Self::Moments => "moments",
        }
    }

    fn make(
        self,
        device: &mut dyn Device,
        number: u32,
        rng: &mut Xoshiro256PlusPlus,
        truth: &mut Truth,
        counts: &mut Counts,
    ) -> Result<(), Failure> {
        let deadline = Deadline::after(CALL);
        let variant = below(rng, 3);
        match self {
            Self::Ping => {
                let payload: Vec<u8> = (0..=below(rng, 1023)).map(|at| at as u8).collect();
                Ok(device.ping(&payload, deadline)?)
            }
            Self::Registers => {
                let (address, value) = (regs::adc_offset(0), 0x100 | number & 0xff);
                device.write_regs(address, &[value], deadline)?;
                let mut word = [0];
                device.read_regs(address, &mut word, deadline)?;
                if word[0] == value {
                    return Ok(());
                }
                Err(Failure::Wrong(format!("{:#x} was read where {value:#x} was written", word[0])))
            }
            Self::Load => {
                let program = program(device.info(), variant, 0);
                let applied = device.load(&program, deadline)?;
                if applied.program == program {
                    return Ok(());
                }
                Err(Failure::Wrong("another program was applied".into()))
            }
            Self::Stream | Self::Moments => {
                let program = program(device.info(), variant, 0);
                device.load(&program, deadline)?;
                let sampling = Sampling {
                    frames: 2048,
                    decimation: 1 + below(rng, 8) as u32,
                    stream: matches!(self, Self::Stream),
                    realtime: false,
                };
                let mut keep = Keep::default();
                let result = device.acquire(&plan(sampling), &mut keep, deadline);
                let codes = truth
                    .of(variant, sampling)
                    .map_err(|error| Failure::Wrong(error.to_string()))?;
                // What came before the plug was pulled must be right too.
                if keep.frames.iter().any(|(at, frame)| codes.get(*at as usize) != Some(frame)) {
                    return Err(Failure::Wrong("a frame is not that of an undisturbed run".into()));
                }
                counts.frames_compared += keep.frames.len() as u64;
                let report = result?;
                let delivered = keep.frames.len() as u64;
                if sampling.stream && (delivered != 2048 || report.lost != 0) {
                    return Err(Failure::Wrong(format!(
                        "{delivered} frames came and {} were lost of 2048",
                        report.lost
                    )));
                }
                if report.moments.as_ref() == Some(&moments_of(codes)) {
                    return Ok(());
                }
                Err(Failure::Wrong("the moments are not those of an undisturbed run".into()))
            }
        }
    }
}

/// A served board whose plug can be pulled.
struct Bench {
    uri: String,
    server: Server,
}

enum Server {
    /// In a thread of this process.
    Thread(Served),
    /// Another process, and how to start it again.
    Process { child: Option<Child>, program: PathBuf, socket: PathBuf },
}

impl Bench {
    fn new(plug: Plug, folder: &Path, program: &Path) -> Result<Self> {
        let endpoint = match plug {
            Plug::Pty => Endpoint::Pty { link: Some(folder.join("tty")) },
            Plug::Tcp => Endpoint::Tcp { host: "127.0.0.1".into(), port: 0 },
            Plug::Unix => Endpoint::Unix { path: folder.join("socket") },
            Plug::Process => {
                let socket = folder.join("process");
                let uri = format!("unix:{}", socket.display());
                let child = Some(start(program, &socket)?);
                let program = program.to_owned();
                return Ok(Self { uri, server: Server::Process { child, program, socket } });
            }
        };
        let served = serve::spawn(board(), &endpoint)?;
        let uri = match &endpoint {
            Endpoint::Pty { link: Some(link) } => format!("serial:{}", link.display()),
            _ => served.uri().to_owned(),
        };
        Ok(Self { uri, server: Server::Thread(served) })
    }

    fn pull(&mut self) -> Result<()> {
        match &mut self.server {
            Server::Thread(served) => Ok(served.handle().unplug()?),
            Server::Process { child, .. } => {
                let mut child = child.take().context("the process was killed before")?;
                child.kill()?;
                child.wait()?;
                Ok(())
            }
        }
    }

    fn plug_in(&mut self) -> Result<()> {
        match &mut self.server {
            Server::Thread(served) => {
                served.handle().plug_in()?;
            }
            Server::Process { child, program, socket } => *child = Some(start(program, socket)?),
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Self::Process { child: Some(child), .. } = self {
            // Nothing is left to do where it is gone already.
            let _ = child.kill().and_then(|()| child.wait());
        }
    }
}

/// Serves the board of every schedule on a Unix socket until the process is killed.
///
/// # Errors
/// Where it cannot be served.
pub fn serve_forever(socket: &Path) -> Result<()> {
    let served = serve::spawn(board(), &Endpoint::Unix { path: socket.to_owned() })?;
    println!("{}", served.uri());
    while served.is_running() {
        thread::sleep(Duration::from_millis(50));
    }
    Ok(served.stop()?)
}

/// Starts a process that serves, and waits until it does.
fn start(program: &Path, socket: &Path) -> Result<Child> {
    let mut child = Command::new(program)
        .arg("--serve")
        .arg(socket)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} cannot be started", program.display()))?;
    let mut line = String::new();
    let stdout = child.stdout.take().context("its output is not captured")?;
    BufReader::new(stdout).read_line(&mut line)?;
    ensure!(line.contains("unix:"), "{} says {line:?}", program.display());
    Ok(child)
}
