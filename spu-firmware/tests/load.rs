//! Programs and raw registers: all or nothing, and only what the board has.
#![allow(missing_docs)]

mod common;

use common::fpga::Fpga;
use common::{Bench, block, program};
use spu_protocol::code::{CouplingCode, DacCode, GainCode};
use spu_protocol::error::ErrorCode;
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::{LoadHeader, LoadView};
use spu_protocol::regs::{self, control};

#[test]
fn a_program_reaches_the_registers_and_comes_back() {
    for (cells, word_bits) in [(8, 16), (8, 12), (3, 12), (1, 16)] {
        let mut bench = Bench::over(Fpga::new(cells, word_bits));
        let sent = program(cells as u16);
        assert_eq!(bench.load(&sent).unwrap(), sent);
        let fpga = bench.fpga();
        for cell in 0..cells {
            assert_eq!(fpga.word(regs::self_bank(cell)), cell as u32 + 1);
            assert_eq!(fpga.word(regs::noise_gain(cell)), 4096 + cell as u32);
            assert_eq!(fpga.word(regs::bias(cell)) as i32, -(cell as i32) - 1);
            let seed = [0, 1, 2, 3].map(|word| fpga.word(regs::noise_seed(4 * cell + word)));
            assert_eq!(seed, [cell as u32 + 1, 2, 3, 0x8000_0000]);
        }
        for pair in 0..cells * (cells - 1) / 2 {
            let code = i32::from(sent.coupling_codes[pair].0);
            assert_eq!(fpga.word(regs::coupling_bank(pair)) as i32, code);
        }
        let strobes = control::APPLY | control::RESEED | control::DISCHARGE;
        assert_eq!(fpga.writes.last(), Some(&(regs::CONTROL, strobes)), "applied last");
        assert_eq!(fpga.written(regs::CONTROL).len(), 1);
    }
}

#[test]
fn without_its_flags_neither_seeds_nor_discharge() {
    let mut bench = Bench::new();
    bench.load(&program(8)).unwrap();
    bench.fpga().forget_writes();
    let mut sent = program(8);
    sent.header.flags = 0;
    sent.seeds = [[0; 4]; 8];
    assert_eq!(bench.load(&sent).unwrap(), sent);
    assert!(bench.fpga().written(regs::noise_seed(0)).is_empty());
    assert_eq!(bench.fpga().written(regs::CONTROL), [control::APPLY]);
}

#[test]
fn the_reply_is_what_the_board_holds() {
    let mut bench = Bench::new();
    bench.fpga().faults.bank_low = 1;
    let applied = bench.load(&program(8)).unwrap();
    let codes: Vec<i16> = applied.self_codes.iter().map(|code| code.0).collect();
    assert_eq!(codes, [0, 2, 2, 4, 4, 6, 6, 8]);
}

/// Every way in which a code can be outside its range, with its place among all codes.
#[test]
fn an_invalid_code_changes_nothing() {
    type Change = fn(&mut LoadView);
    let cases: [(Change, u16); 12] = [
        (|p| p.self_codes[0] = CouplingCode(-1), 0),
        (|p| p.self_codes[7] = CouplingCode(16), 7),
        (|p| p.self_codes[3] = CouplingCode(i16::MAX), 3),
        (|p| p.coupling_codes[0] = CouplingCode(64), 8),
        (|p| p.coupling_codes[27] = CouplingCode(-64), 35),
        (|p| p.coupling_codes[5] = CouplingCode(i16::MIN), 13),
        (|p| p.bias_codes[0] = DacCode(8192), 44),
        (|p| p.bias_codes[7] = DacCode(-8192), 51),
        (|p| p.bias_codes[1] = DacCode(i16::MIN), 45),
        (|p| p.seeds[0] = [0; 4], 52),
        (|p| p.seeds[7] = [0; 4], 59),
        // The first of several counts.
        (
            |p| {
                p.seeds[7] = [0; 4];
                p.coupling_codes[1] = CouplingCode(100);
            },
            9,
        ),
    ];
    for (change, index) in cases {
        let mut bench = Bench::new();
        let mut bad = program(8);
        change(&mut bad);
        assert_eq!(bench.load(&bad), Err((ErrorCode::OutOfRange, index)));
        assert!(bench.fpga().writes.is_empty(), "{index}");
    }
}

