//! `spu regs`: registers of the FPGA by name.

use std::fmt;
use std::str::FromStr;

use clap::{Args, Subcommand};
use serde::Serialize;
use spu_driver::Device;
use spu_protocol::regs::{Access, Extent, Field, MAP, Register, find};

use super::{DeviceArg, TimeoutArg};
use crate::answer::Answer;
use crate::exit::Failure;
use crate::text::{digits, table};

/// Registers in one request to the device.
const CHUNK: usize = 128;

/// List, read or write registers of the FPGA
#[derive(Debug, Args)]
pub(crate) struct Regs {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the register map (needs no device)
    List,
    /// Read registers: `NAME`, `NAME[INDEX]`, `NAME.FIELD` or an address; the name of an array reads all
    Read {
        /// What to read
        #[arg(required = true)]
        registers: Vec<Selector>,
        #[command(flatten)]
        device: DeviceArg,
        #[command(flatten)]
        timeout: TimeoutArg,
    },
    /// Write a register, or one field of it, and read it back
    Write {
        /// What to write: `NAME`, `NAME[INDEX]`, `NAME.FIELD` or an address
        register: Selector,
        /// Value: decimal (also negative), 0x… or 0b…
        #[arg(value_parser = word, allow_hyphen_values = true)]
        value: u32,
        #[command(flatten)]
        device: DeviceArg,
        #[command(flatten)]
        timeout: TimeoutArg,
    },
}

/// A register, an element, or a field.
#[derive(Debug, Clone, Copy)]
struct Selector {
    register: &'static Register,
    index: Option<usize>,
    field: Option<&'static Field>,
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("0x") {
            let address = word(text)?;
            let (register, index) = u16::try_from(address)
                .ok()
                .and_then(find)
                .ok_or_else(|| format!("no register at {text}; `spu regs list` shows the map"))?;
            return Ok(Self {
                register,
                index: (register.count > 1).then_some(index),
                field: None,
            });
        }
        let (name, field) = match text.split_once('.') {
            Some((name, field)) => (name, Some(field)),
            None => (text, None),
        };
        let (name, index) = match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
            Some((name, index)) => (name, Some(index)),
            None => (name, None),
        };
        let register = MAP
            .iter()
            .find(|register| register.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| format!("no register {name:?}; `spu regs list` shows them"))?;
        let index = index
            .map(|index| {
                index.parse().ok().filter(|i| *i < usize::from(register.count)).ok_or_else(|| {
                    format!("index {index:?} is outside 0 to {}", register.count - 1)
                })
            })
            .transpose()?;
        let field = field
            .map(|name| {
                register
                    .fields
                    .iter()
                    .find(|field| field.name.eq_ignore_ascii_case(name))
                    .ok_or_else(|| {
                        let names: Vec<&str> = register.fields.iter().map(|f| f.name).collect();
                        format!(
                            "{} has no field {name:?}, only {}",
                            register.name,
                            names.join(", ")
                        )
                    })
            })
            .transpose()?;
        Ok(Self { register, index, field })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.register.name)?;
        self.index.iter().try_for_each(|index| write!(f, "[{index}]"))?;
        self.field.iter().try_for_each(|field| write!(f, ".{}", field.name))
    }
}

/// A 32-bit word; negative numbers as two's complement.
fn word(text: &str) -> Result<u32, String> {
    let parsed = if let Some(digits) = text.strip_prefix("0x") {
        u32::from_str_radix(digits, 16).ok()
    } else if let Some(digits) = text.strip_prefix("0b") {
        u32::from_str_radix(digits, 2).ok()
    } else if text.starts_with('-') {
        text.parse::<i32>().ok().map(i32::cast_unsigned)
    } else {
        text.parse().ok()
    };
    parsed.ok_or_else(|| format!("{text:?} is no 32-bit number; write 12, -12, 0xC or 0b1100"))
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum RegsAnswer {
    Map { registers: Vec<Entry> },
    Values { uri: String, values: Vec<Reading> },
}

/// A register of the map.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    name: &'static str,
    address: u16,
    count: u16,
    stride: u16,
    per: &'static str,
    access: &'static str,
    fields: Vec<FieldEntry>,
    doc: &'static str,
}

