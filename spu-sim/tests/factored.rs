//! The factored array: its law, its converters, its tolerances, its noise.

#![allow(clippy::needless_range_loop, reason = "indices of matrices")]

use std::collections::BTreeSet;

use nalgebra::{DMatrix, DVector};
use spu_protocol::payload::BulkRequest;
use spu_protocol::payload::bulk::Region;
use spu_protocol::regs::{self, array_range, control, mode};
use spu_sim::{AnyAnalog, Array, Dispatch, Fpga, NonIdeality, Profile};

const SEED: u64 = 11;
/// A tick in units of RC: 1 / (12 MHz · 1 µs).
const TICK: f64 = 1.0 / 12.0;

fn profile(bits: u32, exact: bool) -> Profile {
    let profile = Profile::named(&format!("rc-factored-{bits}")).unwrap();
    let without = BTreeSet::from([NonIdeality::BankTolerance]);
    if exact { profile.without(&without) } else { profile }
}

fn board(profile: &Profile, dispatch: Dispatch) -> Fpga<AnyAnalog> {
    let parts = profile.array.as_ref().unwrap();
    let array = Array::new(profile, parts, SEED, 0, dispatch);
    Fpga::new(profile, 1, AnyAnalog::Array(Box::new(array)), dispatch).unwrap()
}

fn array(board: &Fpga<AnyAnalog>) -> &Array {
    board.converters().array().unwrap()
}

/// Writes rows of codes through the window, page by page.
fn write(board: &mut Fpga<AnyAnalog>, region: Region, rows: &[Vec<i16>]) {
    let mut word = 0;
    for row in rows {
        for pair in row.chunks(2) {
            let second = pair.get(1).copied().unwrap_or(0);
            let value =
                u32::from(pair[0].cast_unsigned()) | u32::from(second.cast_unsigned()) << 16;
            let page = ((region as u32) << 24) | (word / BulkRequest::PAGE_WORDS);
            board.write(regs::BULK_PAGE, page);
            board.write(regs::BULK + 4 * (word % BulkRequest::PAGE_WORDS) as u16, value);
            word += 1;
        }
    }
}

fn read(board: &mut Fpga<AnyAnalog>, region: Region, codes: usize) -> Vec<i16> {
    (0..codes as u32)
        .map(|code| {
            let word = code / 2;
            let page = ((region as u32) << 24) | (word / BulkRequest::PAGE_WORDS);
            board.write(regs::BULK_PAGE, page);
            let value = board.read(regs::BULK + 4 * (word % BulkRequest::PAGE_WORDS) as u16);
            (value >> (16 * (code % 2))) as i16
        })
        .collect()
}

/// Codes that repeat themselves nowhere.
fn codes(rows: usize, columns: usize, limit: f64) -> Vec<Vec<i16>> {
    let wave = |k: usize| (k as f64 * 0.7391 + (k * k % 89) as f64).sin();
    (0..rows)
        .map(|r| (0..columns).map(|n| (limit * wave(r * columns + n + 1)) as i16).collect())
        .collect()
}

struct Problem {
    rows: usize,
    columns: usize,
    damping: u32,
    j: Vec<Vec<i16>>,
    h: Vec<Vec<i16>>,
    input: Vec<i16>,
    initial: Vec<i16>,
}

impl Problem {
    fn new(rows: usize, columns: usize, limit: f64) -> Self {
        let mut h = codes(rows, rows, 0.2 * limit);
        for r in 0..rows {
            h[r][r] = (0.8 * limit) as i16;
            for s in 0..r {
                h[r][s] = h[s][r];
            }
        }
        let j = codes(rows, columns, limit);
        let one = |limit| codes(1, columns, limit).remove(0);
        Self { rows, columns, damping: 3000, j, h, input: one(300.0), initial: one(9000.0) }
    }

    fn load(&self, board: &mut Fpga<AnyAnalog>) {
        board.write(regs::ARRAY_ROWS, self.rows as u32);
        board.write(regs::ARRAY_COLUMNS, self.columns as u32);
        board.write(regs::ARRAY_DAMPING, self.damping);
        write(board, Region::J, &self.j);
        write(board, Region::H, &self.h);
        write(board, Region::Jt, &self.j);
        write(board, Region::Input, std::slice::from_ref(&self.input));
        write(board, Region::Initial, std::slice::from_ref(&self.initial));
        board.write(regs::CONTROL, control::APPLY | control::INITIALISE);
    }

