//! `spu flash`: brings firmware or gateware onto a board.

mod meter;
mod tool;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use spu_boot::Key;
use spu_driver::flash::{self, FlashError, FlashOptions, Flashed, Image, SlotPair};
use spu_driver::{Deadline, Device, DeviceUri};
use spu_protocol::image::ImageHeader;

use super::image::public_key;
use super::{DeviceArg, rung, seconds};
use crate::answer::Answer;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::text::{count, facts, table};
use meter::Meter;
use tool::{Tool, ToolAnswer, ToolArgs};

/// Longest time for an update, unless told otherwise: gateware behind a slow UART takes minutes.
const LONGEST: Duration = Duration::from_mins(10);
/// Longest time to read or mark slots.
const SOON: Duration = Duration::from_secs(30);

/// Flash firmware or gateware: over the device's link, by a debug probe, or by DFU
///
/// The image goes into the slot that does not run, is verified there and started; it is kept once the
/// board answers with it, and rolled back otherwise.
#[expect(clippy::struct_excessive_bools, reason = "one flag each of the command line")]
#[derive(Debug, Args)]
pub(crate) struct Flash {
    /// Image made by `spu image pack`; with --probe or --dfu an ELF file or a binary too
    #[arg(required_unless_present_any = ["status", "confirm"])]
    image: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArg,
    /// Flash an image that is older than what runs
    #[arg(long)]
    allow_downgrade: bool,
    /// Leave the new image on trial: the next start goes back, unless `spu flash --confirm` keeps it
    #[arg(long)]
    no_confirm: bool,
    /// Accept what this key signed too: a file with the public key, 64 hexadecimal digits
    #[arg(long, value_name = "FILE")]
    public: Option<PathBuf>,
    /// Show what the slots of firmware and gateware hold
    #[arg(long, conflicts_with_all = ["image", "confirm", "allow_downgrade", "no_confirm"])]
    status: bool,
    /// Keep what runs on trial
    #[arg(long, conflicts_with_all = ["image", "allow_downgrade", "no_confirm"])]
    confirm: bool,
    #[command(flatten)]
    tool: ToolArgs,
    /// Longest time for all of it, in seconds [default: 600]
    #[arg(long, value_name = "S", value_parser = seconds)]
    timeout: Option<Duration>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum FlashAnswer {
    Flashed(FlashedAnswer),
    Slots(SlotsAnswer),
    Confirmed(ConfirmedAnswer),
    Tool(ToolAnswer),
}

#[derive(Debug, Serialize)]
pub(crate) struct FlashedAnswer {
    uri: String,
    rung: &'static str,
    file: PathBuf,
    serial: u64,
    #[serde(flatten)]
    flashed: Flashed,
    /// The board ends with this command.
    #[serde(skip)]
    in_process: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct SlotsAnswer {
    uri: String,
    rung: &'static str,
    slots: Vec<SlotPair>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ConfirmedAnswer {
    uri: String,
    rung: &'static str,
    /// What was on trial until now.
    confirmed: Vec<&'static str>,
}

impl Flash {
    pub(crate) fn run(&self, interrupt: &Interrupt, json: bool) -> Result<FlashAnswer, Failure> {
        let Some(path) = &self.image else {
            let mut device = self.device.open()?;
            return self.slots(device.as_mut());
        };
        if let Some(tool) = Tool::of(&self.tool) {
            return tool.flash(&self.tool, path, &self.keys()?, json).map(FlashAnswer::Tool);
        }
        self.update(path, interrupt, json)
    }

    /// Over the device's link. The file is checked before the device is opened.
    fn update(
        &self,
        path: &Path,
        interrupt: &Interrupt,
        json: bool,
    ) -> Result<FlashAnswer, Failure> {
        let file = read(path)?;
        let image = check(path, &file, &self.keys()?)?;
        let mut devices = [self.device.open()?];
        interrupt.watch_saying(&devices, "leaving what runs on the board; press again to quit");
        let [device] = &mut devices;
        let options =
            FlashOptions { allow_downgrade: self.allow_downgrade, confirm: !self.no_confirm };
        let deadline = Deadline::after(self.timeout.unwrap_or(LONGEST));
        let meter = Meter::new(image.kind(), json);
        let flashed = flash::flash(device.as_mut(), &image, &options, deadline, &meter);
        meter.finish();
        Ok(FlashAnswer::Flashed(FlashedAnswer {
            uri: device.uri().to_owned(),
            rung: rung(device.uri(), Some(device.info())),
            file: path.into(),
            serial: device.info().serial,
            flashed: flashed?,
            in_process: matches!(device.uri().parse(), Ok(DeviceUri::Sim(_) | DeviceUri::Qemu(_))),
        }))
    }

    /// `--status` and `--confirm`.
    fn slots(&self, device: &mut dyn Device) -> Result<FlashAnswer, Failure> {
        let deadline = Deadline::after(self.timeout.unwrap_or(SOON));
        let uri = device.uri().to_owned();
        let rung = rung(device.uri(), Some(device.info()));
        if self.confirm {
            let confirmed = flash::confirm(device, deadline)?;
            return Ok(FlashAnswer::Confirmed(ConfirmedAnswer { uri, rung, confirmed }));
        }
        let slots = flash::slots(device, deadline)?;
        Ok(FlashAnswer::Slots(SlotsAnswer { uri, rung, slots }))
    }

    /// The keys of this release, and that of `--public`, whatever its number.
    fn keys(&self) -> Result<Keys, Failure> {
        Ok(Keys { more: self.public.as_deref().map(public_key).transpose()? })
    }
}

/// Keys that are accepted: those of this release, and another.
pub(crate) struct Keys {
    more: Option<[u8; 32]>,
}

/// A whole file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| {
        Failure::new(Exit::Input, format!("{}: {error}; give an image file", path.display()))
    })
}

