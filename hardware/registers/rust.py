"""Writes the register map as Rust constants."""

from model import Register

HEAD = """\
//! Register map of the FPGA and the microcontroller: addresses, fields and their descriptions.
//!
//! Written by `cargo xtask regs` from `hardware/registers/spu.rdl`; do not edit.
//!
//! Registers are 32 bits wide. A register is a constant with its byte address, an array a function
//! from index to byte address with its capacity in `…_LEN`; a board uses the first
//! [`Register::len`] elements. The module of a register's name holds its fields: `1 << n` for a bit,
//! `…_SHIFT` and the unshifted `…_MASK` for wider ones.

/// Names and descriptions are for hosts: in a microcontroller they would fill its flash.
const fn text(text: &'static str) -> &'static str {
    if cfg!(feature = "std") { text } else { "" }
}

/// What the bus may do with a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Read only.
    Ro,
    /// Read and write.
    Rw,
    /// Write only; reads as 0.
    Wo,
}

/// How many registers of an array a board has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extent {
    /// As many as the map, whatever the board.
    Fixed,
    /// This many for each cell.
    Cells(u16),
    /// This many for each pair (0,1), (0,2) … (0,n−1), (1,2) ….
    Couplings(u16),
    /// This many for each pair (0,0), (0,1) … (0,n−1), (1,1) ….
    Products(u16),
}

/// A field of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Name, lower case; empty without the feature `std`.
    pub name: &'static str,
    /// Lowest bit.
    pub shift: u8,
    /// Number of bits.
    pub width: u8,
    /// What it means, in a line; empty where the register's text says it.
    pub doc: &'static str,
}

impl Field {
    /// The field's value in the register's value `word`.
    pub const fn of(&self, word: u32) -> u32 {
        (word >> self.shift) & (u32::MAX >> (32 - self.width as u32))
    }
}

/// A register, an array of them, or a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register {
    /// Name, upper case; empty without the feature `std`.
    pub name: &'static str,
    /// Byte address of the first element.
    pub address: u16,
    /// Number of elements in the map; 1 where it is no array.
    pub count: u16,
    /// Bytes from one element to the next.
    pub stride: u16,
    /// Elements that a board has.
    pub extent: Extent,
    /// What the bus may do.
    pub access: Access,
    /// Value after reset, and of constants always; 0 where hardware sets the value.
    pub reset: u32,
    /// Fields, in order of their bits; none for windows.
    pub fields: &'static [Field],
    /// The microcontroller answers for it; it is not in the FPGA.
    pub mcu: bool,
    /// What it is, in a line.
    pub doc: &'static str,
}

impl Register {
    /// Number of elements on a board of `cells` cells, at most [`count`](Self::count).
    pub const fn len(&self, cells: usize) -> usize {
        let count = self.count as usize;
        // No board has more than 2¹⁶ − 1 cells; the bound keeps the products below from overflow.
        let n = if cells > 0xFFFF { 0xFFFF } else { cells as u64 };
        let len = match self.extent {
            Extent::Fixed => return count,
            Extent::Cells(words) => words as u64 * n,
            Extent::Couplings(words) => words as u64 * (n * n.saturating_sub(1) / 2),
            Extent::Products(words) => words as u64 * (n * (n + 1) / 2),
        };
        if len < count as u64 { len as usize } else { count }
    }
}

/// The register at a byte address and the element's index; `None` outside the map or where the
/// address is not a multiple of 4.
pub fn find(address: u16) -> Option<(&'static Register, usize)> {
    if !address.is_multiple_of(4) {
        return None;
    }
    let after = MAP.partition_point(|register| register.address <= address);
    let register = MAP.get(after.checked_sub(1)?)?;
    let index = (address - register.address) / register.stride;
    (index < register.count).then_some((register, usize::from(index)))
}

"""

EXTENT = {"cell": "Cells", "coupling": "Couplings", "product": "Products"}


def _hex32(value: int) -> str:
    return f"0x{value >> 16:04X}_{value & 0xFFFF:04X}" if value else "0"


def _mask(width: int) -> str:
    value = (1 << width) - 1
    return f"0x{value:X}" if width <= 16 else _hex32(value)


def _string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _sentence(text: str) -> str:
    return text if text.endswith(".") else text + "."


def _docs(r: Register) -> str:
    access = {"ro": "Read only.", "rw": "", "wo": "Write only."}[r.access]
    lines = [_sentence(r.doc)] + [x for x in (r.detail, access) if x]
    return "/// " + " ".join(lines)


def _address(r: Register) -> list[str]:
    out = [_docs(r)]
    if r.window:
        out += [f"pub const {r.name}: u16 = 0x{r.address:04X};"]
        out += [f"/// Octets of the window at [`{r.name}`]."]
        out += [f"pub const {r.name}_OCTETS: usize = 0x{4 * r.count:04X};"]
    elif r.array:
        out += [f"pub const fn {r.name.lower()}(index: usize) -> u16 {{"]
        out += [f"debug_assert!(index < {r.name}_LEN);"]
        out += [f"0x{r.address:04X} + 4 * index as u16", "}"]
        out += [f"/// Elements of [`{r.name.lower()}`] in the map."]
        out += [f"pub const {r.name}_LEN: usize = {r.count};"]
    else:
        out += [f"pub const {r.name}: u16 = 0x{r.address:04X};"]
        if r.constant:
            out += [f"/// Value of [`{r.name}`]."]
            out += [f"pub const {r.name}_VALUE: u32 = {_hex32(r.reset)};"]
    return out


def _fields(r: Register) -> list[str]:
    if len(r.fields) < 2:
        return []
    out = [f"/// Fields of [`{r.name}`].", f"pub mod {r.name.lower()} {{"]
    for f in r.fields:
        name = f.name.upper()
        if f.width == 1:
            out += [f"/// {_sentence(f.doc)}", f"pub const {name}: u32 = 1 << {f.low};"]
            continue
        out += [f"/// Lowest bit of `{f.name}`: {_sentence(f.doc)}"]
        out += [f"pub const {name}_SHIFT: u32 = {f.low};"]
        out += [f"/// Unshifted mask of `{f.name}`."]
        out += [f"pub const {name}_MASK: u32 = {_mask(f.width)};"]
        for member, value, doc in f.members:
            out += [f"/// Value of `{f.name}`: {_sentence(doc)}"]
            out += [f"pub const {name}_{member.upper()}: u32 = {value};"]
    return out + ["}"]


def _entry(r: Register) -> str:
    extent = f"Extent::{EXTENT[r.per]}({r.words})" if r.per else "Extent::Fixed"
    fields = ", ".join(
        f'Field {{ name: text("{f.name}"), shift: {f.low}, width: {f.width}, '
        f"doc: text({_string(f.doc)}) }}"
        for f in r.fields
    )
    return (
        f'Register {{ name: text("{r.name}"), address: 0x{r.address:04X}, count: {r.count}, stride: 4, '
        f"extent: {extent}, access: Access::{r.access.capitalize()}, reset: {_hex32(r.reset)}, "
        f"fields: &[{fields}], mcu: {str(r.mcu).lower()}, doc: text({_string(r.doc)}) }},"
    )


def write(registers: list[Register]) -> str:
    """Rust source, to be formatted by rustfmt."""
    lines: list[str] = []
    for r in registers:
        lines += _address(r) + [""]
    for r in registers:
        block = _fields(r)
        lines += block + ([""] if block else [])
    lines += ["/// The whole map, by ascending address."]
    lines += ["pub static MAP: &[Register] = &["] + [_entry(r) for r in registers] + ["];"]
    return HEAD + "\n".join(lines) + "\n"
