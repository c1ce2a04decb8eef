//! Cuts of the power at each write and each erasure of an update, and at each of the recovery.
//!
//! A machine runs the boot code and the updater over a [`ModelFlash`]. Its host brings a new image
//! and confirms it, or brings one that never gets confirmed. The power is cut at every operation in
//! turn, in every way of [`Tear`], then once more at every operation of what follows. After each,
//! the machine must start an image that is whole, the old or the new one, and get to where it would
//! have got without cuts.

use std::cell::RefCell;
use std::collections::HashMap;

use spu_protocol::image::{Accepts, HEADER_LEN, ImageHeader, ImageKind};
use spu_protocol::payload::UpdateBegin;
use spu_protocol::payload::update::UpdateState;

use crate::boot::{Boot, boot};
use crate::keys::KEYS;
use crate::model::{Cut, ModelFlash, Tear};
use crate::pack::{Meta, SigningKey, pack};
use crate::slots::{Layout, Slot, Slots, Which};
use crate::update::Updater;
use crate::verify::ed25519;

/// The flash of a machine.
#[derive(Debug, Clone, Copy)]
pub struct Geometry {
    /// Octets of a page.
    pub page: u32,
    /// Pages of a slot.
    pub pages: u32,
    /// Octets that are written at once.
    pub granule: u32,
    /// Each granule has a check word: see [`ModelFlash::checked`].
    pub checked: bool,
    /// Octets of an image's payload.
    pub payload: usize,
}

/// What the other slot holds before the update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Empty,
    /// An older image that was confirmed once.
    Older,
    /// A newer image that was rolled back.
    RolledBack,
}

/// What the host does with the new image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Confirms it.
    Confirm,
    /// Never confirms it: it is bad.
    Abandon,
}

/// What was tried and what went wrong.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Runs with one cut, and with two.
    pub cuts: [u64; 2],
    /// Starts of an image.
    pub starts: u64,
    /// Starts that found no image, or one that is not whole.
    pub bricked: u64,
    /// Starts of an image that should have been rolled back.
    pub not_rolled_back: u64,
    /// Runs that did not get where they would have got without cuts.
    pub stuck: u64,
    /// Writes to granules that were not erased.
    pub misuse: u64,
}

impl Counts {
    /// Cuts in all.
    pub const fn power_cuts(&self) -> u64 {
        self.cuts[0] + 2 * self.cuts[1]
    }

    /// True if nothing went wrong.
    pub const fn is_clean(&self) -> bool {
        self.bricked == 0 && self.not_rolled_back == 0 && self.stuck == 0 && self.misuse == 0
    }

    fn add(&mut self, other: &Self) {
        self.cuts[0] += other.cuts[0];
        self.cuts[1] += other.cuts[1];
        self.starts += other.starts;
        self.bricked += other.bricked;
        self.not_rolled_back += other.not_rolled_back;
        self.stuck += other.stuck;
        self.misuse += other.misuse;
    }
}

/// Ways of the first cut and of the second.
const TEARS: [Tear; 6] = [
    Tear::NotStarted,
    Tear::FirstHalf,
    Tear::SecondHalf,
    Tear::Octets(1),
    Tear::Bits(2),
    Tear::Completed,
];
const SECOND_TEARS: [Tear; 4] = [Tear::NotStarted, Tear::FirstHalf, Tear::Bits(3), Tear::Completed];

/// Flash memories that are tried: pages that hold parts of a slot; a slot in one page with a check
/// word for each granule, as the STM32H743 has; small granules.
pub const GEOMETRIES: [Geometry; 3] = [
    Geometry { page: 256, pages: 3, granule: 32, checked: false, payload: 220 },
    Geometry { page: 1024, pages: 1, granule: 32, checked: true, payload: 150 },
    Geometry { page: 256, pages: 3, granule: 8, checked: false, payload: 70 },
];

/// Tries everything. Some ten seconds with optimisation.
pub fn power_cuts() -> Counts {
    let mut counts = Counts::default();
    for geometry in GEOMETRIES {
        for before in [Before::Empty, Before::Older, Before::RolledBack] {
            for plan in [Plan::Confirm, Plan::Abandon] {
                counts.add(&exhaust(&geometry, before, plan));
            }
        }
    }
    counts
}

