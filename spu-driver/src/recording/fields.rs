//! The fields of frames by name: to show them, and to say where two frames differ.

mod update;

use std::fmt;

use serde::{Serialize, Serializer};
use spu_protocol::error::ErrorCode;
use spu_protocol::header::{Header, Kind};
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::acquire::{State, product_count};
use spu_protocol::payload::load::LoadHeader;

/// A field of a payload.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Field {
    /// Its name, as in `spu-protocol`.
    pub name: &'static str,
    /// Index in an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// First octet in the payload.
    pub at: usize,
    /// What it holds.
    pub value: Value,
}

impl Field {
    /// `name` or `name[index]`.
    pub fn label(&self) -> String {
        match self.index {
            None => self.name.into(),
            Some(index) => format!("{}[{index}]", self.name),
        }
    }
}

/// Content of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Integer(i128),
    /// A number that reads best in hexadecimal.
    Hex(u64),
    /// A floating point number.
    Float(f32),
    /// A number with its name.
    Named(u64, String),
    /// Text, or octets shown as text.
    Text(String),
    /// Octets that are data.
    Octets(Vec<u8>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Octets that are shown.
        const SHOWN: usize = 8;
        match self {
            Self::Integer(number) => write!(f, "{number}"),
            Self::Hex(number) => write!(f, "{number:#x}"),
            Self::Float(number) if (1e-4..1e7).contains(&number.abs()) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number:e}"),
            Self::Named(number, name) => write!(f, "{number} ({name})"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Octets(octets) => {
                octets.iter().take(SHOWN).try_for_each(|octet| write!(f, "{octet:02x}"))?;
                match octets.len() {
                    0..=SHOWN => Ok(()),
                    more => write!(f, "… ({more} octets)"),
                }
            }
        }
    }
}

impl Serialize for Value {
    /// Numbers as numbers where JSON holds them exactly, octets as their count.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(number) => match i64::try_from(*number) {
                Ok(number) => serializer.serialize_i64(number),
                Err(_) => serializer.collect_str(number),
            },
            Self::Float(number) => serializer.serialize_f32(*number),
            Self::Octets(octets) => {
                serializer.collect_str(&format_args!("{} octets", octets.len()))
            }
            Self::Text(text) => serializer.serialize_str(text),
            Self::Hex(_) | Self::Named(..) => serializer.collect_str(self),
        }
    }
}

/// The fields of a payload, in order, those of arrays one by one. A payload that is not laid out
/// as its operation says ends in a field `rest`.
pub fn fields(header: &Header, payload: &[u8]) -> Vec<Field> {
    let mut walk = Walk { payload, at: 0, fields: Vec::new() };
    let opcode = Opcode::from_u16(header.opcode);
    // `None` is a payload that ends early; what is left is shown as it is.
    let _ = match (Kind::from_u8(header.kind), opcode) {
        (Some(Kind::Error), _) => walk.error(),
        (Some(Kind::Request), Some(opcode)) => walk.request(opcode),
        (Some(Kind::Reply | Kind::Event), Some(opcode)) => walk.answer(opcode),
        _ => None,
    };
    walk.octets("rest");
    walk.fields
}

