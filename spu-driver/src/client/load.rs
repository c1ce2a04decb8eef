//! Programs: what a board can hold, and what it holds after a load.

use ndarray::Array2;
use spu_protocol::code::{CouplingCode, full_scale_code};
use spu_protocol::payload::info::BoardKind;
use spu_protocol::payload::load::{LoadHeader, LoadView};

use crate::board_model::{bank_top, network};
use crate::device::{Applied, BoardInfo, Program};
use crate::error::Error;

/// The program as it goes over the wire.
///
/// # Errors
/// [`Error::Unsupported`] with every reason why this board cannot hold it.
pub(super) fn to_view(program: &Program, info: &BoardInfo) -> Result<LoadView, Error> {
    if info.kind() == BoardKind::Factored {
        return Err(Error::Unsupported {
            reasons: vec![format!(
                "profile {} has arrays in place of banks; program them by spu_driver::factored",
                info.profile
            )],
        });
    }
    let mut reasons = length_faults(program, info);
    if reasons.is_empty() {
        reasons = range_faults(program, info);
    }
    if reasons.is_empty() && !positive_definite(nominal(program, info)) {
        reasons.push(
            "its matrix of self terms and couplings is not positive definite; raise the self terms"
                .to_owned(),
        );
    }
    if !reasons.is_empty() {
        return Err(Error::Unsupported { reasons });
    }
    let mut view = LoadView::new(info.raw.kind, info.raw.cells)
        .ok_or_else(|| Error::Corrupt { what: format!("{} cells", info.cells) })?;
    let n = info.cells;
    view.self_codes[..n].copy_from_slice(&program.self_codes);
    view.coupling_codes[..info.couplings].copy_from_slice(&program.coupling_codes);
    view.gain_codes[..n].copy_from_slice(&program.gain_codes);
    view.bias_codes[..n].copy_from_slice(&program.bias_codes);
    if info.raw.storage_bits > 0 {
        view.header.flags |= LoadHeader::STORAGE;
        view.storage_codes[..n].copy_from_slice(&program.storage_codes);
    }
    if let Some(seeds) = &program.seeds {
        view.header.flags |= LoadHeader::RESEED;
        view.seeds[..n].copy_from_slice(seeds);
    }
    if program.discharge {
        view.header.flags |= LoadHeader::DISCHARGE;
    }
    Ok(view)
}

fn length_faults(program: &Program, info: &BoardInfo) -> Vec<String> {
    let (n, pairs) = (info.cells, info.couplings);
    let seeds = program.seeds.as_ref().map_or(n, Vec::len);
    let storage = if info.raw.storage_bits > 0 { n } else { 0 };
    [
        ("self codes", program.self_codes.len(), n),
        ("coupling codes", program.coupling_codes.len(), pairs),
        ("gain codes", program.gain_codes.len(), n),
        ("bias codes", program.bias_codes.len(), n),
        ("storage codes", program.storage_codes.len(), storage),
        ("seeds", seeds, n),
    ]
    .into_iter()
    .filter(|(_, found, needed)| found != needed)
    .map(|(name, found, needed)| format!("{found} {name} where the board takes {needed}"))
    .collect()
}

fn range_faults(program: &Program, info: &BoardInfo) -> Vec<String> {
    let raw = &info.raw;
    let mut reasons = Vec::new();
    let mut check = |what: String, code: i16, low: i16, high: i16| {
        if !(low..=high).contains(&code) {
            reasons.push(format!("{what} is {code}, outside {low} to {high}"));
        }
    };
    for (cell, code) in program.self_codes.iter().enumerate() {
        check(format!("self code of cell {cell}"), code.0, 0, bank_top(raw.self_bits));
    }
    let top = bank_top(raw.coupling_bits);
    let low = if raw.coupling_signed == 1 { -top } else { 0 };
    for (i, j) in pairs(info.cells) {
        let code = program.coupling_codes[info.pair(i, j)];
        check(format!("coupling code of cells {i} and {j}"), code.0, low, top);
    }
    for (cell, code) in program.storage_codes.iter().enumerate() {
        check(format!("storage code of cell {cell}"), code.0, 0, bank_top(raw.storage_bits));
    }
    let full = full_scale_code(raw.dac_bits);
    for (cell, code) in program.bias_codes.iter().enumerate() {
        check(format!("bias code of cell {cell}"), code.0, -full, full);
    }
    for (cell, seed) in program.seeds.iter().flatten().enumerate() {
        if *seed == [0; 4] {
            reasons.push(format!("seed of cell {cell} is all zero, from which no noise comes"));
        }
    }
    reasons
}

fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |i| (i + 1..n).map(move |j| (i, j)))
}

/// Nominal matrix of self terms and couplings, in farads or siemens.
fn nominal(program: &Program, info: &BoardInfo) -> Array2<f64> {
    let raw = &info.raw;
    let always = match info.kind() {
        BoardKind::Rc => 1.0 / f64::from(raw.r_ohm),
        BoardKind::Rlc | BoardKind::Factored => f64::from(raw.stray_farad),
    };
    let value = |code: CouplingCode, lsb: f32| f64::from(code.0) * f64::from(lsb);
    network(
        info.cells,
        |cell| value(program.self_codes[cell], raw.self_lsb_farad) + always,
        |pair| value(program.coupling_codes[pair], raw.coupling_lsb_farad),
    )
}

/// By Cholesky factorisation; a pivot below rounding error of its diagonal element counts as zero.
fn positive_definite(mut a: Array2<f64>) -> bool {
    let n = a.nrows();
    for k in 0..n {
        let diagonal = a[[k, k]];
        let pivot = diagonal - (0..k).map(|m| a[[k, m]] * a[[k, m]]).sum::<f64>();
        if pivot <= diagonal * 1e-12 {
            return false;
        }
        a[[k, k]] = pivot.sqrt();
        for i in k + 1..n {
            let dot: f64 = (0..k).map(|m| a[[i, m]] * a[[k, m]]).sum();
            a[[i, k]] = (a[[i, k]] - dot) / a[[k, k]];
        }
    }
    true
}

/// Compares what the board read back with what was sent, and says what is applied.
pub(super) fn applied(
    program: &Program,
    sent: &LoadView,
    back: &LoadView,
    info: &BoardInfo,
) -> Result<Applied, Error> {
    if let Some(what) = difference(sent, back, info) {
        return Err(Error::Corrupt { what: format!("{what}; run `spu selftest`") });
    }
    let unit = f64::from(info.raw.noise_rms_code) * f64::from(info.raw.dac_lsb_ampere);
    Ok(Applied {
        program: program.clone(),
        network: nominal(program, info),
        noise_rms_ampere: program.gain_codes.iter().map(|gain| gain.factor() * unit).collect(),
    })
}

fn difference(sent: &LoadView, back: &LoadView, info: &BoardInfo) -> Option<String> {
    fn first<T: PartialEq + std::fmt::Debug>(what: &str, sent: &[T], back: &[T]) -> Option<String> {
        let at = sent.iter().zip(back).position(|(sent, back)| sent != back)?;
        Some(format!("{what} {at} was set to {:?} but reads back {:?}", sent[at], back[at]))
    }
    if (sent.header.kind, sent.header.cells) != (back.header.kind, back.header.cells) {
        return Some("the program read back is for another kind or size of board".into());
    }
    let n = info.cells;
    let reseed = sent.header.flags & LoadHeader::RESEED != 0;
    first("self code", &sent.self_codes[..n], &back.self_codes[..n])
        .or_else(|| {
            let pairs = ..info.couplings;
            first("coupling code", &sent.coupling_codes[pairs], &back.coupling_codes[pairs])
        })
        .or_else(|| {
            let stored = if sent.header.flags & LoadHeader::STORAGE != 0 { n } else { 0 };
            first("storage code", &sent.storage_codes[..stored], &back.storage_codes[..stored])
        })
        .or_else(|| first("gain code", &sent.gain_codes[..n], &back.gain_codes[..n]))
        .or_else(|| first("bias code", &sent.bias_codes[..n], &back.bias_codes[..n]))
        .or_else(|| {
            reseed.then(|| first("noise seed", &sent.seeds[..n], &back.seeds[..n])).flatten()
        })
}
