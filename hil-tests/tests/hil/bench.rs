//! The devices under test, what each lacks, and whose turn it is to use them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spu_driver::uri::{QemuOptions, SimOptions};
use spu_driver::{BoardInfo, Device, DeviceUri, Error, ResetLevel};
use spu_protocol::payload::info::BoardKind;
use spu_qemu::Board;

use crate::qemu;
use crate::rtl;
use crate::served::ServedBoard;
use crate::support::soon;

/// Profiles that are tested where `SPU_DEVICE` is plain `sim`.
const SIM_PROFILES: [&str; 4] = ["ideal", "rev-a", "rev-b", "rc-8"];

/// Outcome of a test; an assertion that fails panics.
pub(crate) type Outcome = anyhow::Result<()>;

/// A test.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) needs: &'static [Need],
    pub(crate) run: fn(&Bench) -> Outcome,
}

/// What a test needs of a device.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    /// A board whose covariance is an inverse.
    Rlc,
    /// A board that relaxes to a mean.
    Rc,
    /// At least this many cells.
    Cells(usize),
    /// A board that is its profile: no spread, no stray capacitance, fine banks.
    Exact,
    /// A board whose profile states a spread.
    Spread,
    /// Couplings of either sign.
    Signed,
    /// Couplings of one sign.
    Unsigned,
    /// At least this many copies of the board.
    Copies(usize),
    /// Cells that are computed: only they give the same codes twice.
    SimulatedCells,
    /// Faults planted by URI.
    Faults,
    /// An emulated board whose flash memory can be written.
    Slots,
}

/// Options of the board that a URI has made; only of those are there copies, and faults by name.
fn made(uri: &DeviceUri) -> Option<&SimOptions> {
    match uri {
        DeviceUri::Sim(sim) | DeviceUri::Qemu(QemuOptions { sim, .. }) => Some(sim),
        _ => None,
    }
}

/// The same with other options.
fn made_otherwise(uri: &DeviceUri, change: impl FnOnce(&mut SimOptions)) -> DeviceUri {
    let mut uri = uri.clone();
    if let DeviceUri::Sim(sim) | DeviceUri::Qemu(QemuOptions { sim, .. }) = &mut uri {
        change(sim);
    }
    uri
}

/// A device that tests share.
struct Slot {
    uri: DeviceUri,
    info: BoardInfo,
    /// The open device, where there is one board for all tests.
    open: Mutex<Option<Box<dyn Device>>>,
    /// The server of the device, where it is one of this process.
    served: Option<ServedBoard>,
}

/// The device of a test, or several copies.
pub(crate) struct Bench {
    name: String,
    slots: Vec<Arc<Slot>>,
}

type Benches = Vec<Arc<Bench>>;

/// Opens what `uris` names: benches for the tests of one board, and those for copies.
pub(crate) fn open(uris: &str) -> Result<(Benches, Benches), Error> {
    let parsed = match uris {
        "sim" => {
            let profile =
                |name: &&str| SimOptions { profile: (*name).into(), ..SimOptions::default() };
            SIM_PROFILES.iter().map(profile).map(DeviceUri::Sim).collect()
        }
        list => DeviceUri::parse_list(list)?,
    };
    let slots = parsed.into_iter().map(Slot::open).collect::<Result<Vec<_>, _>>()?;
    let many = slots.len() > 1 && uris != "sim";
    let alone: Benches = slots
        .iter()
        .enumerate()
        .map(|(index, slot)| {
            let profile = &slot.info.profile;
            let name = if many { format!("{profile}.{index}") } else { profile.clone() };
            Arc::new(Bench { name, slots: vec![Arc::clone(slot)] })
        })
        .collect();
    let together = if many {
        vec![Arc::new(Bench { name: slots[0].info.profile.clone(), slots })]
    } else {
        alone.clone()
    };
    Ok((alone, together))
}

/// Opens a board of its own kind.
pub(crate) fn open_one(name: &str, uri: DeviceUri) -> Result<Arc<Bench>, Error> {
    let slot = Slot::open(uri)?;
    let name = format!("{}.{name}", slot.info.profile);
    Ok(Arc::new(Bench { name, slots: vec![slot] }))
}

/// Opens a board that this process serves.
pub(crate) fn open_served(name: &str, served: ServedBoard) -> Result<Arc<Bench>, Error> {
    let slot = Slot::open_with(served.uri().parse()?, Some(served))?;
    let name = format!("{}.{name}", slot.info.profile);
    Ok(Arc::new(Bench { name, slots: vec![slot] }))
}

impl Slot {
    fn open(uri: DeviceUri) -> Result<Arc<Self>, Error> {
        Self::open_with(uri, None)
    }

    fn open_with(uri: DeviceUri, served: Option<ServedBoard>) -> Result<Arc<Self>, Error> {
        let device = open_uri(&uri)?;
        let info = device.info().clone();
        let open = Mutex::new((!is_sim(&uri)).then_some(device));
        Ok(Arc::new(Self { uri, info, open, served }))
    }

    /// The open device, or a new one.
    fn device(&self, kept: Option<Box<dyn Device>>) -> Result<Box<dyn Device>, Error> {
        let Some(mut device) = kept else {
            return open_uri(&self.uri);
        };
        device.cancel_handle().clear();
        device.reset(ResetLevel::Fpga, soon())?;
        Ok(device)
    }
}

