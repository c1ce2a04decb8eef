//! The operation `Load`: check everything, then write, apply and read back.

use spu_protocol::code::{CouplingCode, DacCode, GainCode, full_scale_code};
use spu_protocol::error::ErrorCode;
use spu_protocol::payload::info::BoardKind;
use spu_protocol::payload::load::{MAX_CELLS, MAX_COUPLINGS};
use spu_protocol::payload::{LoadHeader, LoadView, Writer, split};
use spu_protocol::regs::{self, control};

use crate::board::{Board, BoardError};
use crate::identity::Identity;
use crate::refusal::Refusal;

/// Words of the longest register array that a program sets.
const MAX_WORDS: usize = MAX_CELLS * 4;
const _: () = assert!(MAX_WORDS >= MAX_COUPLINGS);

/// Sets the program in `payload` and writes what was applied to `out`.
///
/// Nothing is written to the board unless the whole program is valid. Refuses with
/// [`ErrorCode::BadPayload`] (lengths or flags), [`ErrorCode::WrongBoard`] (kind or cells), and
/// [`ErrorCode::Unsupported`] (a factored board has no banks) and [`ErrorCode::OutOfRange`], detail: the code's index in the block's order (self terms,
/// couplings, gains, biases, storage if there is any, then cells with an all-zero seed).
pub(crate) fn load(
    board: &mut impl Board,
    identity: &Identity,
    payload: &[u8],
    out: &mut Writer<'_>,
) -> Result<(), Refusal> {
    if identity.info.kind == BoardKind::Factored as u16 {
        return Err(ErrorCode::Unsupported.into());
    }
    let (header, _) = split::<LoadHeader>(payload).ok_or(ErrorCode::BadPayload)?;
    if header.kind != identity.info.kind || header.cells != identity.info.cells {
        return Err(ErrorCode::WrongBoard.into());
    }
    let stored = header.flags & LoadHeader::STORAGE != 0;
    if header.flags & !LoadHeader::FLAGS != 0 || stored != (identity.info.storage_bits > 0) {
        return Err(ErrorCode::BadPayload.into());
    }
    let mut program = LoadView::parse(payload).ok_or(ErrorCode::BadPayload)?;
    if let Some(index) = out_of_range(&program, identity) {
        return Err(Refusal::new(ErrorCode::OutOfRange, index as u16));
    }
    write(board, &program)?;
    board.write_regs(regs::CONTROL, &[strobes(header.flags)])?;
    read_back(board, &mut program)?;
    program.write(out);
    Ok(())
}

/// Control strobes that make a program active.
const fn strobes(flags: u16) -> u32 {
    let reseed = if flags & LoadHeader::RESEED != 0 { control::RESEED } else { 0 };
    let discharge = if flags & LoadHeader::DISCHARGE != 0 { control::DISCHARGE } else { 0 };
    control::APPLY | reseed | discharge
}

/// The first `count` elements, or all if there are fewer.
fn head<T>(slice: &[T], count: usize) -> &[T] {
    slice.get(..count).unwrap_or(slice)
}

/// The first `count` elements, or all if there are fewer.
fn head_mut<T>(slice: &mut [T], count: usize) -> &mut [T] {
    let count = count.min(slice.len());
    slice.split_at_mut(count).0
}

/// Index of the first code that the board cannot hold.
fn out_of_range(program: &LoadView, identity: &Identity) -> Option<usize> {
    let cells = usize::from(program.header.cells);
    let couplings = usize::from(program.header.couplings);
    let largest =
        |bits: u8| 1_i16.checked_shl(u32::from(bits)).map_or(i16::MAX, |top| top.wrapping_sub(1));
    let self_max = largest(identity.info.self_bits);
    let coupling_max = largest(identity.info.coupling_bits);
    let coupling_min =
        if identity.info.coupling_signed == 0 { 0 } else { coupling_max.saturating_neg() };
    let bias_max = full_scale_code(identity.info.dac_bits);

    let selves =
        head(&program.self_codes, cells).iter().map(|code| (0..=self_max).contains(&code.0));
    let pairs = head(&program.coupling_codes, couplings)
        .iter()
        .map(|code| (coupling_min..=coupling_max).contains(&code.0));
    // Every gain fits its register.
    let gains = head(&program.gain_codes, cells).iter().map(|_| true);
    let biases = head(&program.bias_codes, cells)
        .iter()
        .map(|code| (bias_max.saturating_neg()..=bias_max).contains(&code.0));
    let storage_max = largest(identity.info.storage_bits);
    let stored = if identity.info.storage_bits > 0 { cells } else { 0 };
    let storage =
        head(&program.storage_codes, stored).iter().map(|code| (0..=storage_max).contains(&code.0));
    let seeded = program.header.flags & LoadHeader::RESEED != 0;
    // xoshiro never leaves the all-zero state.
    let seeds = head(&program.seeds, cells).iter().map(|seed| !seeded || *seed != [0; 4]);
    selves
        .chain(pairs)
        .chain(gains)
        .chain(biases)
        .chain(storage)
        .chain(seeds)
        .position(|holds| !holds)
}

