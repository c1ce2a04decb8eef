//! The analog board: RLC cells, couplings, drive and converters.
//!
//! Per cell a resistor R, an inductor L, the capacitance of its banks and a current source are in
//! parallel. With v the cell voltages, i the inductor currents, C the Maxwell capacitance matrix
//! and u the drive currents (arXiv 2312.04836, with the white noise replaced by the DAC's
//! staircase)
//!
//! ```text
//! C dv = −R⁻¹ v dt − i dt + u dt,     L di = v dt.
//! ```
//!
//! A DAC holds its code for a sample period, so one period is one exact linear step. The sample of
//! a tick is taken at the end of its period. Banks switch between ticks; voltages and inductor
//! currents stay what they were.
//!
//! On an RC board (arXiv 2405.13817, appendix C) there are no inductors, the couplings are conductances
//! and each cell has a storage capacitor:
//!
//! ```text
//! C dv = −G v dt + u dt.
//! ```

mod circuit;
mod drift;
mod kernel;
mod modal;
mod parts;
mod plan;

use spu_protocol::code::{AdcCode, CouplingCode, full_scale_code};

pub use circuit::{BankCodes, MIN_SELF_FARAD};
pub use parts::Parts;
pub use plan::Method;

use crate::converters::{Converters, Kept};
use crate::dispatch::Dispatch;
use crate::fault::{Bank, Drift, Fault};
use crate::profile::Profile;
use crate::{AdcRow, BLOCK, DacRow, LANES};
use circuit::Circuit;
use drift::Course;
use kernel::{Advance, Work};
use plan::{Plan, STATES};

/// The analog board of one copy.
#[derive(Debug, Clone)]
pub struct Analog {
    profile: Profile,
    seed: u64,
    copy: u32,
    drawn: Parts,
    faults: Vec<Fault>,
    /// The drifts among the faults.
    courses: Vec<Course>,
    /// Ticks since power-up.
    ticks: u64,
    codes: BankCodes,
    dispatch: Dispatch,
    allow_modal: bool,
    /// Parts with the faults in them.
    parts: Parts,
    circuit: Circuit,
    plan: Plan,
    state: [f64; STATES],
    work: Box<Work>,
    /// Converters that are stuck, and at which code.
    stuck: [Option<AdcCode>; LANES],
    /// Converters that are exchanged, in the order in which they were.
    swapped: Vec<(usize, usize)>,
}

impl Analog {
    /// The board that `seed` and `copy` draw from the profile, all switches open, at rest.
    pub fn new(profile: Profile, seed: u64, copy: u32, dispatch: Dispatch) -> Self {
        let drawn = Parts::draw(&profile, seed, copy);
        let (circuit, plan) = plan(&profile, &drawn, &BankCodes::OPEN, true);
        Self {
            parts: drawn.clone(),
            drawn,
            profile,
            seed,
            copy,
            faults: Vec::new(),
            courses: Vec::new(),
            ticks: 0,
            codes: BankCodes::OPEN,
            dispatch,
            allow_modal: true,
            circuit,
            plan,
            state: [0.0; STATES],
            work: Work::new(),
            stuck: [None; LANES],
            swapped: Vec::new(),
        }
    }

    /// The same board, stepped by its dense matrix even where modes would do: slower, and the
    /// reference for them.
    #[must_use]
    pub fn dense(mut self) -> Self {
        self.allow_modal = false;
        self.rebuild();
        self
    }

    /// How the state is stepped with the present codes.
    pub fn method(&self) -> Method {
        self.plan.method()
    }

    /// True values of the parts, faults included.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Cell voltages in volts and inductor currents in amperes.
    pub fn cells(&self) -> ([f64; LANES], [f64; LANES]) {
        self.plan.cells(&self.circuit, &self.state)
    }

    /// Sets cell voltages in volts and inductor currents in amperes.
    pub fn set_cells(&mut self, volts: &[f64; LANES], amperes: &[f64; LANES]) {
        let n = self.profile.cell_count();
        self.state = self.plan.state(&self.circuit, &volts[..n], &amperes[..n]);
    }

    /// Sets the faults that are in the board, in place of those before. A drift that was there
    /// goes on.
    pub fn set_faults(&mut self, faults: &[Fault]) {
        self.faults = faults.to_vec();
        let mut before = std::mem::take(&mut self.courses);
        for fault in faults {
            let Fault::Drift(drift) = *fault else { continue };
            let known = before.iter().position(|course| *course.drift() == drift);
            self.courses.push(match known {
                Some(index) => before.swap_remove(index),
                None => Course::new(drift, self.seed, self.copy),
            });
        }
        self.rebuild();
    }