/// Where two frames differ first; `None` if they are the same.
pub fn difference(recorded: (&Header, &[u8]), now: (&Header, &[u8])) -> Option<String> {
    let opcode = |header: &Header| opcode_name(header.opcode);
    let differ = |what: &str, before: &dyn fmt::Display, after: &dyn fmt::Display| {
        Some(format!("{what} was {before} in the recording and is {after} now"))
    };
    let (old, new) = (recorded.0, now.0);
    if old.opcode != new.opcode {
        return differ("the operation", &opcode(old), &opcode(new));
    }
    let what = |field: &str| format!("{}: {field}", opcode(old));
    let header = |header: &Header| {
        [
            ("version", u32::from(header.version)),
            ("kind", header.kind.into()),
            ("session", header.session),
            ("sequence", header.sequence),
            ("reserved", header.reserved),
        ]
    };
    for ((name, before), (_, after)) in header(old).into_iter().zip(header(new)) {
        if before != after {
            return differ(&what(name), &before, &after);
        }
    }
    let (before, after) = (fields(old, recorded.1), fields(new, now.1));
    for (before, after) in before.iter().zip(&after) {
        if before.label() != after.label() {
            let place = what(&format!("the field at octet {}", before.at));
            return differ(&place, &before.label(), &after.label());
        }
        if before.value == after.value {
            continue;
        }
        if let (Value::Octets(old), Value::Octets(new)) = (&before.value, &after.value)
            && let Some(at) = old.iter().zip(new).position(|(old, new)| old != new)
        {
            let place = format!("{}, octet {at}", before.label());
            return differ(&what(&place), &Value::Hex(old[at].into()), &Value::Hex(new[at].into()));
        }
        return differ(&what(&before.label()), &before.value, &after.value);
    }
    // The same fields as far as both go, floats that are no numbers left aside.
    let (old, new) = (recorded.1, now.1);
    if old.len() != new.len() {
        return differ(&what("the length"), &old.len(), &new.len());
    }
    let at = old.iter().zip(new).position(|(old, new)| old != new)?;
    let place = what(&format!("octet {at}"));
    differ(&place, &Value::Hex(old[at].into()), &Value::Hex(new[at].into()))
}

/// What an operation is called: its name in `spu-protocol`, or its number.
pub fn opcode_name(number: u16) -> String {
    Opcode::from_u16(number)
        .map_or_else(|| format!("{number:#06x}"), |opcode| format!("{opcode:?}"))
}

/// Reads a payload field by field.
struct Walk<'a> {
    payload: &'a [u8],
    at: usize,
    fields: Vec<Field>,
}