/// Writes the program's registers, without making them active.
fn write(board: &mut impl Board, program: &LoadView) -> Result<(), BoardError> {
    let cells = usize::from(program.header.cells);
    let couplings = usize::from(program.header.couplings);
    let signed = |code: i16| i32::from(code).cast_unsigned();
    let selves = head(&program.self_codes, cells).iter().map(|code| signed(code.0));
    put(board, regs::self_bank(0), selves)?;
    let pairs = head(&program.coupling_codes, couplings).iter().map(|code| signed(code.0));
    put(board, regs::coupling_bank(0), pairs)?;
    let gains = head(&program.gain_codes, cells).iter().map(|code| u32::from(code.0));
    put(board, regs::noise_gain(0), gains)?;
    let biases = head(&program.bias_codes, cells).iter().map(|code| signed(code.0));
    put(board, regs::bias(0), biases)?;
    if program.header.flags & LoadHeader::STORAGE != 0 {
        let storage = head(&program.storage_codes, cells).iter().map(|code| signed(code.0));
        put(board, regs::storage(0), storage)?;
    }
    if program.header.flags & LoadHeader::RESEED != 0 {
        let seeds = head(&program.seeds, cells).as_flattened().iter().copied();
        put(board, regs::noise_seed(0), seeds)?;
    }
    Ok(())
}

/// Replaces the program's codes by what the registers hold.
fn read_back(board: &mut impl Board, program: &mut LoadView) -> Result<(), BoardError> {
    let cells = usize::from(program.header.cells);
    let couplings = usize::from(program.header.couplings);
    let signed = |word: u32| word as i16;
    let selves = head_mut(&mut program.self_codes, cells);
    get(board, regs::self_bank(0), selves, |word| CouplingCode(signed(word)))?;
    let pairs = head_mut(&mut program.coupling_codes, couplings);
    get(board, regs::coupling_bank(0), pairs, |word| CouplingCode(signed(word)))?;
    let gains = head_mut(&mut program.gain_codes, cells);
    get(board, regs::noise_gain(0), gains, |word| GainCode(word as u16))?;
    let biases = head_mut(&mut program.bias_codes, cells);
    get(board, regs::bias(0), biases, |word| DacCode(signed(word)))?;
    if program.header.flags & LoadHeader::STORAGE != 0 {
        let storage = head_mut(&mut program.storage_codes, cells);
        get(board, regs::storage(0), storage, |word| CouplingCode(signed(word)))?;
    }
    if program.header.flags & LoadHeader::RESEED != 0 {
        let seeds = head_mut(&mut program.seeds, cells).as_flattened_mut();
        board.read_regs(regs::noise_seed(0), seeds)?;
    }
    Ok(())
}

/// Writes one array.
fn put(
    board: &mut impl Board,
    address: u16,
    values: impl Iterator<Item = u32>,
) -> Result<(), BoardError> {
    let mut words = [0; MAX_WORDS];
    let mut count = 0_usize;
    for (word, value) in words.iter_mut().zip(values) {
        *word = value;
        count = count.saturating_add(1);
    }
    match head(&words, count) {
        [] => Ok(()),
        words => board.write_regs(address, words),
    }
}

/// Reads one array.
fn get<T>(
    board: &mut impl Board,
    address: u16,
    into: &mut [T],
    code: impl Fn(u32) -> T,
) -> Result<(), BoardError> {
    let mut words = [0; MAX_WORDS];
    let words = head_mut(&mut words, into.len());
    if words.is_empty() {
        return Ok(());
    }
    board.read_regs(address, words)?;
    for (to, word) in into.iter_mut().zip(words) {
        *to = code(*word);
    }
    Ok(())
}
