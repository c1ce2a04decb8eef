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
    /// The supply dips before each start, says its monitor, which the emulated boards do not have.
    BrownOut = 4,
}

/// Sockets that QEMU connects to, in its working folder.
pub(crate) const HOST: &str = "host.sock";
pub(crate) const BUS: &str = "bus.sock";
pub(crate) const LOG: &str = "log.sock";
pub(crate) const MONITOR: &str = "monitor.sock";
/// FIFOs of the bus over semihosting.
pub(crate) const BUS_OUT: &str = "bus.tx";
pub(crate) const BUS_IN: &str = "bus.rx";

/// Where QEMU writes the number of its process.
pub(crate) const PROCESS: &str = "qemu.pid";

/// Runs a program until it ends, or until standard input does: a pipe that closes when the process that
/// holds it ends, however that ends. So no emulator outlives the one who started it.
const BOUND: &str = "exec 3<&0 </dev/null
\"$@\" 3<&- &
program=$!
(read -r _ <&3; kill -KILL $program) >/dev/null 2>&1 &
watch=$!
wait $program
status=$?
kill $watch 2>/dev/null
exit $status";
/// Exit status of a shell that does not find the program.
pub(crate) const NOT_FOUND: i32 = 127;

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
    let mut command = Command::new("/bin/sh");
    command
        .current_dir(folder)
        .args(["-c", BOUND, "sh", PROGRAM, "-pidfile", PROCESS])
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
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn socket(id: &str, path: &str) -> String {
    format!("socket,id={id},path={path}")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn bound(program: &[&str]) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", BOUND, "sh"]).args(program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    #[test]
    fn a_program_ends_with_the_pipe_that_it_is_bound_to() {
        let mut child = bound(&["sleep", "600"]).spawn().unwrap();
        assert!(child.try_wait().unwrap().is_none());
        let start = Instant::now();
        drop(child.stdin.take());
        // Killed, as a shell tells it.
        assert_eq!(child.wait().unwrap().code(), Some(128 + 9));
        assert!(start.elapsed() < Duration::from_mins(1));
    }

    #[test]
    fn a_program_that_ends_says_how() {
        let output = |program: &[&str]| {
            let mut child = bound(program).spawn().unwrap();
            let pipe = child.stdin.take();
            let status = child.wait().unwrap();
            drop(pipe);
            status.code()
        };
        assert_eq!(output(&["sh", "-c", "exit 7"]), Some(7));
        assert_eq!(output(&["spu-no-such-program"]), Some(NOT_FOUND));
    }
}
