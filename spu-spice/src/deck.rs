//! The text of a netlist.

use std::fmt::{self, Write as _};

use spu_protocol::code::CouplingCode;

/// A netlist and the file that it reads.
#[derive(Debug, Clone)]
pub struct Netlist {
    /// Name of its files, without ending.
    pub name: String,
    /// The netlist.
    pub text: String,
    /// DAC codes at instants of time, of a transient.
    pub codes: Option<String>,
}

impl Netlist {
    /// Its files: name and contents.
    pub fn files(&self) -> Vec<(String, &str)> {
        let mut files = vec![(format!("{}.cir", self.name), self.text.as_str())];
        files.extend(self.codes.as_deref().map(|codes| (format!("{}.codes", self.name), codes)));
        files
    }
}

/// The text of a netlist.
#[derive(Default)]
pub(crate) struct Deck {
    pub(crate) text: String,
}

impl Deck {
    pub(crate) fn line(&mut self, line: fmt::Arguments) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    pub(crate) fn note(&mut self, note: fmt::Arguments) {
        self.line(format_args!("* {note}"));
    }

    pub(crate) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// An instance of a bank: switches and elements, four a line.
    pub(crate) fn instance(
        &mut self,
        head: &str,
        code: CouplingCode,
        values: impl Iterator<Item = f64>,
    ) {
        self.line(format_args!("{head}"));
        let elements: Vec<_> = values
            .enumerate()
            .map(|(bit, value)| {
                format!("b{bit}={} e{bit}={}", u8::from(closed(code, bit)), Value(value))
            })
            .collect();
        for chunk in elements.chunks(4) {
            self.line(format_args!("+ {}", chunk.join("  ")));
        }
    }
}

/// A number with ten digits, as ngspice reads it.
pub(crate) struct Value(pub(crate) f64);

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0.0 {
            return f.write_str("0");
        }
        let text = format!("{:.9e}", self.0);
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        if exponent == "0" { f.write_str(digits) } else { write!(f, "{digits}e{exponent}") }
    }
}

pub(crate) fn closed(code: CouplingCode, bit: usize) -> bool {
    code.0.unsigned_abs() >> bit & 1 == 1
}

/// Parameters of a bank: which switches are closed, values of the elements.
pub(crate) fn parameters(bits: u8) -> String {
    (0..bits).fold(String::new(), |text, bit| text + &format!(" b{bit}=0 e{bit}=1"))
}