    /// −(J₂ᵀ H J₁ + λ) with the array's own transmissions.
    fn drift(&self, array: &Array) -> DMatrix<f64> {
        let rows = |region, count, width| {
            let all: Vec<f64> = (0..count).flat_map(|row| array.row(region, row)).collect();
            DMatrix::from_row_slice(count, width, &all)
        };
        let j = rows(Region::J, self.rows, self.columns);
        let h = rows(Region::H, self.rows, self.rows);
        let jt = rows(Region::Jt, self.rows, self.columns);
        let damping = f64::from(self.damping) / 65_535.0;
        -(jt.transpose() * h * j + DMatrix::identity(self.columns, self.columns) * damping)
    }

    fn start(&self) -> DVector<f64> {
        volts(&self.initial)
    }
}

/// By the nominal LSB of both converters: 1 V at 32,767.
fn volts(codes: &[i16]) -> DVector<f64> {
    DVector::from_iterator(codes.len(), codes.iter().map(|code| f64::from(*code) / 32_767.0))
}

fn run(board: &mut Fpga<AnyAnalog>, ticks: u32) {
    board.write(regs::MODE, 0);
    board.write(regs::SETTLE, ticks - 1);
    board.write(regs::DECIMATION, 1);
    board.write(regs::COUNT, 1);
    board.write(regs::CONTROL, control::START);
    assert_eq!(board.advance(u64::MAX), u64::from(ticks));
}

/// exp of the matrix with the input beside it: the next voltages from voltages and a held input.
fn propagate(
    drift: &DMatrix<f64>,
    time: f64,
    start: &DVector<f64>,
    input: &DVector<f64>,
) -> DVector<f64> {
    let n = drift.nrows();
    let mut whole = DMatrix::zeros(2 * n, 2 * n);
    whole.view_mut((0, 0), (n, n)).copy_from(&(drift * time));
    whole.view_mut((0, n), (n, n)).copy_from(&(DMatrix::identity(n, n) * time));
    let exp = whole.exp();
    exp.view((0, 0), (n, n)) * start + exp.view((0, n), (n, n)) * input
}

#[test]
fn nodes_obey_the_law_of_their_own_resistors_at_every_tick() {
    // More columns than rows, fewer, and odd numbers of both.
    for (rows, columns, ticks) in [(3, 21, 1), (3, 21, 40), (9, 5, 300), (4, 8, 7)] {
        let profile = profile(12, false);
        let problem = Problem::new(rows, columns, 2047.0);
        let mut board = board(&profile, Dispatch::detect());
        problem.load(&mut board);
        let drift = problem.drift(array(&board));
        assert!((&drift - drift.transpose()).norm() > 1e-3 * drift.norm(), "tolerances show");
        run(&mut board, ticks);
        let input = volts(&problem.input);
        let expected = propagate(&drift, TICK * f64::from(ticks), &problem.start(), &input);
        let found = DVector::from_vec(array(&board).volts());
        let error = (&found - &expected).norm() / (expected.norm() + problem.start().norm());
        assert!(error < 1e-11, "{rows} x {columns}, {ticks} ticks: {error}");
        // What is read is that, rounded.
        let read = read(&mut board, Region::State, columns);
        for (code, volt) in read.iter().zip(&found) {
            assert!((f64::from(*code) - volt * 32_767.0).abs() <= 0.5 + 1e-9);
        }
    }
}

#[test]
fn pieces_of_a_run_give_the_bits_of_the_whole_and_so_does_every_instruction_set() {
    let problem = Problem::new(6, 37, 127.0);
    let measure = |dispatch: Dispatch, pieces: &[u64]| {
        let mut board = board(&profile(8, false), dispatch);
        problem.load(&mut board);
        board.write(regs::ARRAY_NOISE_GAIN, 4096);
        board.write(regs::ARRAY_RANGE, 4 << array_range::NOISE_SHIFT);
        board.write(regs::CONTROL, control::APPLY | control::RESEED);
        for (settle, value) in [(regs::SETTLE, 30), (regs::COUNT, 50), (regs::DECIMATION, 3)] {
            board.write(settle, value);
        }
        board.write(regs::MODE, mode::STREAM);
        board.write(regs::CONTROL, control::START);
        for piece in pieces {
            board.advance(*piece);
        }
        let mut frames = vec![0; 50 * 16];
        board.read_fifo(&mut frames);
        (frames, read(&mut board, Region::State, 37))
    };
    let whole = measure(Dispatch::detect(), &[u64::MAX]);
    // The first nodes' last frame is what is read at the end.
    let last: Vec<i16> = whole.0[49 * 16..]
        .chunks(2)
        .map(|octets| i16::from_be_bytes([octets[0], octets[1]]))
        .collect();
    assert_eq!(last[..], whole.1[..8]);
    assert!(whole.0.chunks(16).any(|frame| *frame != whole.0[..16]));
    assert_eq!(measure(Dispatch::scalar(), &[u64::MAX]).1, whole.1);
    let pieces = measure(Dispatch::detect(), &[1, 29, 1, 2, 64, u64::MAX]).1;
    // Noise is drawn tick by tick; sums over other pieces of time round differently, far below a code.
    for (piece, whole) in pieces.iter().zip(&whole.1) {
        assert!((piece - whole).abs() <= 1, "{piece} {whole}");
    }
}

