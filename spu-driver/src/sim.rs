//! Makes simulated boards from the options of a device URI.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::Path;
use std::str::FromStr;

use spu_protocol::code::AdcCode;
use spu_sim::control::{Bank, Fault};
use spu_sim::{NonIdeality, Profile, SimBoard, SimConfig};

use crate::client::Client;
use crate::device::Deadline;
use crate::discover::{Found, Listed, State};
use crate::error::Error;
use crate::link::InProcess;

use crate::uri::{DeviceUri, SimOptions};

/// Forms of a fault in a URI.
const FAULTS: &str = "dead-cell.CELL, stuck-self.CELL.BIT.on|off, stuck-coupling.I.J.BIT.on|off, \
                      stuck-adc.CELL.CODE, drive-gain.CELL.FACTOR, hang";

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
    let profile = profile(options, &uri)?;
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
        let fault = fault(text, cells)
            .ok_or_else(|| bad(format!("{text:?} is not a fault; there are {FAULTS}")))?;
        board.control().inject(fault).map_err(|error| bad(error.to_string()))?;
    }
    Ok(board)
}

fn profile(options: &SimOptions, uri: &str) -> Result<Profile, Error> {
    let name = &options.profile;
    let is_file = Path::new(name).extension().is_some_and(|extension| extension == "toml");
    let profile = if is_file {
        let text = std::fs::read_to_string(name).map_err(|error| Error::NotFound {
            uri: uri.into(),
            why: format!("board profile {name} cannot be read: {error}"),
        })?;
        Profile::from_toml(&text).map_err(|error| error.in_file(name))
    } else {
        Profile::named(name)
    };
    profile.map_err(|error| Error::BadUri { uri: uri.into(), why: error.to_string() })
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

/// The fault that `text` names on a board of `cells` cells.
fn fault(text: &str, cells: usize) -> Option<Fault> {
    let (name, rest) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = rest.split('.');
    let fault = match name {
        "dead-cell" => Fault::DeadCell { cell: next(&mut parts)? },
        "stuck-self" => {
            let bank = Bank::SelfTerm { cell: next(&mut parts)? };
            stuck(bank, &mut parts)?
        }
        "stuck-coupling" => {
            let (i, j): (usize, usize) = (next(&mut parts)?, next(&mut parts)?);
            if i == j || i.max(j) >= cells {
                return None;
            }
            stuck(Bank::Coupling { pair: crate::device::pair_index(cells, i, j) }, &mut parts)?
        }
        "stuck-adc" => {
            Fault::StuckAdc { cell: next(&mut parts)?, code: AdcCode(next(&mut parts)?) }
        }
        // The factor may have a decimal point.
        "drive-gain" => {
            let (cell, factor) = rest.split_once('.')?;
            let factor = factor.parse().ok().filter(|factor: &f64| factor.is_finite())?;
            return Some(Fault::DriveGain { cell: cell.parse().ok()?, factor });
        }
        "hang" if rest.is_empty() => return Some(Fault::Hang),
        _ => return None,
    };
    parts.next().is_none().then_some(fault)
}

fn stuck<'a>(bank: Bank, parts: &mut impl Iterator<Item = &'a str>) -> Option<Fault> {
    let bit = next(parts)?;
    let on = match parts.next()? {
        "on" => true,
        "off" => false,
        _ => return None,
    };
    Some(Fault::StuckElement { bank, bit, on })
}

fn next<'a, T: FromStr>(parts: &mut impl Iterator<Item = &'a str>) -> Option<T> {
    parts.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read() {
        let coupling = Bank::Coupling { pair: 7 };
        for (text, expected) in [
            ("dead-cell.3", Fault::DeadCell { cell: 3 }),
            (
                "stuck-self.2.1.on",
                Fault::StuckElement { bank: Bank::SelfTerm { cell: 2 }, bit: 1, on: true },
            ),
            ("stuck-coupling.1.2.0.off", Fault::StuckElement { bank: coupling, bit: 0, on: false }),
            ("stuck-coupling.2.1.0.off", Fault::StuckElement { bank: coupling, bit: 0, on: false }),
            ("stuck-adc.0.-5", Fault::StuckAdc { cell: 0, code: AdcCode(-5) }),
            ("drive-gain.7.0.25", Fault::DriveGain { cell: 7, factor: 0.25 }),
            ("drive-gain.7.2", Fault::DriveGain { cell: 7, factor: 2.0 }),
            ("hang", Fault::Hang),
        ] {
            assert_eq!(fault(text, 8), Some(expected), "{text}");
        }
        for text in [
            "",
            "dead-cell",
            "dead-cell.",
            "dead-cell.3.4",
            "dead-cell.-1",
            "stuck-self.2.1",
            "stuck-self.2.1.yes",
            "stuck-coupling.1.1.0.on",
            "stuck-coupling.1.8.0.on",
            "stuck-adc.0.40000",
            "drive-gain.7",
            "drive-gain.7.nan",
            "hang.1",
        ] {
            assert_eq!(fault(text, 8), None, "{text}");
        }
    }
}
