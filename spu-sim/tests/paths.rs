//! The three outputs of the digital data path agree bit for bit, whatever the bus does meanwhile.

use spu_protocol::code::AdcCode;
use spu_protocol::regs::{self, control, mode, status};
use spu_sim::profile::CELL_NAMES;
use spu_sim::{Analog, Dispatch, Fpga, LANES, Profile};

mod common;

use common::{drain, fpga, moments, start};

const SETTLE: u32 = 777;

/// A streamed run, drained after each `quantum` ticks.
fn stream(
    fpga: &mut Fpga<Analog>,
    profile: &str,
    decimation: u32,
    count: u32,
    quantum: u64,
) -> Vec<AdcCode> {
    let format = common::format(&Profile::named(profile).unwrap());
    start(fpga, mode::STREAM | mode::MOMENTS, SETTLE, decimation, count);
    let mut codes = Vec::new();
    for _ in 0..1_000_000 {
        fpga.advance(quantum);
        drain(fpga, &format, &mut codes);
        if fpga.read(regs::STATUS) & status::STATE_MASK == status::STATE_DONE {
            break;
        }
    }
    assert_eq!(fpga.read(regs::LOST), 0);
    assert_eq!(fpga.read(regs::KEPT), count);
    let ticks = u64::from(SETTLE) + u64::from(count - 1) * u64::from(decimation) + 1;
    assert_eq!(u64::from(fpga.read(regs::TICKS_LO)), ticks);
    codes
}

fn sums(codes: &[AdcCode]) -> (Vec<i64>, Vec<i64>) {
    let frames = || codes.chunks_exact(LANES);
    let code = |frame: &[AdcCode], cell: usize| i64::from(frame[cell].0);
    let pairs = (0..LANES).flat_map(|i| (i..LANES).map(move |j| (i, j)));
    (
        (0..LANES).map(|cell| frames().map(|frame| code(frame, cell)).sum()).collect(),
        pairs.map(|(i, j)| frames().map(|frame| code(frame, i) * code(frame, j)).sum()).collect(),
    )
}

#[test]
fn raw_decimated_and_moments_agree() {
    for profile in common::RLC {
        for decimation in [1, 2, 7, 64, 100] {
            let count = 20_000 / decimation;
            let mut board = fpga(profile, 3, Dispatch::detect());
            let raw = stream(&mut board, profile, 1, count * decimation, 1 << 20);
            let mut board = fpga(profile, 3, Dispatch::detect());
            let kept = stream(&mut board, profile, decimation, count, 1 << 20);
            let expected: Vec<AdcCode> =
                raw.chunks_exact(LANES).step_by(decimation as usize).flatten().copied().collect();
            assert_eq!(kept, expected, "{profile}, D = {decimation}");
            assert_eq!(moments(&mut board), sums(&kept));
            // Moments do not need the stream.
            let mut board = fpga(profile, 3, Dispatch::detect());
            start(&mut board, mode::MOMENTS, SETTLE, decimation, count);
            board.advance(u64::MAX);
            assert_eq!(moments(&mut board), sums(&kept));
            assert_eq!(board.read(regs::FIFO_FRAMES), 0);
            // The signal is neither absent nor cut off.
            assert!(kept.iter().any(|code| code.0 != kept[0].0));
            assert!((0..LANES).all(|cell| board.read(regs::saturated(cell)) == 0));
        }
    }
}

#[test]
fn stalls_and_pieces_change_nothing() {
    for profile in CELL_NAMES {
        let run =
            |quantum| stream(&mut fpga(profile, 5, Dispatch::detect()), profile, 3, 9_000, quantum);
        let whole = run(u64::MAX);
        for quantum in [1_000_000, 4_099, 257, 63] {
            assert_eq!(run(quantum), whole, "{profile}, quantum {quantum}");
        }
    }
}