#[derive(Debug, Serialize)]
struct FieldEntry {
    name: &'static str,
    shift: u8,
    width: u8,
    doc: &'static str,
}

/// A register's value.
#[derive(Debug, Serialize)]
pub(crate) struct Reading {
    name: String,
    address: u16,
    value: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<(&'static str, u32)>,
    /// What the bits stand for, where they are a floating-point number.
    #[serde(skip_serializing_if = "Option::is_none")]
    float: Option<f32>,
}

impl Reading {
    fn new(selector: Selector, address: u16, word: u32) -> Self {
        let fields = selector.register.fields;
        let whole = fields.len() == 1 && fields[0].width == 32;
        let value = selector.field.map_or(word, |field| field.of(word));
        Self {
            name: selector.to_string(),
            address,
            value,
            fields: if whole || selector.field.is_some() {
                Vec::new()
            } else {
                fields.iter().map(|field| (field.name, field.of(word))).collect()
            },
            float: selector.register.doc.ends_with("binary32").then(|| f32::from_bits(word)),
        }
    }
}

impl Regs {
    pub(crate) fn run(&self) -> Result<RegsAnswer, Failure> {
        match &self.action {
            None | Some(Action::List) => Ok(map()),
            Some(Action::Read { registers, device, timeout }) => {
                let mut device = device.open()?;
                let mut values = Vec::new();
                for selector in registers {
                    values.extend(read(device.as_mut(), *selector, timeout)?);
                }
                Ok(RegsAnswer::Values { uri: device.uri().to_owned(), values })
            }
            Some(Action::Write { register, value, device, timeout }) => {
                let mut device = device.open()?;
                let values = write(device.as_mut(), *register, *value, timeout)?;
                Ok(RegsAnswer::Values { uri: device.uri().to_owned(), values })
            }
        }
    }
}

fn map() -> RegsAnswer {
    let entry = |register: &'static Register| Entry {
        name: register.name,
        address: register.address,
        count: register.count,
        stride: register.stride,
        per: match register.extent {
            Extent::Fixed => "board",
            Extent::Cells(_) => "cell",
            Extent::Couplings(_) => "coupling",
            Extent::Products(_) => "pair",
        },
        access: access(register.access),
        fields: register
            .fields
            .iter()
            .map(|field| FieldEntry {
                name: field.name,
                shift: field.shift,
                width: field.width,
                doc: field.doc,
            })
            .collect(),
        doc: register.doc,
    };
    RegsAnswer::Map { registers: MAP.iter().map(entry).collect() }
}

fn access(access: Access) -> &'static str {
    match access {
        Access::Ro => "ro",
        Access::Rw => "rw",
        Access::Wo => "wo",
    }
}

fn read(
    device: &mut dyn Device,
    selector: Selector,
    timeout: &TimeoutArg,
) -> Result<Vec<Reading>, Failure> {
    let Selector { register, index, .. } = selector;
    if register.access == Access::Wo {
        return Err(Failure::usage(format!("{} is write only", register.name)));
    }
    if register.fields.is_empty() {
        return Err(Failure::usage(format!(
            "{} is a window for bulk data, not a register; `spu sample` reads samples",
            register.name
        )));
    }
    let indices = match index {
        Some(index) => index..index + 1,
        None => 0..register.len(device.info().cells),
    };
    // Elements follow each other without gaps where the stride is a word; others go one by one.
    let chunk = if register.stride == 4 { CHUNK } else { 1 };
    let mut values = Vec::with_capacity(indices.len());
    let mut at = indices.start;
    while at < indices.end {
        let mut words = vec![0; chunk.min(indices.end - at)];
        device.read_regs(address(register, at), &mut words, timeout.deadline())?;
        for word in words {
            let element = (register.count > 1).then_some(at);
            let selector = Selector { index: element, ..selector };
            values.push(Reading::new(selector, address(register, at), word));
            at += 1;
        }
    }
    Ok(values)
}

fn address(register: &Register, index: usize) -> u16 {
    register.address + index as u16 * register.stride
}

