//! QEMU's command line.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::emulator::Options;
use crate::image::Board;

/// The way from the microcontroller to the FPGA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bus {
    /// A UART: functions are right, times are this computer's.
    #[default]
    Uart,
    /// Files of the emulator's host: the machine stops while the FPGA answers, which takes none of
    /// its time.
    Semihosting,
}

/// How the emulated clock runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clocking {
    /// As this computer's.
    #[default]
    Real,
    /// By instructions, each 2^`shift` ns: the same run takes the same time. The firmware's idle
    /// loop spins, since a machine that sleeps counts none.
    Instructions {
        /// Power of two of nanoseconds.
        shift: u8,
    },
}

/// What goes wrong in the firmware, to see that it comes to light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It panics.
    Panic = 1,
    /// The main loop stops, and interrupts go on.
    Hang = 2,
    /// The processor meets an instruction that there is not.
    Fault = 3,
}

/// Sockets that QEMU connects to, in its working folder.
pub(crate) const HOST: &str = "host.sock";
pub(crate) const BUS: &str = "bus.sock";
pub(crate) const LOG: &str = "log.sock";
pub(crate) const MONITOR: &str = "monitor.sock";
/// FIFOs of the bus over semihosting.
pub(crate) const BUS_OUT: &str = "bus.tx";
pub(crate) const BUS_IN: &str = "bus.rx";

/// The program.
pub(crate) const PROGRAM: &str = "qemu-system-arm";

/// Address of the strap word of a board: memory that the firmware leaves alone.
const fn strap_address(board: Board) -> u32 {
    match board {
        Board::Mps2An386 | Board::Lm3s6965evb => 0x2000_FFF0,
    }
}

/// What the strap word says: its upper half tells that there is one.
fn straps(options: &Options) -> u32 {
    let semihosting = u32::from(options.bus == Bus::Semihosting);
    let spin = u32::from(options.spin || options.clocking != Clocking::Real);
    let mishap = options.mishap.map_or(0, |mishap| mishap as u32);
    0x5350_0000 | semihosting | spin << 1 | mishap << 4
}

/// Octets of the memory that stands for flash: the machine's PSRAM.
pub(crate) const FLASH_SIZE: u64 = 16 << 20;

/// The command that runs `kernel` in `folder`, with the file `flash` for flash memory.
pub(crate) fn command(
    options: &Options,
    kernel: &Path,
    flash: Option<&Path>,
    folder: &Path,
) -> Command {
    let Options { board, bus, clocking, .. } = *options;
    let mut command = Command::new(PROGRAM);
    command
        .current_dir(folder)
        .args([
            "-M",
            board.name(),
            "-display",
            "none",
            "-monitor",
            "none",
            "-nodefaults",
            "-nic",
            "none",
        ])
        .arg("-kernel")
        .arg(kernel)
        .args(["-chardev", &socket("host", HOST), "-serial", "chardev:host"])
        .args(match bus {
            Bus::Uart => ["-chardev".into(), socket("bus", BUS)],
            Bus::Semihosting => ["-chardev".into(), "null,id=bus".into()],
        })
        .args(["-serial", "chardev:bus"])
        .args(["-chardev", &socket("log", LOG), "-serial", "chardev:log"])
        .args(["-chardev", &socket("monitor", MONITOR), "-mon", "chardev=monitor,mode=control"])
        .arg("-device")
        .arg(format!(
            "loader,addr={:#x},data={:#x},data-len=4",
            strap_address(board),
            straps(options)
        ));
    if let Some(flash) = flash {
        let path = flash.display();
        command
            .arg("-object")
            .arg(format!("memory-backend-file,id=psram,size={FLASH_SIZE},mem-path={path},share=on"))
            .args(["-machine", "memory-backend=psram"]);
    }
    if bus == Bus::Semihosting {
        command.args(["-semihosting-config", "enable=on,target=native"]);
    }
    if let Clocking::Instructions { shift } = clocking {
        command.arg("-icount").arg(OsString::from(format!("shift={shift},sleep=off")));
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn socket(id: &str, path: &str) -> String {
    format!("socket,id={id},path={path}")
}