#[test]
fn the_ends_of_the_ranges_are_inside() {
    let mut bench = Bench::new();
    let mut sent = program(8);
    sent.self_codes[0] = CouplingCode(15);
    sent.self_codes[1] = CouplingCode(0);
    sent.coupling_codes[0] = CouplingCode(63);
    sent.coupling_codes[1] = CouplingCode(-63);
    sent.gain_codes[0] = GainCode(u16::MAX);
    sent.bias_codes[0] = DacCode(8191);
    sent.bias_codes[1] = DacCode(-8191);
    assert_eq!(bench.load(&sent).unwrap(), sent);
}

#[test]
fn a_board_without_signs_refuses_negative_couplings() {
    let mut fpga = Fpga::new(8, 16);
    fpga.set_word(regs::BANKS, 4 | 6 << 8);
    let mut bench = Bench::over(fpga);
    assert_eq!(bench.load(&program(8)), Err((ErrorCode::OutOfRange, 9)));
    assert!(bench.fpga().writes.is_empty());
}

#[test]
fn malformed_programs_and_those_for_other_boards_change_nothing() {
    let mut bench = Bench::new();
    let good = block(&program(8));
    for length in 0..good.len() {
        let refused = bench.request(Opcode::Load, &good[..length]);
        assert_eq!(refused, Err((ErrorCode::BadPayload, 0)), "{length}");
    }
    let long = [&good[..], &[0]].concat();
    assert_eq!(bench.request(Opcode::Load, &long), Err((ErrorCode::BadPayload, 0)));
    for (offset, value, code) in [
        (0, 2_u16, ErrorCode::WrongBoard),
        (2, 7, ErrorCode::WrongBoard),
        (2, 0, ErrorCode::WrongBoard),
        (2, 0xFFFF, ErrorCode::WrongBoard),
        (4, 27, ErrorCode::BadPayload),
        (4, 0xFFFF, ErrorCode::BadPayload),
        (6, 4 | LoadHeader::RESEED, ErrorCode::BadPayload),
        (6, LoadHeader::DISCHARGE, ErrorCode::BadPayload),
    ] {
        let mut bad = good.clone();
        bad[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
        assert_eq!(bench.request(Opcode::Load, &bad), Err((code, 0)), "{offset} {value}");
    }
    assert_eq!(bench.load(&program(7)), Err((ErrorCode::WrongBoard, 0)));
    assert!(bench.fpga().writes.is_empty());
}

#[test]
fn registers_are_read_and_written_in_runs() {
    let mut bench = Bench::new();
    bench.write_regs(regs::scratch(0), &[1, 2, 3, 0xFFFF_FFFF]).unwrap();
    assert_eq!(bench.read_regs(regs::scratch(0), 4).unwrap(), [1, 2, 3, 0xFFFF_FFFF]);
    assert_eq!(bench.read_regs(regs::MAGIC, 1).unwrap(), [regs::MAGIC_VALUE]);
    // Longer than one write transaction.
    let seeds: Vec<u32> = (1..=32).collect();
    bench.write_regs(regs::noise_seed(0), &seeds).unwrap();
    assert_eq!(bench.read_regs(regs::noise_seed(0), 32).unwrap(), seeds);
    assert_eq!(bench.read_regs(regs::product(0), 72).unwrap(), [0; 72]);
}

#[test]
fn registers_that_the_board_has_not_are_refused() {
    let mut bench = Bench::over(Fpga::new(3, 12));
    let bad = |address| Err((ErrorCode::BadAddress, address));
    for (address, count, wrong) in [
        (1, 1, 1),
        (0x7C, 1, 0x7C),
        (regs::self_bank(3), 1, regs::self_bank(3)),
        (regs::self_bank(0), 4, regs::self_bank(3)),
        (regs::coupling_bank(0), 4, regs::coupling_bank(3)),
        (regs::CONTROL, 1, regs::CONTROL),
        (regs::FIFO, 1, regs::FIFO),
        (0x7FFC, 1, 0x7FFC),
        (regs::BULK, 1, regs::BULK),
        (0xFFFC, 1, 0xFFFC),
    ] {
        assert_eq!(bench.read_regs(address, count).map(|_| ()), bad(wrong));
    }
    bench.fpga().forget_writes();
    for (address, wrong) in [
        (regs::MAGIC, regs::MAGIC),
        (regs::scratch(2), 0x90),
        (regs::STATUS, regs::STATUS),
        (regs::sum(0), regs::sum(0)),
        (regs::noise_gain(1), regs::noise_gain(3)),
        (regs::FIFO, regs::FIFO),
    ] {
        assert_eq!(bench.write_regs(address, &[1, 2, 3]), bad(wrong));
    }
    assert!(bench.fpga().writes.is_empty());
}

#[test]
fn malformed_register_requests_are_refused() {
    let mut bench = Bench::new();
    let header = |address: u16, count: u16| [address.to_le_bytes(), count.to_le_bytes()].concat();
    let scratch = regs::scratch(0);
    for payload in [
        vec![],
        vec![0; 3],
        header(scratch, 0),
        header(scratch, 129),
        header(scratch, u16::MAX),
        [&header(scratch, 1)[..], &[0; 3]].concat(),
    ] {
        for opcode in [Opcode::ReadRegs, Opcode::WriteRegs] {
            let refused = bench.request(opcode, &payload);
            assert_eq!(refused, Err((ErrorCode::BadPayload, 0)), "{payload:?}");
        }
    }
    for payload in [
        header(scratch, 1),
        [&header(scratch, 1)[..], &[0; 8]].concat(),
        [&header(scratch, 2)[..], &[0; 4]].concat(),
        [&header(scratch, 1)[..], &[0; 4092]].concat(),
    ] {
        let refused = bench.request(Opcode::WriteRegs, &payload);
        assert_eq!(refused, Err((ErrorCode::BadPayload, 0)), "{payload:?}");
    }
    assert!(bench.fpga().writes.is_empty());
}

#[test]
fn ticks_are_read_in_one_piece() {
    let mut bench = Bench::new();
    bench.fpga().ticks = 0x5_8000_0001;
    assert_eq!(bench.read_regs(regs::TICKS_LO, 2).unwrap(), [0x8000_0001, 5]);
    bench.fpga().ticks = 0x6_0000_0000;
    assert_eq!(bench.read_regs(regs::TICKS_HI, 1).unwrap(), [6], "not that of the last look");
}

/// A program of an RC board.
fn rc_program(cells: u16) -> LoadView {
    let mut view =
        LoadView { header: LoadHeader { kind: 2, ..program(cells).header }, ..program(cells) };
    view.header.flags |= LoadHeader::STORAGE;
    for (cell, code) in view.storage_codes[..usize::from(cells)].iter_mut().enumerate() {
        *code = CouplingCode(255 - cell as i16);
    }
    view
}

#[test]
fn storage_codes_reach_the_registers_and_come_back() {
    for cells in [1, 3, 8] {
        let mut bench = Bench::over(Fpga::new(cells, 12).rc());
        let sent = rc_program(cells as u16);
        assert_eq!(bench.load(&sent).unwrap(), sent);
        for cell in 0..cells {
            assert_eq!(bench.fpga().word(regs::storage(cell)), 255 - cell as u32);
        }
    }
}

#[test]
fn storage_codes_are_for_boards_that_have_them_and_in_range() {
    let refused = |bench: &mut Bench, sent: &LoadView, code, detail| {
        bench.fpga().forget_writes();
        assert_eq!(bench.load(sent), Err((code, detail)));
        assert!(bench.fpga().writes.is_empty());
    };
    let mut bench = Bench::over(Fpga::new(8, 12).rc());
    let mut bare = rc_program(8);
    bare.header.flags &= !LoadHeader::STORAGE;
    refused(&mut bench, &bare, ErrorCode::BadPayload, 0);
    for (cell, code) in [(0, -1), (7, 256)] {
        let mut beyond = rc_program(8);
        beyond.storage_codes[cell] = CouplingCode(code);
        refused(&mut bench, &beyond, ErrorCode::OutOfRange, 52 + cell as u16);
    }
    let mut unseeded = rc_program(8);
    unseeded.seeds[2] = [0; 4];
    refused(&mut bench, &unseeded, ErrorCode::OutOfRange, 62);

    let mut stored = program(8);
    stored.header.flags |= LoadHeader::STORAGE;
    refused(&mut Bench::new(), &stored, ErrorCode::BadPayload, 0);
}
