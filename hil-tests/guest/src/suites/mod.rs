//! The host's side: everything that is asked of the driver over real device nodes.

mod figures;
mod hil;
mod listing;
mod plain;
mod plug;
mod program;
mod round_trip;
mod stream;
mod transfers;
mod unplug;

use std::path::PathBuf;

use crate::report::Report;
use plug::Plug;

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Where results go.
    #[arg(long)]
    report: PathBuf,
    /// Serial number of the board.
    #[arg(long)]
    serial: String,
    /// The suites to run, all if none is named.
    #[arg(long)]
    only: Vec<Suite>,
    /// Times that the plug is pulled, on each link.
    #[arg(long, default_value_t = 25)]
    unplugs: u32,
}

/// A group of tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Suite {
    /// What `spu list` says of boards.
    Listing,
    /// The suite of `hil-tests`.
    Conformance,
    /// Every frame delivered, or counted as lost.
    Stream,
    /// libusb's transfers are ended and freed.
    Transfers,
    /// The plug is pulled while calls run.
    Unplug,
    /// Rates.
    Figures,
    /// Time that the driver adds to a round trip, on a machine that counts instructions as time. Alone,
    /// and only where it is named.
    RoundTrip,
}

/// The median; of an even number of values, the upper one of the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs the suites.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut report = Report::to(&args.report)?;
    if args.only == [Suite::RoundTrip] {
        let mut plug = Plug::new(&["--serial", &args.serial, "--inside"])?;
        let measured = round_trip::run(&mut report, &mut plug);
        report.run("round_trip::is_measured", || measured)?;
        return report.end();
    }
    let wanted = |suite| args.only.is_empty() || args.only.contains(&suite);
    if wanted(Suite::Listing) {
        listing::run(&mut report, &args.serial)?;
    }
    let mut plug = Plug::new(&["--serial", &args.serial])?;
    let links = [("usb", plug::usb_uri()?), ("serial", plug::serial_uri()?)];
    for (link, uri) in &links {
        if wanted(Suite::Conformance) {
            hil::run(&mut report, link, uri)?;
        }
        if wanted(Suite::Stream) {
            stream::run(&mut report, link, uri)?;
        }
    }
    if wanted(Suite::Transfers) {
        transfers::run(&mut report, &mut plug)?;
    }
    if wanted(Suite::Figures) {
        let measured = figures::run(&mut report, &mut plug);
        report.run("figures::are_measured", || measured)?;
        plug.tell("board")?;
    }
    if wanted(Suite::Unplug) {
        unplug::run(&mut report, "usb", &plug::usb_uri()?, &mut plug, args.unplugs)?;
        unplug::run(&mut report, "serial", &plug::serial_uri()?, &mut plug, args.unplugs)?;
    }
    report.run("gadget_ends", || plug.end())?;
    report.end()
}
