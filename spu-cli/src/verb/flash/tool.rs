//! Flashing past the running firmware: `probe-rs` and `dfu-util`, which are installed apart.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use serde::Serialize;
use spu_boot::pack::factory;
use spu_driver::flash::Image;
use spu_protocol::image::{BoardId, ImageKind, MAGIC};
use tempfile::NamedTempFile;

use super::{Keys, check, read};
use crate::exit::{Exit, Failure};

/// How to flash past the firmware.
#[derive(Debug, Args)]
pub(crate) struct ToolArgs {
    /// Flash by a debug probe, with `probe-rs`: an ELF file, or an image or binary to --address
    #[arg(long, conflicts_with_all = ["dfu", "status", "confirm", "record"])]
    probe: bool,
    /// Flash by the microcontroller's own USB boot loader, with `dfu-util`: an image or binary to
    /// --address
    #[arg(long, conflicts_with_all = ["status", "confirm", "record"])]
    dfu: bool,
    /// With --probe: the chip, as `probe-rs chip list` names it [default: that of the image's board]
    #[arg(long, value_name = "CHIP", requires = "probe")]
    chip: Option<String>,
    /// With --dfu: USB vendor and product of the boot loader
    #[arg(long, value_name = "VID:PID", default_value = "0483:df11", requires = "dfu")]
    usb: String,
    /// With --probe or --dfu: address in the microcontroller's flash; of an image, its slot's
    #[arg(long, value_name = "ADDRESS", value_parser = super::super::image::number)]
    address: Option<u32>,
    /// With --probe or --dfu, of an image: octets of its slot, at whose end its marks go
    #[arg(long, value_name = "OCTETS", value_parser = super::super::image::number)]
    slot_size: Option<u32>,
}

/// A tool that is installed apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Probe,
    Dfu,
}

#[derive(Debug, Serialize)]
pub(crate) struct ToolAnswer {
    tool: &'static str,
    file: PathBuf,
    /// What was run.
    commands: Vec<String>,
}

impl ToolAnswer {
    pub(super) fn text(&self) -> String {
        format!("{} flashed by {}\n", self.file.display(), self.tool)
    }
}

impl Tool {
    /// The tool that was asked for.
    pub(super) fn of(args: &ToolArgs) -> Option<Self> {
        match (args.probe, args.dfu) {
            (true, _) => Some(Self::Probe),
            (_, true) => Some(Self::Dfu),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Probe => "probe-rs",
            Self::Dfu => "dfu-util",
        }
    }

    const fn install(self) -> &'static str {
        match self {
            Self::Probe => {
                "install it with `cargo install --locked probe-rs-tools`, or see \
                 https://probe.rs/docs/getting-started/installation/"
            }
            Self::Dfu => {
                "install it with `apt install dfu-util`, `dnf install dfu-util` or `brew install \
                 dfu-util`, or see https://dfu-util.sourceforge.net/"
            }
        }
    }

    /// Runs it on a file.
    pub(super) fn flash(
        self,
        args: &ToolArgs,
        path: &Path,
        keys: &Keys,
        json: bool,
    ) -> Result<ToolAnswer, Failure> {
        let file = read(path)?;
        if file.is_empty() {
            return Err(Failure::new(Exit::Input, format!("{} is empty", path.display())));
        }
        let is_image = file.starts_with(&MAGIC);
        let slot = is_image.then(|| slot(args, path, &file, keys)).transpose()?;
        let written = slot.as_ref().map_or(path, |slot| slot.file.path());
        let chip = args.chip.clone().or_else(|| slot.as_ref()?.chip.map(str::to_owned));
        let commands = match self {
            Self::Probe => probe_rs(&file, written, chip.as_deref(), args.address)?,
            Self::Dfu => dfu_util(&file, written, &args.usb, args.address)?,
        };
        for command in &commands {
            self.run(command, json)?;
        }
        let line = |arguments: &Vec<OsString>| {
            let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
            format!("{} {}", self.name(), words.join(" "))
        };
        Ok(ToolAnswer {
            tool: self.name(),
            file: path.into(),
            commands: commands.iter().map(line).collect(),
        })
    }

    /// Runs it; what it says goes through, with `json` to standard error.
    fn run(self, arguments: &[OsString], json: bool) -> Result<(), Failure> {
        let mut command = Command::new(self.name());
        command.args(arguments).stdin(Stdio::null());
        if json {
            command.stdout(io::stderr());
        }
        let status = command.status().map_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::NotFound => {
                    format!("{} is not on the PATH; {}", self.name(), self.install())
                }
                _ => format!("{} cannot be started: {error}; {}", self.name(), self.install()),
            };
            Failure::new(Exit::Device, why)
        })?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Fault,
            format!(
                "{} ended with {status}; what it said above has the reason: mostly a cable, the \
                 wrong chip, or a board that is not in its boot loader",
                self.name()
            ),
        ))
    }
}

