//! The virtual machine.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::image::{Image, Tools};

/// The boards' sockets, and the names of the ports through which the machine reaches them.
pub(super) const BOARDS: [&str; 2] = ["usb", "serial"];
/// The same of what sends back all that it gets, and of what sends without end.
pub(super) const ECHO: &str = "echo";
pub(super) const SOURCE: &str = "source";

/// The machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    /// As this computer's.
    Real,
    /// A nanosecond an instruction; while the machine waits, its clock goes straight on to what it
    /// waits for. Nothing outside of it may be waited for.
    Counted,
}

/// A machine that runs. Dropped, it is stopped.
pub(super) struct Machine {
    qemu: Child,
    lines: Receiver<String>,
}

impl Machine {
    /// Boots; `suites` are arguments for the suites.
    ///
    /// # Errors
    /// Where QEMU does not start.
    pub(super) fn start(
        tools: &Tools,
        image: &Image,
        time: Time,
        suites: &[String],
    ) -> Result<Self> {
        let console = image.console();
        fs::write(&console, "")?;
        // Emulated, so that every machine gives the same: `max` has the instructions that the
        // simulator is fast with.
        let mut command = Command::new("qemu-system-x86_64");
        command.args(match time {
            Time::Real => ["-accel", "tcg,thread=multi", "-smp", "2"].as_slice(),
            Time::Counted => &["-accel", "tcg", "-smp", "1", "-icount", "shift=0,sleep=off"],
        });
        command
            .args(["-cpu", "max", "-m", "1024"])
            .args(["-nodefaults", "-no-reboot", "-display", "none", "-monitor", "none"])
            .arg("-kernel")
            .arg(tools.vmlinuz())
            .arg("-initrd")
            .arg(image.archive())
            .arg("-append")
            .arg(format!(
                "console=ttyS0 loglevel=5 panic=-1 mitigations=off -- {}",
                suites.join(" ")
            ))
            .arg("-chardev")
            .arg(format!("file,id=console,path={}", console.display()))
            .args(["-serial", "chardev:console", "-serial", "stdio"])
            .args(["-device", "virtio-serial-pci"]);
        let ports = BOARDS.iter().chain([&ECHO, &SOURCE]).filter(|_| time == Time::Real);
        for name in ports {
            let socket = image.folder().join(name);
            command
                .arg("-chardev")
                .arg(format!("socket,id={name},path={}", socket.display()))
                .arg("-device")
                .arg(format!("virtserialport,chardev={name},name={name}"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut qemu = command.spawn().context("qemu-system-x86_64 cannot be started")?;
        let report = qemu.stdout.take().context("no pipe")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(report).lines().map_while(Result::ok) {
                if sender.send(line.trim().to_owned()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { qemu, lines })
    }

    /// Hands on the lines of the suites until the machine stops by itself.
    ///
    /// # Errors
    /// Where it runs longer than `limit`, or QEMU fails.
    pub(super) fn follow(mut self, limit: Duration, mut take: impl FnMut(&str)) -> Result<()> {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => take(&line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    bail!("the machine did not end within {} s", limit.as_secs())
                }
            }
        }
        let status = self.qemu.wait()?;
        let mut complaint = String::new();
        if let Some(mut stderr) = self.qemu.stderr.take() {
            // The exit status says the rest.
            let _ = stderr.read_to_string(&mut complaint);
        }
        ensure!(status.success(), "QEMU: {status}: {}", complaint.trim());
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It has ended by itself, unless it hangs.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}
