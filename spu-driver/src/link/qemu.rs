//! An emulated microcontroller, which lives as long as the link to it.

use std::num::NonZeroU32;

use spu_qemu::{Emulator, EmulatorError, Options};
use spu_sim::Fault;

use super::{Link, Serial, StreamLink};
use crate::device::Deadline;
use crate::error::Error;
use crate::sim::{sim_config, sim_faults};
use crate::uri::{DeviceUri, QemuOptions};

/// A link to the serial port of a microcontroller that QEMU emulates.
pub struct Qemu {
    // Closed before the emulator ends.
    serial: StreamLink<Serial>,
    emulator: Emulator,
    uri: String,
}

impl Qemu {
    /// Starts the emulator.
    ///
    /// # Errors
    /// [`Error::BadUri`] for a name that there is not, [`Error::NotFound`] without an image or a
    /// profile's file, [`Error::Unsupported`] without QEMU; those of the serial port.
    pub fn start(options: &QemuOptions, deadline: Deadline) -> Result<Self, Error> {
        let uri = DeviceUri::Qemu(options.clone()).to_string();
        let sim = sim_config(&options.sim, &uri)?;
        let faults = sim_faults(&options.sim, &sim, &uri)?;
        if faults.iter().any(Fault::happens_once) {
            let why = "brown-outs and restarts are events of the simulator in process (`sim:`)";
            return Err(Error::BadUri { uri, why: why.into() });
        }
        let refused = |error: EmulatorError| refused(&error, &uri);
        let mut emulated = Options::new(sim);
        emulated.board = options.board.parse().map_err(refused)?;
        if let Some(quantum) = options.sim.quantum.and_then(NonZeroU32::new) {
            emulated.quantum = quantum;
        }
        let emulator = Emulator::start(emulated).map_err(refused)?;
        emulator.fpga().set_faults(&faults);
        Self::attach(emulator, uri, deadline)
    }

    /// The link to an emulator that runs.
    ///
    /// # Errors
    /// Those of the serial port.
    pub fn attach(emulator: Emulator, uri: String, deadline: Deadline) -> Result<Self, Error> {
        let port = emulator.port().display().to_string();
        let serial = StreamLink::connect(Serial::new(port, None), deadline)?;
        Ok(Self { serial, emulator, uri })
    }

    /// The emulator, to reset and to plant faults.
    pub const fn emulator(&mut self) -> &mut Emulator {
        &mut self.emulator
    }
}

fn refused(error: &EmulatorError, uri: &str) -> Error {
    let (uri, why) = (uri.to_owned(), error.to_string());
    match error {
        EmulatorError::NoQemu { .. } => Error::Unsupported { reasons: vec![why] },
        EmulatorError::NoBoard { .. } => Error::BadUri { uri, why },
        _ => Error::NotFound { uri, why },
    }
}

impl Link for Qemu {
    fn write(&mut self, bytes: &[u8], deadline: Deadline) -> Result<(), Error> {
        self.serial.write(bytes, deadline)
    }

    fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, Error> {
        self.serial.read(buffer, deadline)
    }

    fn describe(&self) -> String {
        self.uri.clone()
    }

    fn reconnect(&mut self, deadline: Deadline) -> Result<(), Error> {
        self.serial.reconnect(deadline)
    }
}