/// One machine and plan.
pub fn exhaust(geometry: &Geometry, before: Before, plan: Plan) -> Counts {
    let machine = Machine::new(*geometry, before, plan);
    let mut whole = machine.clone();
    let mut counts = Counts::default();
    whole.settle(&mut counts);
    let operations = whole.flash.operations();
    let parts = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        let (machine, parts) = (&machine, parts.clamp(1, operations.max(1)));
        let threads: Vec<_> = (0..parts)
            .map(|part| {
                scope.spawn(move || {
                    let mut counts = Counts::default();
                    for after in (part..operations).step_by(parts as usize) {
                        for tear in TEARS {
                            machine.cut_at(Cut { after, tear }, &mut counts);
                        }
                    }
                    counts
                })
            })
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(found) => counts.add(&found),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    counts
}

const LOAD_ADDRESS: u32 = 0x1000;
const TARGET: u32 = 1;

const OLDER: u16 = 1;
const OLD: u16 = 2;
const NEW: u16 = 3;
const ROLLED_BACK: u16 = 9;

#[derive(Debug, Clone)]
struct Machine {
    flash: ModelFlash,
    layout: Layout,
    plan: Plan,
    /// Images by their major version.
    images: [(u16, Vec<u8>); 4],
    /// The updater said that the new image is ready.
    delivered: bool,
    /// Starts of the new image since it was delivered.
    trials: u32,
}

/// How a run of the machine ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// By a cut.
    Cut,
    /// Where it should.
    Settled,
    /// Elsewhere.
    Stuck,
}

impl Machine {
    fn new(geometry: Geometry, before: Before, plan: Plan) -> Self {
        let size = geometry.page * geometry.pages;
        let layout = Layout { a: 0, b: size, size };
        let mut flash = ModelFlash::new(geometry.page, 2 * geometry.pages, geometry.granule);
        if geometry.checked {
            flash = flash.checked();
        }
        let key = SigningKey::development();
        let images = [OLDER, OLD, NEW, ROLLED_BACK].map(|major| {
            let payload: Vec<u8> = (0..geometry.payload)
                .map(|index| (index as u8).wrapping_mul(7 + major as u8))
                .collect();
            let meta = Meta {
                kind: ImageKind::Firmware,
                target: TARGET,
                build_id: major.into(),
                version: [major, 0, 0],
                load_address: LOAD_ADDRESS,
            };
            (major, pack(&payload, &meta, &key))
        });
        let mut machine = Self { flash, layout, plan, images, delivered: false, trials: 0 };
        let place = |machine: &mut Self, slot, major: u16, sequence, marks: &[Which]| {
            let image = machine.image(major).to_vec();
            machine.flash.fill(layout.start(slot) as usize, &image);
            for which in marks {
                let _ = machine.slots().write_mark(slot, *which, sequence);
            }
        };
        let confirmed = [Which::Ready, Which::Tried, Which::Confirmed];
        place(&mut machine, Slot::A, OLD, 5, &confirmed);
        match before {
            Before::Empty => {}
            Before::Older => place(&mut machine, Slot::B, OLDER, 4, &confirmed),
            Before::RolledBack => {
                let marks = [Which::Ready, Which::Tried, Which::RolledBack];
                place(&mut machine, Slot::B, ROLLED_BACK, 6, &marks);
            }
        }
        machine.flash.power_on(None);
        machine
    }

    fn image(&self, major: u16) -> &[u8] {
        self.images.iter().find(|image| image.0 == major).map_or(&[], |image| &image.1)
    }