/// An image as its slot has it from the factory: with its marks, confirmed.
struct Slot {
    file: NamedTempFile,
    chip: Option<&'static str>,
}

fn slot(args: &ToolArgs, path: &Path, file: &[u8], keys: &Keys) -> Result<Slot, Failure> {
    let image: Image<'_> = check(path, file, keys)?;
    if image.kind() != ImageKind::Firmware {
        return Err(Failure::usage(
            "a probe and DFU write the microcontroller's flash, not the FPGA's; flash gateware over \
             the device's link: `spu flash GATEWARE.img --device …`",
        ));
    }
    let (Some(_), Some(size)) = (args.address, args.slot_size) else {
        return Err(Failure::usage(
            "an image goes to the start of a slot: give --address and --slot-size as the board's \
             memory map has them, or flash the ELF file of boot loader and firmware",
        ));
    };
    if size == 0 || !size.is_multiple_of(32) {
        return Err(Failure::usage("--slot-size must be a multiple of 32 octets above 0"));
    }
    let input = |why: String| Failure::new(Exit::Input, format!("{}: {why}", path.display()));
    let contents = factory(file, size).map_err(|error| input(error.to_string()))?;
    let temporary = || -> io::Result<NamedTempFile> {
        let mut file = tempfile::Builder::new().prefix("spu-slot-").suffix(".bin").tempfile()?;
        file.write_all(&contents)?;
        file.as_file().sync_all()?;
        Ok(file)
    };
    let file = temporary().map_err(|error| {
        let why = format!("a temporary file cannot be written: {error}; free some space");
        Failure::new(Exit::Output, why)
    })?;
    let chip = match BoardId::from_u32(image.header().target) {
        Some(BoardId::NucleoH743Zi) => Some("STM32H743ZITx"),
        _ => None,
    };
    Ok(Slot { file, chip })
}

fn is_elf(file: &[u8]) -> bool {
    file.starts_with(b"\x7fELF")
}

const NO_ADDRESS: &str = "a binary has no address in it: give --address, where it goes in the \
                          microcontroller's flash";

/// `probe-rs download`, then `probe-rs reset`, without which the old firmware stays halted.
fn probe_rs(
    file: &[u8],
    written: &Path,
    chip: Option<&str>,
    address: Option<u32>,
) -> Result<Vec<Vec<OsString>>, Failure> {
    let chip = chip.map(|chip| ["--chip".into(), chip.into()]);
    let chip = chip.iter().flatten().cloned();
    let mut download: Vec<OsString> = vec!["download".into()];
    download.extend(chip.clone());
    if !is_elf(file) {
        let address = address.ok_or_else(|| Failure::usage(NO_ADDRESS))?;
        let format = ["--binary-format", "bin", "--base-address"];
        download.extend(format.map(OsString::from));
        download.push(format!("{address:#010x}").into());
    } else if address.is_some() {
        return Err(Failure::usage("an ELF file has its addresses in it: leave --address out"));
    }
    download.push(written.into());
    let reset = [OsString::from("reset")].into_iter().chain(chip).collect();
    Ok(vec![download, reset])
}

/// `dfu-util` for a boot loader of ST's kind (`DfuSe`), which starts the firmware afterwards.
fn dfu_util(
    file: &[u8],
    written: &Path,
    usb: &str,
    address: Option<u32>,
) -> Result<Vec<Vec<OsString>>, Failure> {
    if is_elf(file) {
        return Err(Failure::usage(
            "dfu-util takes no ELF file; make a binary of it: `rust-objcopy -O binary FILE.elf \
             FILE.bin`, or use --probe",
        ));
    }
    let address = address.ok_or_else(|| Failure::usage(NO_ADDRESS))?;
    let arguments = ["-d", usb, "-a", "0", "-s", &format!("{address:#010x}:leave"), "-D"];
    let mut arguments = arguments.map(OsString::from).to_vec();
    arguments.push(written.into());
    Ok(vec![arguments])
}
