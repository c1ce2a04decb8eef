//! Makes simulated boards from the options of a device URI.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use spu_sim::{Fault, NonIdeality, Profile, ProfileError, SimBoard, SimConfig};

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
    let bad = |why: String| Error::BadUri { uri: uri.clone(), why };
    let profile = Profile::find(&options.profile).map_err(|error| match error {
        ProfileError::Read { .. } => Error::NotFound { uri: uri.clone(), why: error.to_string() },
        error => bad(error.to_string()),
    })?;
    let without: Result<BTreeSet<NonIdeality>, _> =
        options.without.iter().map(|name| name.parse()).collect();
    let without = without.map_err(|error| bad(error.to_string()))?;
    let cells = profile.cell_count();
    let config = SimConfig { profile, seed: options.seed, copy: options.copy, without };
    let mut board = SimBoard::new(config).map_err(|error| bad(error.to_string()))?;
    if let Some(quantum) = options.quantum.and_then(NonZeroU32::new) {
        board.control().set_quantum(quantum);
    }
    for text in &options.fault {
        let fault = Fault::parse(text, cells);
        let injected = fault.and_then(|fault| board.control().inject(fault));
        injected.map_err(|error| bad(error.to_string()))?;
    }
    Ok(board)
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
