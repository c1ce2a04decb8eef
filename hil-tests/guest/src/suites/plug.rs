//! The gadget, as what it is from here: something to plug in and out.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// Longest wait for a device node.
const ENUMERATION: Duration = Duration::from_secs(20);

/// A gadget in a process of its own.
pub(crate) struct Plug {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Plug {
    /// A gadget that is plugged in.
    pub(crate) fn new(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("gadget")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the gadget does not start")?;
        let commands = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("no pipe")?);
        let mut plug = Self { child, commands, answers };
        plug.answer()?;
        usb_uri()?;
        serial_uri()?;
        Ok(plug)
    }

    /// Tells the gadget what to do.
    pub(crate) fn tell(&mut self, command: &str) -> anyhow::Result<()> {
        let pipe = self.commands.as_mut().context("the gadget has ended")?;
        pipe.write_all(format!("{command}\n").as_bytes()).context("the gadget has ended")?;
        self.answer().with_context(|| command.to_owned())
    }

    fn answer(&mut self) -> anyhow::Result<()> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        match line.trim() {
            "ok" => Ok(()),
            "" => bail!("the gadget has ended"),
            why => bail!("the gadget says: {why}"),
        }
    }

    /// Unplugs and removes the gadget.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        self.commands = None;
        let status = self.child.wait()?;
        ensure!(status.success(), "the gadget ended with {status}");
        Ok(())
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        // It has ended already, unless a suite failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// URI of the board's vendor-specific interface, once it is there.
pub(crate) fn usb_uri() -> anyhow::Result<String> {
    within("the board is not listed", || {
        let listed = spu_driver::list().devices.into_iter();
        listed.map(|device| device.uri).find(|uri| uri.starts_with("usb:"))
    })
}

/// URI of the board's serial port, once it is there.
pub(crate) fn serial_uri() -> anyhow::Result<String> {
    let port = within("there is no /dev/ttyACM", || ports().pop())?;
    Ok(format!("serial:{}", port.display()))
}

/// The serial ports that gadgets made.
pub(crate) fn ports() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let mut ports: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().starts_with("/dev/ttyACM"))
        .collect();
    ports.sort();
    ports
}

/// Asks until there is an answer.
fn within<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        ensure!(start.elapsed() < ENUMERATION, "{what} after {ENUMERATION:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
