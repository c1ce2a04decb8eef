//! Faults of a board, and their names.

use std::str::FromStr;

use spu_protocol::code::{AdcCode, full_scale_code};
use spu_protocol::payload::acquire::product_count;

use crate::error::SimError;
use crate::profile::Profile;

/// A switched bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bank {
    /// Self term of a cell.
    SelfTerm {
        /// The cell.
        cell: usize,
    },
    /// Coupling of a pair of cells.
    Coupling {
        /// The pair, in the order (0,1), (0,2) … (1,2) ….
        pair: usize,
    },
}

/// A fault of a board.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// An element of a bank does not follow its switch.
    StuckElement {
        /// The bank.
        bank: Bank,
        /// The element: bit of the bank's code.
        bit: u8,
        /// Always connected, or never.
        on: bool,
    },
    /// A cell gets no drive current.
    DeadCell {
        /// The cell.
        cell: usize,
    },
    /// A converter returns the same code whatever the voltage.
    StuckAdc {
        /// The cell.
        cell: usize,
        /// The code.
        code: AdcCode,
    },
    /// A converter is at its rail: it returns full scale, which counts as saturated.
    SaturatedAdc {
        /// The cell.
        cell: usize,
        /// The positive rail, or the negative one.
        high: bool,
    },
    /// Two converters are exchanged: each shows the other cell's voltage.
    SwappedAdc {
        /// A cell.
        first: usize,
        /// The other one.
        second: usize,
    },
    /// The drive gain of a cell differs from what was drawn.
    DriveGain {
        /// The cell.
        cell: usize,
        /// Factor on the drawn gain.
        factor: f64,
    },
    /// A value drifts with the sampled time.
    Drift(Drift),
    /// The bus to the capture memory is slow: while a frame is read, `1 / part` ticks pass, in
    /// which the sequencer goes on. A lockstep run stalls where it was in time before; a realtime
    /// run overruns and counts what it loses.
    SlowFifo {
        /// Frames read in a tick, above 0 and at most 1.
        part: f64,
    },
    /// The sequencer stops advancing.
    Hang,
    /// The supply dips once: firmware and FPGA start afresh, so that program, noise state, charges
    /// and session are lost, and what was being sent is cut. The link stays up.
    BrownOut {
        /// When.
        after: After,
    },
    /// The microcontroller restarts once: the session is lost and what was being sent is cut. The
    /// FPGA and its program stay, and a run goes on. The link stays up.
    Restart {
        /// When.
        after: After,
    },
}

/// A drift of one value of a board. With t the sampled time since the fault came, in seconds (the
/// sample clock makes 12 million ticks a second), the value is off by
///
/// ```text
/// linear:       rate · t
/// random walk:  rate · W(t),   W a Wiener process: W(t) − W(s) ~ N(0, t − s)
/// ```
///
/// in steps of [`STEP_TICKS`](Self::STEP_TICKS). The walk is drawn from the board's seed and copy
/// and from the cell. A power cycle starts the drift again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// The cell.
    pub cell: usize,
    /// What drifts.
    pub value: Drifting,
    /// How.
    pub law: Law,
    /// How fast: units of the value a second, or a square root of a second for the walk.
    pub rate: f64,
}

impl Drift {
    /// Ticks in which a drifting value stays what it is.
    pub const STEP_TICKS: u64 = 16_384;
}

/// A value that drifts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drifting {
    /// Drive gain: the drawn one times 1 + drift, never below 0.
    DriveGain,
    /// Converter offset, in volts, added to the drawn one.
    AdcOffset,
}

/// A law of drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// Proportional to the time.
    Linear,
    /// A random walk.
    Walk,
}

/// When a fault that happens once does. What was injected and has not happened yet is gone with
/// [`clear_faults`](crate::SimControl::clear_faults).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// When so many more ticks of sampled time have run, at the end of the piece of work in which
    /// they do; 0 is at once.
    Ticks(u64),
    /// When so many more blocks were taken out of the capture memory; 0 is at once.
    Blocks(u64),
}

/// Forms of a fault's name.
const FORMS: &str = "dead-cell.CELL, stuck-self.CELL.BIT.on|off, stuck-coupling.I.J.BIT.on|off, \
                     stuck-adc.CELL.CODE, saturated-adc.CELL.high|low, swapped-adc.I.J, \
                     drive-gain.CELL.FACTOR, \
                     drift-gain.CELL.RATE, drift-offset.CELL.RATE, walk-gain.CELL.RATE, \
                     walk-offset.CELL.RATE, slow-fifo.PART, hang, brown-out.ticks|blocks.N, \
                     restart.ticks|blocks.N";

impl Fault {
    /// True of a fault that happens and is over, which the whole board must be told; the others are
    /// states of the FPGA and the cells.
    pub const fn happens_once(&self) -> bool {
        matches!(self, Self::BrownOut { .. } | Self::Restart { .. })
    }

