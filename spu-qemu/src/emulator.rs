//! A board whose microcontroller is emulated.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use spu_sim::fpga::SimSpi;
use spu_sim::{AnyAnalog, Dispatch, SimConfig};
use tempfile::TempDir;

use crate::bridge::Terminal;
use crate::error::EmulatorError;
use crate::image::{self, Board};
use crate::machine::{self, Bus, Clocking, Mishap};
use crate::monitor::Monitor;
use crate::{bus, log};

/// Longest time that QEMU gets to start.
const START: Duration = Duration::from_secs(20);
/// Wait between two looks for it.
const LOOK: Duration = Duration::from_millis(2);

/// What to emulate.
#[derive(Debug, Clone)]
pub struct Options {
    /// The microcontroller's board.
    pub board: Board,
    /// A program (ELF) that starts by itself, in place of boot loader and image.
    pub program: Option<PathBuf>,
    /// The board's flash memory: a file that outlives the emulator. What is not there yet is made, with
    /// the image of [`image::folder`] in its first slot; `None` for one that goes with the emulator.
    pub flash: Option<PathBuf>,
    /// The FPGA and the cells.
    pub sim: SimConfig,
    /// Ticks by which a look at the status advances the FPGA.
    pub quantum: std::num::NonZeroU32,
    /// The way between them.
    pub bus: Bus,
    /// The microcontroller's time.
    pub clocking: Clocking,
    /// The firmware's main loop goes round where it would sleep: quicker to answer, and a core of this
    /// computer is never idle. Always so where instructions are counted.
    pub spin: bool,
    /// What goes wrong in the firmware soon after power-up, once.
    pub mishap: Option<Mishap>,
}

impl Options {
    /// The main board in real time, with this FPGA behind a UART.
    pub fn new(sim: SimConfig) -> Self {
        Self {
            board: Board::default(),
            program: None,
            flash: None,
            sim,
            quantum: spu_sim::board::DEFAULT_QUANTUM,
            bus: Bus::default(),
            clocking: Clocking::default(),
            spin: false,
            mishap: None,
        }
    }
}

/// A microcontroller that runs. Dropped, it is stopped and its serial port goes away.
#[derive(Debug)]
pub struct Emulator {
    options: Options,
    /// Ended by [`Drop`], before the threads are waited for.
    qemu: Child,
    monitor: Monitor,
    port: PathBuf,
    fpga: Arc<Mutex<SimSpi<AnyAnalog>>>,
    threads: Vec<JoinHandle<()>>,
    folder: TempDir,
}