#[test]
fn a_full_memory_stalls_the_tick_and_says_so() {
    let mut board = fpga("rev-a", 5, Dispatch::detect());
    let capacity = board.read(regs::CAPTURE_FRAMES);
    start(&mut board, mode::STREAM, 10, 2, capacity + 5);
    // Settling, the kept ticks that fit, and the ticks between them and the next.
    assert_eq!(board.advance(1 << 30), 10 + 2 * u64::from(capacity));
    assert_eq!(board.advance(1 << 30), 0);
    let word = board.read(regs::STATUS);
    assert_eq!(word & status::STATE_MASK, status::STATE_ACQUIRE);
    assert_ne!(word & status::STALLED, 0);
    assert_eq!((board.read(regs::KEPT), board.read(regs::LOST)), (capacity, 0));
    let mut frame = [0; 12];
    board.read_fifo(&mut frame);
    assert_eq!(board.read(regs::STATUS) & status::STALLED, 0);
    assert_eq!(board.advance(1 << 30), 2);
}

#[test]
fn realtime_loses_frames_and_counts_them() {
    let mut board = fpga("rev-b", 5, Dispatch::detect());
    let capacity = board.read(regs::CAPTURE_FRAMES);
    start(&mut board, mode::STREAM | mode::REALTIME | mode::MOMENTS, 0, 1, capacity + 100);
    assert_eq!(board.advance(u64::MAX), u64::from(capacity) + 100);
    assert_eq!((board.read(regs::KEPT), board.read(regs::LOST)), (capacity + 100, 100));
    assert_ne!(board.read(regs::STATUS) & status::OVERRUN, 0);
    // The moments have every kept tick, lost or not.
    let with_losses = moments(&mut board);
    let mut board = fpga("rev-b", 5, Dispatch::detect());
    start(&mut board, mode::MOMENTS, 0, 1, capacity + 100);
    board.advance(u64::MAX);
    assert_eq!(moments(&mut board), with_losses);
}

#[test]
fn a_later_run_goes_on_where_the_last_one_stopped() {
    let run = |board: &mut Fpga<Analog>, count| {
        let format = common::format(&Profile::named("rev-b").unwrap());
        start(board, mode::STREAM, 0, 1, count);
        board.advance(u64::MAX);
        let mut codes = Vec::new();
        drain(board, &format, &mut codes);
        codes
    };
    let whole = run(&mut fpga("rev-b", 5, Dispatch::detect()), 3_000);
    let mut board = fpga("rev-b", 5, Dispatch::detect());
    let mut parts = run(&mut board, 1_234);
    parts.extend(run(&mut board, 3_000 - 1_234));
    assert_eq!(parts, whole);
}

#[test]
fn every_instruction_set_and_both_recursions_give_the_same_codes() {
    let instructions = |profile: &str, dense: bool, dispatch| {
        let profile = Profile::named(profile).unwrap();
        let analog = Analog::new(profile.clone(), 9, 2, dispatch);
        let analog = if dense { analog.dense() } else { analog };
        let mut board = Fpga::new(&profile, 1, analog, dispatch).unwrap();
        common::program(&mut board, &common::sample_codes(&profile));
        start(&mut board, mode::STREAM | mode::MOMENTS, 0, 1, 4_000);
        board.advance(u64::MAX);
        let mut codes = Vec::new();
        drain(&mut board, &common::format(&profile), &mut codes);
        (codes, moments(&mut board))
    };
    for profile in CELL_NAMES {
        for dense in [false, true] {
            let fast = instructions(profile, dense, Dispatch::detect());
            assert_eq!(instructions(profile, dense, Dispatch::scalar()), fast, "{profile}");
        }
        // Modes and matrix round differently, so a code may differ by one where the voltage is
        // within 1e-10 of the step between two: not once in these 32,000 codes.
        let modal = instructions(profile, false, Dispatch::detect());
        assert_eq!(instructions(profile, true, Dispatch::detect()), modal, "{profile}");
    }
}

#[test]
fn the_pattern_is_what_the_register_map_says() {
    for profile in CELL_NAMES {
        let mut board = fpga(profile, 3, Dispatch::detect());
        let shipped = Profile::named(profile).unwrap();
        let bits = u32::from(shipped.adc_bits());
        start(&mut board, mode::STREAM | mode::PATTERN | mode::MOMENTS, 3, 2, 3_000);
        board.advance(u64::MAX);
        let mut codes = Vec::new();
        drain(&mut board, &common::format(&shipped), &mut codes);
        for (index, code) in codes.iter().enumerate() {
            let low = index as i32 & ((1 << bits) - 1);
            let value = if low >= 1 << (bits - 1) { low - (1 << bits) } else { low };
            let expected = value.max(1 - (1 << (bits - 1)));
            assert_eq!(i32::from(code.0), expected, "{profile}, {index}");
        }
        assert_eq!(moments(&mut board), sums(&codes));
    }
}

