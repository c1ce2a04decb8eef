//! Which functions of a linked image can panic: those that call into `core`'s panics. Each must be in
//! the list `spu-firmware/boards/panics.txt`, with the reason why input cannot get there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};

use crate::root;

/// What functions are named that never return and only report: they are where panics start.
const STARTS: [&str; 12] = [
    "core::panicking::panic",
    "core::panicking::panic_fmt",
    "core::panicking::panic_bounds_check",
    "core::panicking::panic_const::",
    "core::panicking::panic_nounwind",
    "core::panicking::assert_failed",
    "core::cell::panic_already_",
    "core::option::unwrap_failed",
    "core::option::expect_failed",
    "core::result::unwrap_failed",
    "core::slice::index::slice_",
    "core::slice::copy_from_slice_impl",
];

fn is_start(name: &str) -> bool {
    STARTS.iter().any(|start| name.starts_with(start))
}

/// Checks the callers of panics in the image at `path` against the list.
///
/// # Errors
/// Where one is not in the list.
pub(crate) fn check(path: &Path) -> Result<()> {
    let callers = callers(path)?;
    let list = root().join("spu-firmware/boards/panics.txt");
    let text =
        fs::read_to_string(&list).with_context(|| format!("{} cannot be read", list.display()))?;
    let known: BTreeMap<&str, &str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|l| l.split_once(": "))
        .collect();
    let unknown: Vec<String> = callers
        .iter()
        .filter(|(caller, _)| !known.contains_key(caller.as_str()))
        .map(|(caller, panics)| format!("{caller} ({})", panics.join(", ")))
        .collect();
    ensure!(
        unknown.is_empty(),
        "{}: functions that can panic and are not in {}; make them total, or add each with the reason \
         why input cannot get there:\n  {}",
        path.display(),
        list.display(),
        unknown.join("\n  ")
    );
    println!(
        "{}: {} functions call a panic, each with its reason in panics.txt",
        path.file_stem().unwrap_or_default().display(),
        callers.len()
    );
    Ok(())
}

/// Functions that call a panic, and which.
fn callers(path: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    let data = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let file = object::File::parse(&*data)?;
    // Bit 0 of a function's address says that it is Thumb code.
    let functions: BTreeMap<u64, (u64, String)> = file
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
        .filter_map(|symbol| {
            let name = format!("{:#}", rustc_demangle::demangle(symbol.name().ok()?));
            Some((symbol.address() & !1, (symbol.size(), name)))
        })
        .collect();
    let calls = calls(&file, &functions)?;
    // What stands between a function and a panic: code of `core`, and pieces that several functions
    // share, which the compiler took out of them.
    let mut fronts: BTreeSet<&str> = BTreeSet::new();
    let panics = |name: &str, fronts: &BTreeSet<&str>| is_start(name) || fronts.contains(name);
    loop {
        let before = fronts.len();
        let more: Vec<&str> = calls
            .iter()
            .filter(|(caller, callee)| is_shared(caller) && panics(callee, &fronts))
            .map(|(caller, _)| *caller)
            .collect();
        fronts.extend(more);
        if fronts.len() == before {
            break;
        }
    }
    let mut callers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (caller, callee) in &calls {
        if panics(callee, &fronts) && !panics(caller, &fronts) {
            callers.entry((*caller).into()).or_default().push((*callee).into());
        }
    }
    Ok(callers)
}

/// True of code that is not a function of its own in any source but `core`'s.
fn is_shared(name: &str) -> bool {
    ["core::", "<core::", "OUTLINED_FUNCTION_"].iter().any(|start| name.starts_with(start))
        && !name.contains(" as spu_")
}

/// Which function branches to the start of which.
fn calls<'a>(
    file: &object::File<'_>,
    functions: &'a BTreeMap<u64, (u64, String)>,
) -> Result<BTreeSet<(&'a str, &'a str)>> {
    let mut calls = BTreeSet::new();
    let text = file.section_by_name(".text").context("no code")?;
    let (base, code) = (text.address(), text.data()?);
    for at in (0..code.len().saturating_sub(3)).step_by(2) {
        let half = |at: usize| u32::from(u16::from_le_bytes([code[at], code[at + 1]]));
        let here = base + at as u64;
        let Some(target) = branch(half(at), half(at + 2), here) else { continue };
        let Some((_, callee)) = functions.get(&target) else { continue };
        let within = functions.range(..=here).next_back();
        if let Some((_, (_, caller))) = within.filter(|(start, (size, _))| here < **start + size) {
            calls.insert((caller.as_str(), callee.as_str()));
        }
    }
    Ok(calls)
}

/// Target of the 32-bit Thumb branch (`BL` or `B.W`, Armv7-M manual A7.7.12 and A7.7.18) in two
/// halves at `here`.
fn branch(first: u32, second: u32, here: u64) -> Option<u64> {
    let link = second & 0xD000 == 0xD000;
    let jump = second & 0xD000 == 0x9000;
    if first & 0xF800 != 0xF000 || !(link || jump) {
        return None;
    }
    let sign = first >> 10 & 1;
    let bit = |j: u32| (j ^ sign ^ 1) & 1;
    let offset = sign << 24
        | bit(second >> 13) << 23
        | bit(second >> 11) << 22
        | (first & 0x3FF) << 12
        | (second & 0x7FF) << 1;
    // 25 bits, two's complement.
    let offset = (i64::from(offset) << 39) >> 39;
    here.checked_add_signed(offset + 4)
}

#[cfg(test)]
mod tests {
    use super::branch;

    #[test]
    fn branches_are_decoded_as_the_manual_has_them() {
        // bl .+4: F000 F800; bl .: F7FF FFFE; b.w .+0x1000: F001 B800 less 4.
        assert_eq!(branch(0xF000, 0xF800, 0x100), Some(0x104));
        assert_eq!(branch(0xF7FF, 0xFFFE, 0x100), Some(0x100));
        assert_eq!(branch(0xF000, 0xBFFE, 0x100), Some(0x1100));
        assert_eq!(branch(0xF000, 0x8000, 0x100), None, "a conditional branch");
        assert_eq!(branch(0x4770, 0xF800, 0x100), None);
    }
}