    fn slots(&mut self) -> Slots<'_> {
        let accepts =
            Accepts { kind: ImageKind::Firmware, target: TARGET, load_address: LOAD_ADDRESS };
        Slots {
            flash: &mut self.flash,
            layout: self.layout,
            accepts,
            keys: KEYS,
            verify: remembered,
        }
    }

    /// Cuts at `cut`, and then at each operation of what follows.
    fn cut_at(&self, cut: Cut, counts: &mut Counts) {
        let mut hit = self.clone();
        hit.flash.power_on(Some(cut));
        if hit.run(counts) != End::Cut {
            counts.stuck += 1;
            return;
        }
        counts.cuts[0] += 1;
        let mut after = hit.clone();
        after.flash.power_on(None);
        after.settle(counts);
        for second in 0..after.flash.operations() {
            for tear in SECOND_TEARS {
                let mut again = hit.clone();
                again.flash.power_on(Some(Cut { after: second, tear }));
                if again.run(counts) != End::Cut {
                    counts.stuck += 1;
                    continue;
                }
                counts.cuts[1] += 1;
                again.flash.power_on(None);
                again.settle(counts);
            }
        }
    }

    /// Runs without a cut.
    fn settle(&mut self, counts: &mut Counts) {
        if self.run(counts) != End::Settled {
            counts.stuck += 1;
        }
        counts.misuse += self.flash.misuse();
    }

    /// Starts again and again until all is as the host wants it.
    fn run(&mut self, counts: &mut Counts) -> End {
        for _ in 0..8 {
            let mut memory = [0xA5; 1024];
            let booted = boot(&mut self.slots(), Some(&mut memory));
            if !self.flash.is_on() {
                return End::Cut;
            }
            counts.starts += 1;
            let Some(running) = booted.ok().and_then(|boot| self.whole(&boot, &memory)) else {
                counts.bricked += 1;
                return End::Stuck;
            };
            if running == NEW {
                self.trials += 1;
            }
            let again = self.plan == Plan::Abandon && self.trials > 1;
            if again || running == OLDER || running == ROLLED_BACK {
                counts.not_rolled_back += 1;
            }
            match (running, self.plan) {
                (NEW, Plan::Confirm) => {
                    let confirmed = self.slots().confirm().is_ok();
                    if !self.flash.is_on() {
                        return End::Cut;
                    }
                    return if confirmed { End::Settled } else { End::Stuck };
                }
                (NEW, Plan::Abandon) => {}
                (_, Plan::Abandon) if self.delivered => return End::Settled,
                _ => {
                    self.delivered = self.update();
                    if !self.flash.is_on() {
                        return End::Cut;
                    }
                }
            }
        }
        End::Stuck
    }

    /// The image that was started, by its major version, if what was loaded is all of it.
    fn whole(&self, boot: &Boot, memory: &[u8]) -> Option<u16> {
        let [major, ..] = boot.header.version;
        let payload = self.image(major).get(HEADER_LEN..)?;
        (memory.get(..payload.len()) == Some(payload)).then_some(major)
    }

    /// Brings the new image; true if the updater says that it is ready.
    fn update(&mut self) -> bool {
        let image = self.image(NEW).to_vec();
        let Ok((header, payload)) = ImageHeader::parse(&image) else { return false };
        let mut updater = Updater::new();
        let begin = UpdateBegin { flags: 0, reserved: 0, header };
        if updater.begin(&mut self.slots(), &begin).is_err() {
            return false;
        }
        self.trials = 0;
        let mut buffer = [0; 64];
        let mut work = |machine: &mut Self, updater: &mut Updater| {
            while updater.is_working() {
                updater.step(&mut machine.slots(), &mut buffer);
            }
        };
        work(self, &mut updater);
        for (index, piece) in payload.chunks(64).enumerate() {
            if updater.write(&mut self.slots(), 64 * index as u32, piece).is_err() {
                return false;
            }
        }
        if updater.finish().is_err() {
            return false;
        }
        work(self, &mut updater);
        updater.progress().state == UpdateState::Ready as u16
    }
}

/// [`ed25519`], which remembers what it said: the same four headers are verified a million times.
fn remembered(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    thread_local! {
        static SAID: RefCell<HashMap<Vec<u8>, bool>> = RefCell::new(HashMap::new());
    }
    let key = [public, message, signature].concat();
    let known = SAID.with_borrow(|said| said.get(&key).copied());
    known.unwrap_or_else(|| {
        let valid = ed25519(public, message, signature);
        SAID.with_borrow_mut(|said| said.insert(key, valid));
        valid
    })
}