/// Opens a device; the gateware beside the simulator.
fn open_uri(uri: &DeviceUri) -> Result<Box<dyn Device>, Error> {
    match uri {
        DeviceUri::Rtl(options) => rtl::open_beside(options),
        uri => uri.open(),
    }
}

fn is_sim(uri: &DeviceUri) -> bool {
    matches!(uri, DeviceUri::Sim(_))
}

/// True where the analog cells are computed, whatever the digital path and the link are.
fn simulated_cells(slot: &Slot) -> bool {
    matches!(slot.uri, DeviceUri::Sim(_) | DeviceUri::Qemu(_) | DeviceUri::Rtl(_))
        || slot.info.is_simulated()
}

impl Bench {
    /// Name of the profile, and number of the board if there are several.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Identity of the first board.
    pub(crate) fn info(&self) -> &BoardInfo {
        &self.slots[0].info
    }

    /// URI of the first board.
    pub(crate) fn uri(&self) -> &DeviceUri {
        &self.slots[0].uri
    }

    /// What serves the first board in this process.
    pub(crate) fn served(&self) -> Option<&ServedBoard> {
        self.slots[0].served.as_ref()
    }

    /// Three copies of a board that a URI makes, one of them with this fault.
    ///
    /// # Errors
    /// Those of opening them.
    pub(crate) fn copies_with(
        &self,
        fault: &str,
        faulty: u32,
    ) -> Result<Vec<Box<dyn Device>>, Error> {
        let copy = |copy| {
            made_otherwise(self.uri(), |options| {
                options.copy += copy;
                if copy == faulty {
                    options.fault.push(fault.into());
                }
            })
        };
        (0..3).map(|number| copy(number).open()).collect()
    }

    /// Why a test with this need cannot run; `None` if it can.
    pub(crate) fn lacks(&self, need: Need) -> Option<String> {
        let info = self.info();
        let raw = &info.raw;
        let profile = &info.profile;
        let made = made(self.uri()).is_some();
        let exact = spreads(info).iter().all(|spread| *spread == 0.0) && raw.stray_farad == 0.0;
        let reason = match need {
            Need::Rlc if info.kind() != BoardKind::Rlc => {
                format!("profile {profile} is not an RLC board")
            }
            Need::Rc if info.kind() != BoardKind::Rc => {
                format!("profile {profile} is not an RC board")
            }
            Need::Cells(n) if info.cells < n => {
                format!("needs {n} cells, the board has {}", info.cells)
            }
            Need::Exact if !exact || raw.coupling_bits < 12 => {
                format!("needs a board without spread; profile {profile} states one")
            }
            Need::Spread if exact => format!("profile {profile} states no spread"),
            Need::Signed if raw.coupling_signed == 0 => {
                format!("couplings of profile {profile} have no sign")
            }
            Need::Unsigned if raw.coupling_signed == 1 => {
                format!("couplings of profile {profile} have a sign")
            }
            Need::Copies(n) if !made && self.slots.len() < n => {
                format!("needs {n} copies; name {n} devices in SPU_DEVICE, separated by commas")
            }
            Need::SimulatedCells if !simulated_cells(&self.slots[0]) => {
                "analog cells never give the same codes twice".into()
            }
            Need::Slots if !qemu::board(self).is_some_and(Board::has_slots) => {
                "QEMU emulates no flash memory of this board that can be written".into()
            }
            Need::Faults if !made => "faults are planted by sim and qemu URIs only".into(),
            _ => return None,
        };
        Some(reason)
    }

    /// The first board, for this test alone and as it is after a reset.
    ///
    /// # Errors
    /// Those of opening it.
    pub(crate) fn device(&self) -> Result<Lease<'_>, Error> {
        self.lease(1)
    }

    /// This many copies, for this test alone.
    ///
    /// # Errors
    /// Those of opening them.
    pub(crate) fn copies(&self, count: usize) -> Result<Lease<'_>, Error> {
        match &self.slots[0].uri {
            uri if made(uri).is_some() && self.slots.len() < count => Ok(Lease {
                devices: spu_driver::open_copies(&uri.to_string(), count)?,
                kept: Vec::new(),
            }),
            _ => self.lease(count),
        }
    }

    fn lease(&self, count: usize) -> Result<Lease<'_>, Error> {
        let mut lease = Lease { devices: Vec::new(), kept: Vec::new() };
        for slot in &self.slots[..count] {
            if is_sim(&slot.uri) {
                lease.devices.push(slot.uri.open()?);
            } else {
                let mut kept = slot.open.lock().unwrap_or_else(PoisonError::into_inner);
                lease.devices.push(slot.device(kept.take())?);
                lease.kept.push(kept);
            }
        }
        Ok(lease)
    }
}

/// Spreads that a profile states.
pub(crate) fn spreads(info: &BoardInfo) -> [f32; 5] {
    let raw = &info.raw;
    [raw.drive_spread, raw.bank_spread, raw.adc_gain_spread, raw.r_spread, raw.l_spread]
}

/// Devices in use by one test; they go back when it ends.
pub(crate) struct Lease<'a> {
    pub(crate) devices: Vec<Box<dyn Device>>,
    kept: Vec<MutexGuard<'a, Option<Box<dyn Device>>>>,
}

impl Lease<'_> {
    /// The first device.
    pub(crate) fn board(&mut self) -> &mut dyn Device {
        self.devices[0].as_mut()
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        for (kept, device) in self.kept.iter_mut().zip(self.devices.drain(..)) {
            **kept = Some(device);
        }
    }
}