    /// The fault of this name on a board of `cells` cells, e.g. `dead-cell.3`.
    ///
    /// # Errors
    /// [`SimError::UnknownFault`], which lists the forms. Whether the board has the part is
    /// checked when the fault is injected.
    pub fn parse(text: &str, cells: usize) -> Result<Self, SimError> {
        read(text, cells)
            .ok_or_else(|| SimError::UnknownFault { text: text.to_owned(), known: FORMS })
    }

    /// Checks that a board of this profile has the part.
    ///
    /// # Errors
    /// [`SimError::NoSuchPart`], or what else is wrong with it.
    pub fn check(&self, profile: &Profile) -> Result<(), SimError> {
        let cells = profile.cell_count();
        let has = |what, index: usize, count: usize| {
            if index < count { Ok(()) } else { Err(SimError::NoSuchPart { what, index, count }) }
        };
        let value = |good: bool, what, value: f64, range: &str| {
            let (value, range) = (value.to_string(), range.to_owned());
            if good { Ok(()) } else { Err(SimError::FaultValue { what, value, range }) }
        };
        let of_cells = !matches!(
            self,
            Self::SlowFifo { .. } | Self::Hang | Self::BrownOut { .. } | Self::Restart { .. }
        );
        if of_cells && profile.array.is_some() {
            return Err(SimError::NoCells { profile: profile.name.clone() });
        }
        match *self {
            Self::StuckElement { bank: Bank::SelfTerm { cell }, bit, .. } => {
                has("cell", cell, cells)?;
                has("bank element", usize::from(bit), usize::from(profile.self_bits()))
            }
            Self::StuckElement { bank: Bank::Coupling { pair }, bit, .. } => {
                has("coupling", pair, product_count(cells) - cells)?;
                has("bank element", usize::from(bit), usize::from(profile.coupling_bits()))
            }
            Self::StuckAdc { cell, code } => {
                has("cell", cell, cells)?;
                let top = full_scale_code(profile.adc_bits());
                let good = (-top..=top).contains(&code.0);
                value(good, "converter code", f64::from(code.0), &format!("-{top} to {top}"))
            }
            Self::DriveGain { cell, factor } => {
                has("cell", cell, cells)?;
                value(factor.is_finite(), "factor", factor, "finite numbers")
            }
            Self::Drift(Drift { cell, rate, .. }) => {
                has("cell", cell, cells)?;
                value(rate.is_finite(), "rate", rate, "finite numbers")
            }
            Self::DeadCell { cell } | Self::SaturatedAdc { cell, .. } => has("cell", cell, cells),
            Self::SwappedAdc { first, second } => {
                has("cell", first, cells)?;
                has("cell", second, cells)
            }
            Self::SlowFifo { part } => {
                let good = (Self::SLOWEST..=1.0).contains(&part);
                value(good, "part of the rate", part, "0.0001 to 1")
            }
            Self::Hang | Self::BrownOut { .. } | Self::Restart { .. } => Ok(()),
        }
    }

    /// Least part of the rate of a slow FIFO: 10,000 ticks a frame.
    const SLOWEST: f64 = 1e-4;
}

fn read(text: &str, cells: usize) -> Option<Fault> {
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
            let (i, j) = (i.min(j), i.max(j));
            if i == j || j >= cells {
                return None;
            }
            let pair = i * (2 * cells - i - 1) / 2 + j - i - 1;
            stuck(Bank::Coupling { pair }, &mut parts)?
        }
        "stuck-adc" => {
            Fault::StuckAdc { cell: next(&mut parts)?, code: AdcCode(next(&mut parts)?) }
        }
        "saturated-adc" => Fault::SaturatedAdc {
            cell: next(&mut parts)?,
            high: choice(&mut parts, ["low", "high"])? == 1,
        },
        "swapped-adc" => {
            let (first, second) = (next(&mut parts)?, next(&mut parts)?);
            if first == second {
                return None;
            }
            Fault::SwappedAdc { first, second }
        }
        "brown-out" => Fault::BrownOut { after: after(&mut parts)? },
        "restart" => Fault::Restart { after: after(&mut parts)? },
        "hang" => return rest.is_empty().then_some(Fault::Hang),
        // Those with a number that may have a decimal point.
        "slow-fifo" => return Some(Fault::SlowFifo { part: number(rest)? }),
        name => return at_cell(name, rest),
    };
    parts.next().is_none().then_some(fault)
}

/// A fault of a cell with a size: `NAME.CELL.SIZE`.
fn at_cell(name: &str, rest: &str) -> Option<Fault> {
    let (cell, size) = rest.split_once('.')?;
    let (cell, size) = (cell.parse().ok()?, number(size)?);
    let (law, value) = match name {
        "drive-gain" => return Some(Fault::DriveGain { cell, factor: size }),
        "drift-gain" => (Law::Linear, Drifting::DriveGain),
        "drift-offset" => (Law::Linear, Drifting::AdcOffset),
        "walk-gain" => (Law::Walk, Drifting::DriveGain),
        "walk-offset" => (Law::Walk, Drifting::AdcOffset),
        _ => return None,
    };
    Some(Fault::Drift(Drift { cell, value, law, rate: size }))
}