    /// Steps of the present codes, parts and faults, from the present voltages and currents.
    fn rebuild(&mut self) {
        let (volts, amperes) = self.cells();
        let mut codes = self.codes;
        self.parts.clone_from(&self.drawn);
        self.stuck = [None; LANES];
        self.swapped.clear();
        for fault in &self.faults {
            match *fault {
                Fault::StuckElement { bank, bit, on } => {
                    let code = match bank {
                        Bank::SelfTerm { cell } => &mut codes.self_codes[cell],
                        Bank::Coupling { pair } => &mut codes.coupling_codes[pair],
                    };
                    *code = stuck_code(*code, bit, on);
                }
                Fault::DeadCell { cell } => self.parts.drive_ampere[cell] = 0.0,
                Fault::DriveGain { cell, factor } => self.parts.drive_ampere[cell] *= factor,
                Fault::StuckAdc { cell, code } => self.stuck[cell] = Some(code),
                Fault::SaturatedAdc { cell, high } => {
                    let top = full_scale_code(self.profile.adc_bits());
                    self.stuck[cell] = Some(AdcCode(if high { top } else { -top }));
                }
                Fault::SwappedAdc { first, second } => self.swapped.push((first, second)),
                Fault::Drift(_)
                | Fault::SlowFifo { .. }
                | Fault::Hang
                | Fault::BrownOut { .. }
                | Fault::Restart { .. } => {}
            }
        }
        let period = self.profile.sample_period_s();
        let codes_per_volt = 1.0 / self.profile.adc_lsb_volt();
        for course in &self.courses {
            course.apply(&mut self.parts, period, codes_per_volt);
        }
        (self.circuit, self.plan) = plan(&self.profile, &self.parts, &codes, self.allow_modal);
        self.set_cells(&volts, &amperes);
    }
}

/// A bank code whose element `bit` does not follow its switch; the sign is a switch of its own.
fn stuck_code(code: CouplingCode, bit: u8, on: bool) -> CouplingCode {
    let mask = 1_u16 << bit;
    let switches = code.0.unsigned_abs();
    let switches = if on { switches | mask } else { switches & !mask } as i16;
    CouplingCode(if code.0 < 0 { -switches } else { switches })
}

fn plan(profile: &Profile, parts: &Parts, codes: &BankCodes, allow_modal: bool) -> (Circuit, Plan) {
    let circuit = Circuit::new(profile.kind, parts, codes, profile.cell_count());
    let limit = full_scale_code(profile.adc_bits());
    let plan = Plan::new(&circuit, parts, profile.sample_period_s(), limit, allow_modal);
    (circuit, plan)
}

impl Converters for Analog {
    fn set_banks(&mut self, codes: &BankCodes) {
        if self.codes != *codes {
            self.codes = *codes;
            self.rebuild();
        }
    }

    fn discharge(&mut self) {
        self.state = [0.0; STATES];
    }

    fn convert(&mut self, dac: &[DacRow], kept: Kept, adc: &mut [AdcRow]) -> usize {
        if self.courses.is_empty() {
            self.ticks += dac.len() as u64;
            return self.run(dac, kept, adc);
        }
        let (mut dac, mut kept, mut written) = (dac, kept, 0);
        while !dac.is_empty() {
            let to_step = Drift::STEP_TICKS - self.ticks % Drift::STEP_TICKS;
            let (here, rest) = dac.split_at(dac.len().min(to_step as usize));
            written += self.run(here, kept, &mut adc[written..]);
            kept = kept.after(here.len());
            self.ticks += here.len() as u64;
            if here.len() as u64 == to_step {
                self.courses.iter_mut().for_each(Course::step);
                self.rebuild();
            }
            dac = rest;
        }
        written
    }
}

impl Analog {
    /// Runs ticks of the present steps.
    fn run(&mut self, dac: &[DacRow], kept: Kept, adc: &mut [AdcRow]) -> usize {
        let count = kept.count(dac.len());
        let (mut written, mut kept) = (0, kept);
        for dac in dac.chunks(BLOCK) {
            let here = kept.count(dac.len());
            self.dispatch.run(Advance {
                plan: &self.plan,
                work: &mut self.work,
                state: &mut self.state,
                dac,
                first: kept.first,
                every: kept.every,
                adc: &mut adc[written..written + here],
            });
            written += here;
            kept = kept.after(dac.len());
        }
        for (cell, stuck) in self.stuck.iter().enumerate() {
            if let Some(code) = stuck {
                for row in &mut adc[..count] {
                    row[cell] = *code;
                }
            }
        }
        for &(first, second) in &self.swapped {
            for row in &mut adc[..count] {
                row.swap(first, second);
            }
        }
        count
    }
}