fn write(
    device: &mut dyn Device,
    selector: Selector,
    value: u32,
    timeout: &TimeoutArg,
) -> Result<Vec<Reading>, Failure> {
    let Selector { register, index, field } = selector;
    if register.access == Access::Ro {
        return Err(Failure::usage(format!("{} is read only", register.name)));
    }
    if index.is_none() && register.count > 1 {
        return Err(Failure::usage(format!(
            "{name} has {count} elements; name one, for example {name}[0]",
            name = register.name,
            count = register.count
        )));
    }
    let address = address(register, index.unwrap_or(0));
    let word = match field {
        None => value,
        Some(field) => {
            let mask = u32::MAX >> (32 - u32::from(field.width));
            if value & !mask != 0 {
                return Err(Failure::usage(format!(
                    "{value} does not fit the {} bits of {selector}",
                    field.width
                )));
            }
            let mut rest = [0];
            // Strobes read as 0, and writing 0 to them does nothing.
            if register.access == Access::Rw {
                device.read_regs(address, &mut rest, timeout.deadline())?;
            }
            rest[0] & !(mask << field.shift) | value << field.shift
        }
    };
    device.write_regs(address, &[word], timeout.deadline())?;
    if register.access == Access::Wo {
        return Ok(vec![Reading::new(selector, address, word)]);
    }
    read(
        device,
        Selector { index: (register.count > 1).then_some(index.unwrap_or(0)), ..selector },
        timeout,
    )
}

impl Answer for RegsAnswer {
    fn text(&self) -> String {
        match self {
            Self::Map { registers } => map_text(registers),
            Self::Values { values, .. } => values.iter().map(value_text).collect(),
        }
    }
}

fn map_text(registers: &[Entry]) -> String {
    let rows: Vec<Vec<String>> = registers
        .iter()
        .map(|entry| {
            let name = if entry.count > 1 {
                format!("{}[{}]", entry.name, entry.count)
            } else {
                entry.name.to_owned()
            };
            vec![name, format!("{:#06x}", entry.address), entry.access.to_owned()]
        })
        .collect();
    // The last column is left-aligned, so it is joined to the finished lines.
    let lines = table(&["", "", ""], &rows);
    let mut text = String::new();
    for (line, entry) in lines.lines().zip(registers) {
        text += &format!("{line}  {}\n", entry.doc);
        for field in entry.fields.iter().filter(|field| field.width < 32) {
            let bits = match field.width {
                1 => field.shift.to_string(),
                width => format!("{}:{}", field.shift + width - 1, field.shift),
            };
            let doc = if field.doc.is_empty() { "" } else { "  " };
            text += &format!("      .{:<18} {bits:>5}{doc}{}\n", field.name, field.doc);
        }
    }
    text
}

fn value_text(value: &Reading) -> String {
    let mut text =
        format!("{} {:#06x} = {:#010x} ({})", value.name, value.address, value.value, value.value);
    if value.value > i32::MAX as u32 {
        text += &format!(" ({})", value.value.cast_signed());
    }
    if let Some(float) = value.float {
        text += &format!(" = {}", digits(f64::from(float)));
    }
    for (name, field) in &value.fields {
        text += &format!("  {name} {field}");
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_name_registers_elements_fields_and_addresses() {
        for (text, shown) in [
            ("scratch[2]", "SCRATCH[2]"),
            ("MODE", "MODE"),
            ("status.STATE", "STATUS.state"),
            ("0x010C", "DECIMATION"),
            ("0x0808", "COUPLING_BANK[2]"),
        ] {
            assert_eq!(text.parse::<Selector>().unwrap().to_string(), shown);
        }
        for (text, expect) in [
            ("nothing", "no register"),
            ("scratch[4]", "outside 0 to 3"),
            ("mode.speed", "only stream"),
            ("0x0002", "no register at"),
            ("0x123456", "no register at"),
            ("0xyz", "no 32-bit number"),
        ] {
            let error = text.parse::<Selector>().unwrap_err();
            assert!(error.contains(expect), "{error}");
        }
    }

    #[test]
    fn words() {
        assert_eq!(word("12"), Ok(12));
        assert_eq!(word("-1"), Ok(u32::MAX));
        assert_eq!(word("0xff"), Ok(255));
        assert_eq!(word("0b101"), Ok(5));
        assert!(word("4294967296").is_err());
        assert!(word("1.5").is_err());
    }
}