impl Emulator {
    /// Starts the microcontroller. Its firmware runs when this returns, or soon after.
    ///
    /// # Errors
    /// [`EmulatorError`].
    pub fn start(options: Options) -> Result<Self, EmulatorError> {
        let program = |name: &str| match &options.program {
            Some(path) => {
                path.canonicalize().map_err(|_| EmulatorError::NoImage { path: path.clone() })
            }
            None => image::find(name),
        };
        let name = options.board.name();
        // What the log's lines stand in.
        let logs = program(&format!("{name}.elf"))?;
        let slots = options.board.has_slots() && options.program.is_none();
        let kernel = if slots { image::find(&format!("{name}-boot.elf"))? } else { logs.clone() };
        let fpga = Arc::new(Mutex::new(fpga(&options)?));
        let folder = tempfile::tempdir().map_err(EmulatorError::io("making a folder"))?;
        let listen = |name| {
            let listener = UnixListener::bind(folder.path().join(name))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let sockets = EmulatorError::io("making sockets");
        let [host, bus, log, monitor] =
            match [machine::HOST, machine::BUS, machine::LOG, machine::MONITOR].map(listen) {
                [Ok(host), Ok(bus), Ok(log), Ok(monitor)] => [host, bus, log, monitor],
                results => return Err(sockets(first_error(results))),
            };
        if options.bus == Bus::Semihosting {
            for name in [machine::BUS_OUT, machine::BUS_IN] {
                let path = folder.path().join(name);
                mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
                    .map_err(|error| EmulatorError::io("making a FIFO")(error.into()))?;
            }
        }
        let flash = if slots { Some(flash(&options, folder.path())?) } else { None };
        let mut command = machine::command(&options, &kernel, flash.as_deref(), folder.path());
        let qemu = command.spawn().map_err(EmulatorError::io("starting QEMU"))?;
        // From here on an error stops it.
        let mut starting = Starting(Some(qemu));
        let until = Instant::now() + START;
        let host = starting.accept(&host, until)?;
        let bus_end = match options.bus {
            Bus::Uart => Some(starting.accept(&bus, until)?),
            Bus::Semihosting => None,
        };
        let log_end = starting.accept(&log, until)?;
        let monitor = starting.accept(&monitor, until)?;
        let monitor = Monitor::new(monitor).map_err(EmulatorError::io("greeting QEMU"))?;
        let terminal = Terminal::open().map_err(EmulatorError::io("opening a pseudo-terminal"))?;
        let port = terminal.path().to_owned();
        let mut threads = vec![
            spawn("uart", move || terminal.relay(&host))?,
            spawn("log", move || log::follow(&logs, log_end))?,
        ];
        let spi = Arc::clone(&fpga);
        threads.push(if let Some(bus_end) = bus_end {
            spawn("bus", move || bus::serve(&spi, &bus_end, &bus_end))?
        } else {
            let path = folder.path().to_owned();
            spawn("bus", move || serve_files(&spi, &path))?
        });
        let Some(mut qemu) = starting.0.take() else { unreachable!("nothing takes it before") };
        if let Some(stderr) = qemu.stderr.take() {
            threads.push(spawn("messages", move || {
                for line in BufReader::new(stderr).lines() {
                    match line? {
                        // Of devices of the machine that nobody uses.
                        line if line.contains("has no peer") => tracing::debug!("{line}"),
                        line => tracing::warn!(target: "qemu", "{line}"),
                    }
                }
                Ok(())
            })?);
        }
        Ok(Self { options, qemu, monitor, port, fpga, threads, folder })
    }

    /// The serial port of the board.
    pub fn port(&self) -> &Path {
        &self.port
    }

    /// What is emulated.
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// The FPGA, past firmware and bus. The microcontroller's bus waits meanwhile.
    pub fn fpga(&self) -> MutexGuard<'_, SimSpi<AnyAnalog>> {
        self.fpga.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pulls the reset of the microcontroller: memory is kept, the FPGA goes on.
    ///
    /// # Errors
    /// [`EmulatorError::Io`] where QEMU does not obey.
    pub fn reset(&mut self) -> Result<(), EmulatorError> {
        self.monitor.command("system_reset").map_err(EmulatorError::io("resetting the machine"))
    }

    /// The FPGA loses its power and gets it back; the microcontroller is reset.
    ///
    /// # Errors
    /// As [`reset`](Self::reset).
    pub fn power_cycle(&mut self) -> Result<(), EmulatorError> {
        *self.fpga() = fpga(&self.options)?;
        self.reset()
    }

    /// Number of QEMU's process, to kill it from another thread.
    ///
    /// # Errors
    /// [`EmulatorError::Io`] where QEMU has not written it.
    pub fn process_id(&self) -> Result<u32, EmulatorError> {
        let text = fs::read_to_string(self.folder.path().join(machine::PROCESS));
        text.and_then(|text| text.trim().parse().map_err(|_| ErrorKind::InvalidData.into()))
            .map_err(EmulatorError::io("reading the number of QEMU's process"))
    }

    /// Kills the emulator, as a pulled plug does: the serial port goes away.
    pub fn kill(&mut self) {
        // What is bound to the pipe ends with it; it may have ended by itself.
        drop(self.qemu.stdin.take());
        let _ = self.qemu.wait();
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.kill();
        if self.options.bus == Bus::Semihosting {
            // A thread that still waits for the other end of a FIFO finds it closed.
            for name in [machine::BUS_OUT, machine::BUS_IN] {
                let path = self.folder.path().join(name);
                drop(OpenOptions::new().read(true).write(true).open(path));
            }
        }
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// The file of the flash memory.
fn flash(options: &Options, folder: &Path) -> Result<PathBuf, EmulatorError> {
    let path = options.flash.clone().unwrap_or_else(|| folder.join("flash.bin"));
    if !path.exists() {
        let image = image::find(&format!("{}.img", options.board.name()))?;
        let image = fs::read(image).map_err(EmulatorError::io("reading the image"))?;
        fs::write(&path, image::flash_with(&image)?)
            .map_err(EmulatorError::io("making the flash memory"))?;
    }
    let file = OpenOptions::new().write(true).open(&path);
    file.and_then(|file| file.set_len(machine::FLASH_SIZE))
        .map_err(EmulatorError::io("opening the flash memory"))?;
    path.canonicalize().map_err(EmulatorError::io("finding the flash memory"))
}

/// The FPGA and the cells, after power-up.
fn fpga(options: &Options) -> Result<SimSpi<AnyAnalog>, EmulatorError> {
    Ok(SimSpi::power_up(&options.sim, Dispatch::detect(), options.quantum)?)
}

fn first_error(results: [io::Result<UnixListener>; 4]) -> io::Error {
    results.into_iter().find_map(Result::err).unwrap_or_else(|| ErrorKind::Other.into())
}

fn spawn(
    name: &'static str,
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<JoinHandle<()>, EmulatorError> {
    thread::Builder::new()
        .name(format!("qemu {name}"))
        .spawn(move || {
            if let Err(error) = work() {
                tracing::debug!(%error, "emulator: the {name} thread ended");
            }
        })
        .map_err(EmulatorError::io("starting a thread"))
}

/// The bus over FIFOs, opened in the order in which the firmware does, again after each reset.
fn serve_files(spi: &Arc<Mutex<SimSpi<AnyAnalog>>>, folder: &Path) -> io::Result<()> {
    let from = File::open(folder.join(machine::BUS_OUT))?;
    let to = OpenOptions::new().write(true).open(folder.join(machine::BUS_IN))?;
    bus::serve(spi, from, to)
}

/// QEMU until all of it is connected.
struct Starting(Option<Child>);

impl Starting {
    /// The connection that QEMU makes.
    fn accept(
        &mut self,
        listener: &UnixListener,
        until: Instant,
    ) -> Result<UnixStream, EmulatorError> {
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream
                        .set_nonblocking(false)
                        .map_err(EmulatorError::io("setting up a socket"))?;
                    return Ok(stream);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(source) => {
                    return Err(EmulatorError::Io { what: "waiting for QEMU", source });
                }
            }
            let Some(qemu) = &mut self.0 else { unreachable!("only start takes it") };
            if let Ok(Some(status)) = qemu.try_wait() {
                if status.code() == Some(machine::NOT_FOUND) {
                    return Err(EmulatorError::NoQemu { program: machine::PROGRAM });
                }
                let mut said = String::new();
                if let Some(stderr) = &mut qemu.stderr {
                    // The status is all there is then.
                    let _ = stderr.read_to_string(&mut said);
                }
                return Err(EmulatorError::Ended { why: format!("{status}: {}", said.trim()) });
            }
            if Instant::now() >= until {
                return Err(EmulatorError::Ended {
                    why: format!("it did not connect within {} s", START.as_secs()),
                });
            }
            thread::sleep(LOOK);
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(qemu) = &mut self.0 {
            drop(qemu.stdin.take());
            let _ = qemu.wait();
        }
    }
}
