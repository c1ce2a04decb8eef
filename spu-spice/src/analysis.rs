//! What is done with a board: sources, analyses and what is kept of them.

use spu_sim::DacRow;

use crate::deck::{Deck, Value};
use crate::netlist::Circuit;

/// A DAC's code changes within this, 1e-5 of a sample period.
const EDGE_SECOND: f64 = 1e-12;

/// What is done with the board.
#[derive(Debug, Clone, Copy)]
pub enum Analysis<'a> {
    /// The DACs play these codes from rest, one row a sample period, held in between. The solver makes
    /// at least `steps` steps in each period.
    Transient {
        /// The codes.
        codes: &'a [DacRow],
        /// Fewest steps a period.
        steps: u32,
    },
    /// 1 A into one cell at `points` frequencies, evenly from `from` to `to` hertz.
    Frequency {
        /// The driven cell.
        cell: usize,
        /// First frequency, in hertz.
        from: f64,
        /// Last frequency, in hertz.
        to: f64,
        /// Number of frequencies.
        points: u32,
    },
}

/// The vector of ngspice that has what the converter of `cell` sees, in volts: gain and offset included,
/// neither rounded nor clipped.
pub fn converter(cell: usize) -> String {
    format!("v(adc{cell})")
}

impl Circuit {
    pub(crate) fn analysis(&self, deck: &mut Deck, name: &str, analysis: &Analysis) {
        let saved: Vec<_> = (0..self.cells()).map(converter).collect();
        match *analysis {
            Analysis::Transient { codes, steps } => {
                let period = self.profile.sample_period_s();
                deck.note(format_args!(
                    "The DACs: codes from a file, each held for a period of {} s, times ampere a code.",
                    Value(period)
                ));
                let zeros = vec!["0"; self.cells()].join(" ");
                let scales: Vec<_> = (0..self.cells())
                    .map(|cell| Value(self.parts.drive_ampere[cell]).to_string())
                    .collect();
                deck.line(format_args!(
                    ".model codes filesource (file=\"{name}.codes\" amplstep=FALSE timerelative=FALSE"
                ));
                deck.line(format_args!("+ amploffset=[{zeros}]"));
                deck.line(format_args!("+ amplscale=[{}])", scales.join(" ")));
                let outputs: Vec<_> =
                    (0..self.cells()).map(|cell| format!("dac{cell} 0")).collect();
                deck.line(format_args!("Acodes %vd([{}]) codes", outputs.join(" ")));
                deck.note(format_args!("The sample clock: the solver stops at each of its edges."));
                deck.line(format_args!(
                    "Vclock clock 0 PULSE(0 1 0 {EDGE_SECOND:e} {EDGE_SECOND:e} {:.15e} {period:.15e})",
                    period / 2.0
                ));
                deck.gap();
                deck.note(format_args!(
                    "Trapezoidal rule, {steps} steps a period or more; from rest."
                ));
                deck.line(format_args!(
                    ".options method=trap reltol=1e-6 abstol=1e-15 vntol=1e-9 chgtol=1e-18"
                ));
                let step = Value(period / f64::from(steps));
                // A little more than the last period, so that its end is an instant within.
                let end = Value(period * (codes.len() as f64 + 1.0 / f64::from(steps)));
                deck.line(format_args!(".tran {step} {end} 0 {step} uic"));
            }
            Analysis::Frequency { cell, from, to, points } => {
                for other in 0..self.cells() {
                    let drive = if other == cell { "DC 0 AC 1" } else { "DC 0" };
                    deck.line(format_args!("Vdac{other} dac{other} 0 {drive}"));
                }
                deck.gap();
                deck.line(format_args!(".ac lin {points} {} {}", Value(from), Value(to)));
            }
        }
        deck.line(format_args!(".save {}", saved.join(" ")));
        deck.line(format_args!(".end"));
    }

    /// The codes as points in time, two for each period: the last codes at its start, and its own once
    /// they are there.
    pub(crate) fn staircase(&self, codes: &[DacRow]) -> String {
        let mut deck = Deck::default();
        let period = self.profile.sample_period_s();
        let text = |row: &DacRow| {
            let codes: Vec<_> = row[..self.cells()].iter().map(|code| code.0.to_string()).collect();
            codes.join(" ")
        };
        let mut before = DacRow::default();
        for (tick, row) in codes.iter().enumerate() {
            let time = tick as f64 * period;
            deck.line(format_args!("{time:.15e} {}", text(&before)));
            deck.line(format_args!("{:.15e} {}", time + EDGE_SECOND, text(row)));
            before = *row;
        }
        // The last codes are held: at its last point a source ends.
        for beyond in 1..3 {
            let time = (codes.len() + beyond) as f64 * period;
            deck.line(format_args!("{time:.15e} {}", text(&before)));
        }
        deck.text
    }
}
