//! Ports of the virtual machine: what is written there arrives at a board outside.

use std::fs::{File, OpenOptions};
use std::path::Path;

use anyhow::Context as _;

/// Where the kernel lists the ports.
const PORTS: &str = "/sys/class/virtio-ports";

/// Opens the port with this name.
pub(super) fn open(name: &str) -> anyhow::Result<File> {
    let entries = std::fs::read_dir(PORTS).context("this machine has no ports")?;
    let found = entries.flatten().find(|entry| {
        let text = std::fs::read_to_string(entry.path().join("name"));
        text.is_ok_and(|text| text.trim() == name)
    });
    let device = found.with_context(|| format!("no port is named {name}"))?.file_name();
    let path = Path::new("/dev").join(device);
    let file = OpenOptions::new().read(true).write(true).open(&path);
    file.with_context(|| format!("{} does not open", path.display()))
}