impl Walk<'_> {
    fn push(&mut self, name: &'static str, index: Option<usize>, size: usize, value: Value) {
        self.fields.push(Field { name, index, at: self.at, value });
        self.at += size;
    }

    fn bytes<const N: usize>(&self) -> Option<[u8; N]> {
        self.payload.get(self.at..)?.first_chunk().copied()
    }

    fn u8(&mut self, name: &'static str) -> Option<u8> {
        let [value] = self.bytes()?;
        self.push(name, None, 1, Value::Integer(value.into()));
        Some(value)
    }

    fn u16(&mut self, name: &'static str) -> Option<u16> {
        let value = u16::from_le_bytes(self.bytes()?);
        self.push(name, None, 2, Value::Integer(value.into()));
        Some(value)
    }

    fn u32(&mut self, name: &'static str) -> Option<u32> {
        let value = u32::from_le_bytes(self.bytes()?);
        self.push(name, None, 4, Value::Integer(value.into()));
        Some(value)
    }

    fn u64(&mut self, name: &'static str) -> Option<u64> {
        let value = u64::from_le_bytes(self.bytes()?);
        self.push(name, None, 8, Value::Integer(value.into()));
        Some(value)
    }

    fn hex<const N: usize>(&mut self, name: &'static str) -> Option<u64> {
        let mut wide = [0; 8];
        wide.get_mut(..N)?.copy_from_slice(&self.bytes::<N>()?);
        let value = u64::from_le_bytes(wide);
        self.push(name, None, N, Value::Hex(value));
        Some(value)
    }

    fn f32(&mut self, name: &'static str) -> Option<()> {
        let value = f32::from_le_bytes(self.bytes()?);
        self.push(name, None, 4, Value::Float(value));
        Some(())
    }

    fn version(&mut self, name: &'static str) -> Option<()> {
        let bytes = self.bytes::<6>()?;
        let [major, minor, patch] = bytemuck::cast::<_, [u16; 3]>(bytes);
        self.push(name, None, 6, Value::Text(format!("{major}.{minor}.{patch}")));
        Some(())
    }

    fn data<const N: usize>(&mut self, name: &'static str) -> Option<()> {
        let bytes = self.bytes::<N>()?;
        self.push(name, None, N, Value::Octets(bytes.to_vec()));
        Some(())
    }

    /// A number of `N` octets with the name that `name_of` gives it.
    fn named<const N: usize>(
        &mut self,
        name: &'static str,
        name_of: impl Fn(u64) -> Option<String>,
    ) -> Option<()> {
        let mut wide = [0; 8];
        wide.get_mut(..N)?.copy_from_slice(&self.bytes::<N>()?);
        let number = u64::from_le_bytes(wide);
        let text = name_of(number).unwrap_or_else(|| "unknown".into());
        self.push(name, None, N, Value::Named(number, text));
        Some(())
    }

    /// An array of numbers of `N` octets each.
    fn array<const N: usize>(
        &mut self,
        name: &'static str,
        count: usize,
        value: impl Fn([u8; N]) -> Value,
    ) -> Option<()> {
        for index in 0..count {
            let value = value(self.bytes()?);
            self.push(name, Some(index), N, value);
        }
        Some(())
    }

    /// What is left, if anything.
    fn octets(&mut self, name: &'static str) {
        let rest = self.payload.get(self.at..).unwrap_or_default().to_vec();
        if !rest.is_empty() {
            self.push(name, None, rest.len(), Value::Octets(rest));
        }
    }

    fn words(&mut self) -> Option<()> {
        let count = self.payload.len().saturating_sub(self.at) / 4;
        self.array("words", count, |bytes| Value::Hex(u32::from_le_bytes(bytes).into()))
    }

    fn error(&mut self) -> Option<()> {
        let number = u16::from_le_bytes(self.bytes()?);
        let name = ErrorCode::from_u16(number)
            .map_or_else(|| "unknown".into(), |code| format!("{code:?}"));
        self.push("code", None, 2, Value::Named(number.into(), name));
        self.u16("detail")?;
        Some(())
    }

    fn request(&mut self, opcode: Opcode) -> Option<()> {
        match opcode {
            Opcode::Hello => {
                self.hex::<8>("nonce")?;
                self.u8("version_min")?;
                self.u8("version_max")?;
                self.hex::<6>("reserved")?;
            }
            Opcode::Reset | Opcode::SelfTest => {
                self.u32("level")?;
            }
            Opcode::Ping => self.octets("data"),
            Opcode::ReadRegs | Opcode::WriteRegs => {
                self.hex::<2>("address")?;
                self.u16("count")?;
                self.words()?;
            }
            Opcode::Load => self.load()?,
            Opcode::Acquire => {
                for name in ["settle", "decimation", "count", "flags"] {
                    self.u32(name)?;
                }
                self.u64("granted")?;
            }
            Opcode::Credit => {
                self.u64("granted")?;
            }
            Opcode::UpdateBegin => self.update_begin()?,
            Opcode::UpdateWrite => {
                self.u32("offset")?;
                self.u32("reserved")?;
                self.octets("data");
            }
            Opcode::UpdateStatus | Opcode::UpdateConfirm => self.image_kind::<4>()?,
            Opcode::BulkWrite | Opcode::BulkRead => {
                self.u16("region")?;
                self.u16("count")?;
                self.u32("first")?;
                self.words()?;
            }
            _ => {}
        }
        Some(())
    }

    fn answer(&mut self, opcode: Opcode) -> Option<()> {
        match opcode {
            Opcode::Hello => {
                self.hex::<8>("nonce")?;
                self.hex::<8>("serial")?;
                self.hex::<8>("calibration_id")?;
                self.u32("session")?;
                self.hex::<4>("gateware_id")?;
                self.version("firmware")?;
                self.u8("version_min")?;
                self.u8("version_max")?;
            }
            Opcode::Info => self.info()?,
            Opcode::Ping => self.octets("data"),
            Opcode::ReadRegs | Opcode::BulkRead => self.words()?,
            Opcode::Load => self.load()?,
            Opcode::AcquireStatus | Opcode::Cancel | Opcode::AcquireDone => self.status()?,
            Opcode::StreamBlock => {
                for name in ["block", "first_frame", "lost_before"] {
                    self.u64(name)?;
                }
                self.u32("frames")?;
                self.u32("frame_octets")?;
                self.octets("samples");
            }
            Opcode::SelfTest => {
                self.hex::<4>("ran")?;
                self.hex::<4>("failed")?;
                self.hex::<4>("expected")?;
                self.hex::<4>("found")?;
            }
            Opcode::UpdateBegin | Opcode::UpdateWrite | Opcode::UpdateFinish => {
                self.update_progress()?;
            }
            Opcode::UpdateStatus => self.update_status()?,
            _ => {}
        }
        Some(())
    }

    fn load(&mut self) -> Option<()> {
        self.u16("kind")?;
        let cells = usize::from(self.u16("cells")?);
        let couplings = usize::from(self.u16("couplings")?);
        let flags = self.u16("flags")?;
        let signed = |bytes| Value::Integer(i16::from_le_bytes(bytes).into());
        let unsigned = |bytes| Value::Integer(u16::from_le_bytes(bytes).into());
        self.array("self_codes", cells, signed)?;
        self.array("coupling_codes", couplings, signed)?;
        self.array("gain_codes", cells, unsigned)?;
        self.array("bias_codes", cells, signed)?;
        if flags & LoadHeader::STORAGE != 0 {
            self.array("storage_codes", cells, signed)?;
        }
        if flags & LoadHeader::RESEED != 0 {
            let word = |bytes| Value::Hex(u32::from_le_bytes(bytes).into());
            self.array("seeds", 4 * cells, word)?;
        }
        Some(())
    }

    fn status(&mut self) -> Option<()> {
        for name in ["kept", "lost", "ticks", "blocks"] {
            self.u64(name)?;
        }
        let [state] = self.bytes()?;
        let name =
            State::from_u8(state).map_or_else(|| "unknown".into(), |state| format!("{state:?}"));
        self.push("state", None, 1, Value::Named(state.into(), name));
        let moments = self.u8("moments")?;
        let cells = usize::from(self.u16("cells")?);
        self.u32("reserved")?;
        self.array("saturated", cells, |bytes| Value::Integer(u32::from_le_bytes(bytes).into()))?;
        if moments == 1 {
            let wide = |bytes| Value::Integer(i64::from_le_bytes(bytes).into());
            self.array("sums", cells, wide)?;
            self.array("products", product_count(cells), wide)?;
        }
        Some(())
    }

    fn info(&mut self) -> Option<()> {
        self.hex::<8>("serial")?;
        self.hex::<8>("calibration_id")?;
        let name = self.bytes::<16>()?;
        let text = String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned();
        self.push("profile", None, 16, Value::Text(text));
        self.hex::<4>("gateware_id")?;
        for name in ["sample_clock_hz", "capture_frames", "stream_frames_per_s"] {
            self.u32(name)?;
        }
        self.version("firmware")?;
        for name in ["kind", "cells", "couplings"] {
            self.u16(name)?;
        }
        for name in [
            "self_bits",
            "coupling_bits",
            "coupling_signed",
            "dac_bits",
            "adc_bits",
            "sample_bits",
            "control_bits",
            "samples_per_frame",
        ] {
            self.u8(name)?;
        }
        for name in [
            "noise_rms_code",
            "r_ohm",
            "l_henry",
            "self_lsb_farad",
            "coupling_lsb_farad",
            "stray_farad",
            "dac_lsb_ampere",
            "adc_lsb_volt",
            "drive_spread",
            "bank_spread",
            "adc_gain_spread",
            "r_spread",
            "l_spread",
        ] {
            self.f32(name)?;
        }
        self.u32("report")?;
        self.u8("storage_bits")?;
        self.hex::<3>("reserved")?;
        Some(())
    }
}
