//! The on-board tests: they pass on a sound board, find planted faults, and leave no trace.
#![allow(missing_docs)]

mod common;

use common::fpga::Fpga;
use common::{Bench, moments, program};
use spu_protocol::error::ErrorCode;
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::acquire::State;
use spu_protocol::payload::{SelfTestReply, exact};
use spu_protocol::regs::{self, control};

fn self_test(bench: &mut Bench, level: u32) -> Result<SelfTestReply, common::Refused> {
    let reply = bench.request(Opcode::SelfTest, &level.to_le_bytes())?;
    Ok(exact(&reply).unwrap())
}

/// All registers that a program or a plan sets.
fn settings(bench: &mut Bench) -> Vec<u32> {
    let fpga = bench.fpga();
    (regs::MODE..=regs::COUNT)
        .chain(regs::self_bank(0)..regs::noise_seed(0) + 4 * regs::NOISE_SEED_LEN as u16)
        .step_by(4)
        .chain((0..4).map(regs::scratch))
        .map(|address| fpga.word(address))
        .collect()
}

#[test]
fn a_sound_board_passes_and_keeps_its_settings() {
    for (cells, word_bits) in [(8, 16), (8, 12), (3, 12), (1, 16)] {
        for level in 0..=2 {
            let mut bench = Bench::over(Fpga::new(cells, word_bits));
            bench.fpga().quantum = 500;
            bench.load(&program(cells as u16)).unwrap();
            bench.write_regs(regs::scratch(0), &[9, 8, 7, 6]).unwrap();
            bench.acquire(moments(20)).unwrap();
            bench.poll(100);
            let before = settings(&mut bench);
            bench.fpga().forget_writes();
            let report = self_test(&mut bench, level).unwrap();
            let ran = [0b111, 0b1_1111, 0b11_1111][level as usize];
            let expected = SelfTestReply { ran, failed: 0, expected: 0, found: 0 };
            assert_eq!(report, expected, "{cells} cells, N' {word_bits}, level {level}");
            assert_eq!(settings(&mut bench), before);
            assert_eq!(bench.fpga().fifo_frames(), 0);
            if level < 2 {
                let applied = bench.fpga().written(regs::CONTROL);
                assert!(applied.iter().all(|word| word & control::APPLY == 0), "not analog");
            } else {
                let last = control::APPLY | control::DISCHARGE;
                assert_eq!(bench.fpga().writes.last(), Some(&(regs::CONTROL, last)));
            }
            // Its counters are not an acquisition's.
            assert_eq!(bench.status().status.state, State::Idle as u8);
            bench.acquire(moments(20)).unwrap();
            assert_eq!(common::ends(&bench.poll(100))[0].status.kept, 20);
        }
    }
}

/// Each planted fault is found by its own test and no other.
#[test]
fn each_fault_is_found_by_its_test() {
    type Plant = fn(&mut Fpga);
    let faults: [(Plant, u32); 7] = [
        (|fpga| fpga.set_word(regs::SERIAL_LO, 1), 0),
        (|fpga| fpga.faults.scratch_low = 1 << 13, 1),
        (|fpga| fpga.faults.bank_low = 4, 2),
        (|fpga| fpga.faults.flip_frame = true, 3),
        (|fpga| fpga.faults.sum_error = 1, 4),
        (|fpga| fpga.faults.dead_cell = Some(0), 5),
        (|fpga| fpga.faults.dead_cell = Some(7), 5),
    ];
    for (plant, test) in faults {
        let mut bench = Bench::new();
        bench.fpga().quantum = 500;
        plant(bench.fpga());
        let report = self_test(&mut bench, 2).unwrap();
        assert_eq!(report.ran, 0b11_1111);
        assert_eq!(report.failed, 1 << test, "{}", SelfTestReply::NAMES[test as usize]);
        assert_ne!(report.expected, report.found);
    }
}

#[test]
fn another_gateware_is_found() {
    for address in [regs::MAGIC, regs::MAP_VERSION, regs::GATEWARE_ID, regs::BOARD] {
        let mut bench = Bench::new();
        let word = bench.fpga().word(address);
        bench.fpga().set_word(address, word ^ 0x0008_0000);
        let report = self_test(&mut bench, 0).unwrap();
        assert_eq!((report.ran, report.failed), (0b111, 1), "{address:#x}");
    }
    // The calibration is the host's to store.
    let mut bench = Bench::new();
    bench.write_regs(regs::CALIBRATION_ID_LO, &[1, 2]).unwrap();
    assert_eq!(self_test(&mut bench, 0).unwrap().failed, 0);
}

#[test]
fn a_sequencer_that_stands_still_fails_what_needs_it_in_bounded_work() {
    let mut bench = Bench::new();
    bench.fpga().faults.stuck = true;
    let before = bench.fpga().transactions;
    let report = self_test(&mut bench, 2).unwrap();
    assert_eq!((report.ran, report.failed), (0b11_1111, 0b11_1000));
    assert!(bench.fpga().transactions - before < 10_000);
    assert!(!bench.fpga().is_running());
}

#[test]
fn unknown_levels_and_bad_payloads_do_nothing() {
    let mut bench = Bench::new();
    assert_eq!(self_test(&mut bench, 3), Err((ErrorCode::Unsupported, 0)));
    assert_eq!(self_test(&mut bench, u32::MAX), Err((ErrorCode::Unsupported, 0)));
    assert_eq!(bench.request(Opcode::SelfTest, &[]), Err((ErrorCode::BadPayload, 0)));
    assert!(bench.fpga().writes.is_empty());
}
