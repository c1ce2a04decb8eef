//! A USB gadget: a board behind a vendor-specific interface (`FunctionFS`) and a serial port (ACM).
//!
//! The boards run outside of this emulated computer, which would be too slow for them, one for each
//! function; their bytes come through ports of the computer. Where it is not to wait for what is
//! outside, a board runs in this process. Commands come as lines on standard
//! input; each is answered by a line, `ok` or why not.

mod bulk;
mod port;
mod serial;

use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use anyhow::{Context as _, bail};
use port::Behind;
use spu_driver::link::ids;
use usb_gadget::function::custom::{Custom, Endpoint, EndpointDirection, Interface};
use usb_gadget::function::serial::{Serial, SerialClass};
use usb_gadget::{Class, Config, Gadget, Id, RegGadget, Strings, Udc, default_udc};

/// Which gadget.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Serial number of the board.
    #[arg(long)]
    serial: String,
    /// Pretend to wait in the boot loader.
    #[arg(long)]
    boot_loader: bool,
    /// Have the board in this process, behind the vendor-specific interface alone.
    #[arg(long)]
    inside: bool,
}

/// What the vendor-specific interface does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// It is the board.
    Board,
    /// It sends back what it gets.
    Echo,
    /// Something as far away as the board sends back what it gets.
    FarEcho,
    /// It sends without end.
    Source,
    /// Something as far away as the board sends without end.
    FarSource,
}

/// What the threads of the vendor-specific interface share.
#[derive(Default)]
struct Shared {
    mode: AtomicU8,
    /// The host has configured the interface.
    enabled: AtomicBool,
    /// Times that this has ended.
    unplugged: AtomicU32,
}

impl Shared {
    fn mode(&self) -> Mode {
        match self.mode.load(Ordering::Relaxed) {
            1 => Mode::Echo,
            2 => Mode::FarEcho,
            3 => Mode::Source,
            4 => Mode::FarSource,
            _ => Mode::Board,
        }
    }

    fn set_mode(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::Relaxed);
    }

    fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }
}

/// Serves until standard input ends.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    usb_gadget::remove_all().context("an earlier gadget stays")?;
    let shared = Arc::new(Shared::default());
    let (receiver, output) = EndpointDirection::host_to_device();
    let (sender, input) = EndpointDirection::device_to_host();
    let (custom, vendor_function) = Custom::builder()
        .with_interface(
            Interface::new(Class::vendor_specific(0, 0), "SPU")
                .with_endpoint(Endpoint::bulk(input))
                .with_endpoint(Endpoint::bulk(output)),
        )
        .build();
    let (tty, serial_function) = Serial::new(SerialClass::Acm);
    let product = if args.boot_loader { ids::BOOT_LOADER } else { ids::BOARD };
    let gadget = Gadget::new(
        Class::new(0xEF, 0x02, 0x01),
        Id::new(ids::VENDOR, product),
        Strings::new("spu", "SPU board", &args.serial),
    )
    .with_config(
        Config::new("board").with_function(vendor_function).with_function(serial_function),
    );
    let controller = default_udc().context("there is no USB device controller")?;
    let mut gadget = gadget.register().context("the gadget is refused")?;
    let open = |name, behind| if args.inside { port::inside(behind) } else { port::outside(name) };
    let ports = bulk::Ports {
        board: open("usb", Behind::Board)?,
        echo: open("echo", Behind::Echo)?,
        source: open("source", Behind::Source)?,
    };
    bulk::start(ports, receiver, sender, custom, &shared);
    if !args.inside {
        serial::start(port::outside("serial")?, tty.tty().context("no gadget tty")?);
    }
    gadget.bind(Some(&controller)).context("the gadget cannot be plugged in")?;
    println!("ok");
    for line in std::io::stdin().lock().lines() {
        match obey(line?.trim(), &gadget, &controller, &shared) {
            Ok(()) => println!("ok"),
            Err(error) => println!("{error:#}"),
        }
    }
    gadget.bind(None).context("the gadget cannot be unplugged")?;
    // Threads still have its files open, which only the end of this process closes; the next
    // gadget removes what is left.
    gadget.detach();
    std::process::exit(0);
}

fn obey(line: &str, gadget: &RegGadget, controller: &Udc, shared: &Shared) -> anyhow::Result<()> {
    match line {
        "unplug" => gadget.bind(None).context("cannot be unplugged")?,
        "plug" => gadget.bind(Some(controller)).context("cannot be plugged in")?,
        "board" => shared.set_mode(Mode::Board),
        "echo" => shared.set_mode(Mode::Echo),
        "far-echo" => shared.set_mode(Mode::FarEcho),
        "source" => shared.set_mode(Mode::Source),
        "far-source" => shared.set_mode(Mode::FarSource),
        other => bail!("no such command: {other:?}"),
    }
    Ok(())
}
