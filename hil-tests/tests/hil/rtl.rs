//! Rung rtl: the gateware under Verilator, beside the simulator. Every octet that either board sends
//! over the link is compared ([`TwinBoard`]), in whatever suite runs.

use std::num::NonZeroU32;
use std::sync::Arc;

use spu_driver::link::InProcess;
use spu_driver::sim::sim_config;
use spu_driver::uri::SimOptions;
use spu_driver::{Client, Device, DeviceUri, Error};
use spu_rtl::{RtlError, TwinBoard};

use crate::bench::{self, Bench};
use crate::support::soon;
use crate::{Suite, conformance, inversion};

/// Ticks between two looks at the status: some 14 ms of this computer's time.
const QUANTUM: NonZeroU32 = NonZeroU32::new(4096).expect("not zero");

/// What runs on the gateware where `SPU_DEVICE` names it. The statistics are the noise generators' and
/// the cells', which are those of the simulator, bit for bit.
pub(crate) fn suites(bench: &Bench) -> Option<Vec<Suite>> {
    matches!(bench.uri(), DeviceUri::Rtl(_))
        .then(|| vec![("conformance", conformance::CASES), ("inversion", inversion::CASES)])
}

/// What runs with the other rungs.
pub(crate) const SUITES: [Suite; 2] =
    [("conformance", conformance::CASES), ("inversion", inversion::SHORT)];

/// Opens the board of the suite that runs with those of the other rungs, or says what is missing.
pub(crate) fn open() -> Result<Arc<Bench>, String> {
    let options = SimOptions { seed: 7, ..SimOptions::default() };
    match bench::open_one("rtl", DeviceUri::Rtl(options)) {
        Ok(bench) => Ok(bench),
        Err(Error::Unsupported { reasons }) => Err(reasons.join("; ")),
        Err(error) => panic!("the gateware does not open: {error}"),
    }
}

/// The gateware's board and the simulator's.
///
/// # Errors
/// [`Error::Unsupported`] where the gateware was not built or does not fit the profile;
/// as [`sim_config`].
pub(crate) fn open_beside(options: &SimOptions) -> Result<Box<dyn Device>, Error> {
    let uri = DeviceUri::Rtl(options.clone()).to_string();
    let config = sim_config(options, &uri)?;
    let quantum = options.quantum.and_then(NonZeroU32::new).unwrap_or(QUANTUM);
    let board = TwinBoard::new(&config, quantum).map_err(|error| match error {
        RtlError::Sim(error) => Error::BadUri { uri: uri.clone(), why: error.to_string() },
        error => Error::Unsupported { reasons: vec![error.to_string()] },
    })?;
    let link = InProcess::to(board, "the gateware under Verilator, beside the simulator");
    Ok(Box::new(Client::open(link, uri, soon())?))
}
