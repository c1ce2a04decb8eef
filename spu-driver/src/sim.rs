//! Makes simulated boards from the options of a device URI.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use spu_sim::{Fault, NonIdeality, Profile, ProfileError, SimBoard, SimConfig, SimError};

use crate::client::Client;
use crate::device::Deadline;
use crate::discover::{Found, Listed, State};
use crate::error::Error;
use crate::link::InProcess;

use crate::uri::{DeviceUri, SimOptions};

/// Opens the board that `options` describe.
///
/// # Errors
/// As [`sim_board`]; link errors.
pub fn open_sim(options: &SimOptions, deadline: Deadline) -> Result<Client<InProcess>, Error> {
    let uri = DeviceUri::Sim(options.clone()).to_string();
    Client::open(InProcess::new(sim_board(options)?), uri, deadline)
}

/// The board that `options` describe.
///
/// # Errors
/// [`Error::BadUri`] for a name, part or profile that there is not, [`Error::NotFound`] for a
/// profile file that cannot be read.
pub fn sim_board(options: &SimOptions) -> Result<SimBoard, Error> {
    let uri = DeviceUri::Sim(options.clone()).to_string();
    let config = sim_config(options, &uri)?;
    let faults = sim_faults(options, &config, &uri)?;
    let mut board = SimBoard::new(config).map_err(|error| bad(&uri, &error))?;
    if let Some(quantum) = options.quantum.and_then(NonZeroU32::new) {
        board.control().set_quantum(quantum);
    }
    for fault in faults {
        board.control().inject(fault).map_err(|error| bad(&uri, &error))?;
    }
    Ok(board)
}

/// The gateware under Verilator and the cells that `options` describe.
///
/// # Errors
/// As [`sim_board`]; [`Error::Unsupported`] for faults, for a board that the gateware does not fit
/// and where it was not built.
#[cfg(feature = "rtl")]
pub fn rtl_board(options: &SimOptions) -> Result<spu_rtl::RtlBoard, Error> {
    let uri = DeviceUri::Rtl(options.clone()).to_string();
    let config = sim_config(options, &uri)?;
    let unsupported = |why: String| Error::Unsupported { reasons: vec![format!("{uri}: {why}")] };
    if !options.fault.is_empty() {
        return Err(unsupported("the gateware takes no faults: use sim for them".into()));
    }
    let quantum = options.quantum.and_then(NonZeroU32::new);
    let board = spu_rtl::RtlBoard::new(&config, quantum.unwrap_or(spu_sim::board::DEFAULT_QUANTUM));
    board.map_err(|error| match error {
        spu_rtl::RtlError::Sim(error) => bad(&uri, &error),
        error => unsupported(error.to_string()),
    })
}

/// The FPGA and the cells that `options` describe; `uri` names them in errors.
///
/// # Errors
/// [`Error::NotFound`] for a profile that cannot be read, [`Error::BadUri`] for options that are wrong.
pub fn sim_config(options: &SimOptions, uri: &str) -> Result<SimConfig, Error> {
    let profile = Profile::find(&options.profile).map_err(|error| match error {
        ProfileError::Read { .. } => Error::NotFound { uri: uri.into(), why: error.to_string() },
        error => bad(uri, &error),
    })?;
    let without: Result<BTreeSet<NonIdeality>, _> =
        options.without.iter().map(|name| name.parse()).collect();
    let without = without.map_err(|error| bad(uri, &error))?;
    Ok(SimConfig { profile, seed: options.seed, copy: options.copy, without })
}

/// The faults that `options` ask for.
pub(crate) fn sim_faults(
    options: &SimOptions,
    config: &SimConfig,
    uri: &str,
) -> Result<Vec<Fault>, Error> {
    let cells = config.profile.cell_count();
    let faults = options.fault.iter().map(|text| {
        let fault = Fault::parse(text, cells)?;
        fault.check(&config.profile)?;
        Ok(fault)
    });
    faults.collect::<Result<_, SimError>>().map_err(|error| bad(uri, &error))
}

fn bad(uri: &str, why: &dyn std::fmt::Display) -> Error {
    Error::BadUri { uri: uri.into(), why: why.to_string() }
}

/// The profiles that come with the simulator.
pub(crate) fn profiles() -> Vec<Found> {
    spu_sim::profile::NAMES
        .iter()
        .filter_map(|name| Profile::named(name).ok())
        .map(|profile| Listed {
            uri: format!("sim:profile={}", profile.name),
            description: format!("simulator in this process, {}", profile.summary),
            state: State::Present,
            remedy: None,
        })
        .map(|listed| Found { ours: true, listed })
        .collect()
}