#[test]
fn an_unstable_array_ends_at_the_rails() {
    let mut problem = Problem::new(2, 9, 127.0);
    // H negative definite: the drift grows.
    for r in 0..2 {
        problem.h[r] = vec![0; 2];
        problem.h[r][r] = -127;
    }
    let mut board = board(&profile(8, true), Dispatch::detect());
    problem.load(&mut board);
    run(&mut board, 2000);
    let codes = read(&mut board, Region::State, 9);
    assert!(codes.iter().all(|code| code.unsigned_abs() == 32_767), "{codes:?}");
}

#[test]
fn codes_are_cut_sizes_are_clamped_and_new_sizes_open_the_switches() {
    let mut board = board(&profile(4, true), Dispatch::detect());
    board.write(regs::ARRAY_ROWS, 5000);
    assert_eq!(board.read(regs::ARRAY_ROWS), 1024);
    board.write(regs::ARRAY_ROWS, 1);
    board.write(regs::ARRAY_COLUMNS, 3);
    write(&mut board, Region::J, &[vec![100, -100, 3]]);
    assert_eq!(read(&mut board, Region::J, 3), [7, -7, 3]);
    // The last word's upper half is padding; what is beyond the region is not there.
    write(&mut board, Region::Input, &[vec![1, 2, 3, 4, 5, 6]]);
    assert_eq!(read(&mut board, Region::Input, 6), [1, 2, 3, 4, 0, 0]);
    write(&mut board, Region::State, &[vec![9, 9, 9]]);
    assert_eq!(read(&mut board, Region::State, 3), [0, 0, 0]);
    board.write(regs::ARRAY_COLUMNS, 4);
    assert_eq!(read(&mut board, Region::J, 4), [0; 4]);
}

/// Tolerance: mean 0 and the profile's spread, other for each array and sign, the same for the
/// same board. 2 · 20,000 deviates; 6 σ of mean and variance, false alarms 4e-9.
#[test]
fn tolerances_are_as_stated_and_each_element_s_own() {
    let columns = 10_000;
    let mut board = board(&profile(16, false), Dispatch::detect());
    board.write(regs::ARRAY_ROWS, 2);
    board.write(regs::ARRAY_COLUMNS, columns as u32);
    let rows = vec![vec![30_000; columns], vec![-30_000; columns]];
    write(&mut board, Region::J, &rows);
    write(&mut board, Region::Jt, &rows);
    let deviates = |region, row| -> Vec<f64> {
        let nominal = if row == 0 { 30_000.0 / 32_767.0 } else { -30_000.0 / 32_767.0 };
        array(&board).row(region, row).iter().map(|w| (w / nominal - 1.0) / 0.01).collect()
    };
    let draws: Vec<Vec<f64>> = [(Region::J, 0), (Region::J, 1), (Region::Jt, 0), (Region::Jt, 1)]
        .map(|(region, row)| deviates(region, row))
        .to_vec();
    let n = columns as f64;
    for (i, a) in draws.iter().enumerate() {
        let mean = a.iter().sum::<f64>() / n;
        let variance = a.iter().map(|x| x * x).sum::<f64>() / n;
        assert!(mean.abs() < 6.0 / n.sqrt(), "{i}: mean {mean}");
        assert!((variance - 1.0).abs() < 6.0 * (2.0 / n).sqrt(), "{i}: variance {variance}");
        for b in &draws[..i] {
            let product = a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / n;
            assert!(product.abs() < 6.0 / n.sqrt(), "{i}: {product}");
        }
    }
}