#[test]
fn saturation_is_counted_and_flagged() {
    let mut board = fpga("rev-b", 3, Dispatch::detect());
    for cell in 0..LANES {
        board.write(regs::noise_gain(cell), 65_535);
    }
    board.write(regs::CONTROL, control::APPLY);
    start(&mut board, mode::STREAM, 100, 1, 4_000);
    board.advance(u64::MAX);
    let format = common::format(&Profile::named("rev-b").unwrap());
    let mut octets = vec![0; 4_000 * format.frame_octets()];
    board.read_fifo(&mut octets);
    let (mut codes, mut flags) = (vec![AdcCode(0); 32_000], vec![0; 32_000]);
    format.unpack(&octets, &mut codes).unwrap();
    format.unpack_control(&octets, &mut flags).unwrap();
    for cell in 0..LANES {
        let at_end = |k: &usize| codes[k * LANES + cell].0.abs() == 8191;
        let count = (0..4_000).filter(at_end).count() as u32;
        assert!(count > 0);
        assert_eq!(board.read(regs::saturated(cell)), count);
    }
    assert!(codes.iter().zip(&flags).all(|(code, flag)| (code.0.abs() == 8191) == (*flag == 1)));
    // The converter's range is symmetric.
    assert!(codes.iter().all(|code| code.0 >= -8191));
}

#[test]
fn registers_hold_what_the_board_can() {
    let mut rev_a = fpga("rev-a", 3, Dispatch::detect());
    let mut rev_b = fpga("rev-b", 3, Dispatch::detect());
    for (revision, address, written, read) in [
        ('a', regs::self_bank(0), 99, 15),
        ('a', regs::self_bank(8), 5, 0),
        ('a', regs::coupling_bank(27), u32::MAX, 0),
        ('b', regs::coupling_bank(27), u32::MAX, u32::MAX),
        ('b', regs::coupling_bank(0), -400_i32 as u32, -255_i32 as u32),
        ('b', regs::coupling_bank(28), 7, 0),
        ('b', regs::noise_gain(3), 70_000, 65_535),
        ('b', regs::bias(3), -9_000_i32 as u32, -8191_i32 as u32),
        ('b', regs::MODE, u32::MAX, 0xF),
        ('b', regs::MAGIC, 1, regs::MAGIC_VALUE),
        ('b', regs::scratch(3), 0xDEAD_BEEF, 0xDEAD_BEEF),
        ('b', regs::BULK, 5, 0),
        ('b', 0x7001, 5, 0),
        ('b', 0xFFFC, 5, 0),
    ] {
        let board = if revision == 'a' { &mut rev_a } else { &mut rev_b };
        board.write(address, written);
        assert_eq!(board.read(address), read, "{address:#06x}");
    }
    rev_b.write(regs::CONTROL, control::SOFT_RESET);
    assert_eq!(rev_b.read(regs::scratch(3)), 0);
    assert_eq!(rev_b.read(regs::STATUS) & status::STATE_MASK, status::STATE_IDLE);
}

#[test]
fn abort_keeps_what_was_measured() {
    let mut board = fpga("rev-a", 3, Dispatch::detect());
    start(&mut board, mode::MOMENTS, 10, 1, 1_000_000);
    assert_eq!(board.read(regs::STATUS) & status::STATE_MASK, status::STATE_SETTLE);
    board.advance(5_010);
    board.write(regs::CONTROL, control::ABORT);
    assert_eq!(board.read(regs::STATUS) & status::STATE_MASK, status::STATE_ABORTED);
    assert_eq!((board.read(regs::KEPT), board.advance(100)), (5_000, 0));
    let measured = moments(&mut board);
    let mut board = fpga("rev-a", 3, Dispatch::detect());
    start(&mut board, mode::MOMENTS, 10, 1, 5_000);
    board.advance(u64::MAX);
    assert_eq!(moments(&mut board), measured);
}