/// The image of a file, if it is whole and signed.
fn check<'f>(path: &Path, file: &'f [u8], keys: &Keys) -> Result<Image<'f>, Failure> {
    let named = |error: FlashError| {
        let Failure { exit, message } = error.into();
        Failure::new(exit, format!("{}: {message}", path.display()))
    };
    match (Image::check(file), keys.more, ImageHeader::parse(file)) {
        (Err(_), Some(public), Ok((header, _))) => {
            Image::check_with(file, &[Key { id: header.key_id, public }]).map_err(named)
        }
        (checked, _, _) => checked.map_err(named),
    }
}

impl Answer for FlashAnswer {
    fn text(&self) -> String {
        match self {
            Self::Flashed(answer) => answer.text(),
            Self::Slots(answer) => answer.text(),
            Self::Confirmed(answer) => answer.text(),
            Self::Tool(answer) => answer.text(),
        }
    }
}

impl FlashedAnswer {
    fn text(&self) -> String {
        let Flashed { image, previous, confirmed } = &self.flashed;
        let mut text = format!("{} {} runs\n", image.kind, image.version);
        let state = if *confirmed {
            "confirmed: it is started from now on"
        } else {
            "on trial: the next start goes back, unless `spu flash --confirm` keeps it"
        };
        text += &facts(&[
            ("device", format!("{}, {}, board {:016x}", self.uri, self.rung, self.serial)),
            (
                "image",
                format!(
                    "{}, {} octets for {}, build {:08x}",
                    self.file.display(),
                    count(image.length.into()),
                    image.target_name,
                    image.build_id
                ),
            ),
            ("before", previous.clone()),
            ("state", state.into()),
        ]);
        if self.in_process {
            text += "this board ends with this command; `spu-sim serve` has one that stays\n";
        }
        text
    }
}

impl SlotsAnswer {
    fn text(&self) -> String {
        let mut text = format!("{}, {}\n", self.uri, self.rung);
        if self.slots.is_empty() {
            text += "its firmware takes no images over the link; flash with `spu flash --probe` or \
                     `--dfu`\n";
        }
        for pair in &self.slots {
            text += &format!(
                "{} for {}, up to {} octets\n",
                pair.kind,
                pair.target,
                count(pair.room.into())
            );
            let rows: Vec<Vec<String>> = pair
                .slots
                .iter()
                .zip(["A", "B"])
                .map(|(slot, name)| {
                    let Some(version) = &slot.version else {
                        return [&format!("  {name}"), slot.state, "", "", "", ""]
                            .map(str::to_owned)
                            .to_vec();
                    };
                    vec![
                        format!("  {name}"),
                        slot.state.into(),
                        version.clone(),
                        format!("{:08x}", slot.build_id),
                        count(slot.length.into()),
                        (if slot.running { "runs" } else { "" }).into(),
                    ]
                })
                .collect();
            text += &table(&["  slot", "state", "version", "build", "octets", ""], &rows);
        }
        if self.slots.iter().flat_map(|pair| &pair.slots).any(|slot| slot.state == "trial") {
            text += "on trial: the next start goes back, unless `spu flash --confirm` keeps it\n";
        }
        text
    }
}

impl ConfirmedAnswer {
    fn text(&self) -> String {
        match &self.confirmed[..] {
            [] => format!("{}: nothing is on trial; what runs is kept anyway\n", self.uri),
            kinds => format!("{}: the {} that runs is kept\n", self.uri, kinds.join(" and ")),
        }
    }
}