type Parts<'a> = std::str::Split<'a, char>;

fn stuck(bank: Bank, parts: &mut Parts<'_>) -> Option<Fault> {
    let bit = next(parts)?;
    let on = choice(parts, ["off", "on"])? == 1;
    Some(Fault::StuckElement { bank, bit, on })
}

fn after(parts: &mut Parts<'_>) -> Option<After> {
    let unit = choice(parts, ["ticks", "blocks"])?;
    let count = next(parts)?;
    Some(if unit == 0 { After::Ticks(count) } else { After::Blocks(count) })
}

fn choice(parts: &mut Parts<'_>, words: [&str; 2]) -> Option<usize> {
    let part = parts.next()?;
    words.iter().position(|word| *word == part)
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn next<T: FromStr>(parts: &mut Parts<'_>) -> Option<T> {
    parts.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        let coupling = Bank::Coupling { pair: 7 };
        let drift = |value, law, rate| Fault::Drift(Drift { cell: 2, value, law, rate });
        for (text, expected) in [
            ("dead-cell.3", Fault::DeadCell { cell: 3 }),
            (
                "stuck-self.2.1.on",
                Fault::StuckElement { bank: Bank::SelfTerm { cell: 2 }, bit: 1, on: true },
            ),
            ("stuck-coupling.1.2.0.off", Fault::StuckElement { bank: coupling, bit: 0, on: false }),
            ("stuck-coupling.2.1.0.off", Fault::StuckElement { bank: coupling, bit: 0, on: false }),
            ("stuck-adc.0.-5", Fault::StuckAdc { cell: 0, code: AdcCode(-5) }),
            ("saturated-adc.0.high", Fault::SaturatedAdc { cell: 0, high: true }),
            ("saturated-adc.1.low", Fault::SaturatedAdc { cell: 1, high: false }),
            ("swapped-adc.5.2", Fault::SwappedAdc { first: 5, second: 2 }),
            ("drive-gain.7.0.25", Fault::DriveGain { cell: 7, factor: 0.25 }),
            ("drive-gain.7.2", Fault::DriveGain { cell: 7, factor: 2.0 }),
            ("drift-gain.2.0.1", drift(Drifting::DriveGain, Law::Linear, 0.1)),
            ("drift-offset.2.-1e-3", drift(Drifting::AdcOffset, Law::Linear, -1e-3)),
            ("walk-gain.2.1", drift(Drifting::DriveGain, Law::Walk, 1.0)),
            ("walk-offset.2..5", drift(Drifting::AdcOffset, Law::Walk, 0.5)),
            ("slow-fifo.0.25", Fault::SlowFifo { part: 0.25 }),
            ("hang", Fault::Hang),
            ("brown-out.ticks.12000000", Fault::BrownOut { after: After::Ticks(12_000_000) }),
            ("restart.blocks.3", Fault::Restart { after: After::Blocks(3) }),
        ] {
            assert_eq!(Fault::parse(text, 8), Ok(expected), "{text}");
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
            "saturated-adc.0",
            "swapped-adc.2",
            "swapped-adc.2.2",
            "swapped-adc.1.2.3",
            "drive-gain.7",
            "drive-gain.7.nan",
            "drift-gain.inf.1",
            "walk-gain.1.inf",
            "slow-fifo",
            "slow-fifo.fast",
            "hang.1",
            "brown-out",
            "restart.ticks",
            "restart.seconds.1",
            "restart.ticks.1.2",
        ] {
            let error = Fault::parse(text, 8).unwrap_err().to_string();
            assert!(error.contains("restart.ticks|blocks.N"), "{text}: {error}");
        }
    }

    #[test]
    fn every_form_is_documented() {
        let page = include_str!("../../docs/simulator.md").replace("\\|", "|");
        for form in FORMS.split(", ") {
            assert!(page.contains(&format!("| `{form}` |")), "docs/simulator.md lacks {form}");
        }
    }

    #[test]
    fn parts_and_values_that_a_board_lacks_are_refused() {
        let profile = Profile::named("rev-a").unwrap();
        for (text, expected) in [
            ("dead-cell.8", "no cell 8; it has 8"),
            ("saturated-adc.8.low", "no cell 8"),
            ("walk-offset.8.1", "no cell 8"),
            ("swapped-adc.8.0", "no cell 8"),
            ("swapped-adc.0.8", "no cell 8"),
            ("stuck-self.0.4.on", "no bank element 4"),
            ("stuck-adc.0.2048", "converter code 2048; there are -2047 to 2047"),
            ("slow-fifo.0", "part of the rate 0; there are 0.0001 to 1"),
            ("slow-fifo.1.5", "part of the rate 1.5"),
        ] {
            let error = Fault::parse(text, 8).unwrap().check(&profile).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
