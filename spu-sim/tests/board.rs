//! The whole board through its frames: firmware, bus, FPGA, analog board, faults.

use std::num::NonZeroU32;

use bytemuck::bytes_of;
use spu_protocol::code::AdcCode;
use spu_protocol::header::Kind;
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::acquire::State;
use spu_protocol::payload::{
    AcquireRequest, InfoReply, SelfTestReply, SelfTestRequest, StatusView, exact,
};
use spu_protocol::regs::{self, mode};
use spu_sim::{Bank, Dispatch, Fault, Profile, SimBoard, profile};

mod common;

use common::{Host, config};

const BOTH: u32 = AcquireRequest::STREAM | AcquireRequest::MOMENTS;

fn codes_of(
    host: &mut Host,
    decimation: u32,
    count: u32,
    flags: u32,
) -> (Vec<AdcCode>, StatusView) {
    let codes = common::sample_codes(&host.board.config().profile);
    host.load(&codes);
    host.acquire(500, decimation, count, flags);
    let mut codes = Vec::new();
    let (status, lost) = host.follow(|frame| codes.extend_from_slice(frame));
    assert_eq!(lost, 0);
    (codes, status)
}

/// Variances by cell, in squared codes.
fn variances(status: &StatusView) -> Vec<f64> {
    let n = status.status.kept as f64;
    let mut diagonal = 0;
    (0..8)
        .map(|cell| {
            let mean = status.sums[cell] as f64 / n;
            let variance = status.products[diagonal] as f64 / n - mean * mean;
            diagonal += 8 - cell;
            variance
        })
        .collect()
}

#[test]
fn the_wire_carries_what_the_fpga_measured() {
    for name in common::RLC {
        let mut host = Host::open(config(name, 7, 0));
        let (codes, status) = codes_of(&mut host, 3, 20_000, BOTH);
        assert_eq!(status.status.state, State::Done as u8);
        assert_eq!((status.status.kept, status.status.lost), (20_000, 0));
        assert_eq!(codes.len(), 160_000);

        let mut direct = common::fpga(name, 7, Dispatch::detect());
        common::start(&mut direct, mode::MOMENTS, 500, 3, 20_000);
        direct.advance(u64::MAX);
        let (sums, products) = common::moments(&mut direct);
        assert_eq!((&status.sums[..8], &status.products[..]), (&sums[..], &products[..]));
        let sum: i64 = codes.iter().step_by(8).map(|code| i64::from(code.0)).sum();
        assert_eq!(sum, sums[0]);
    }
}

#[test]
fn polling_changes_no_data() {
    let run = |quantum: u32| {
        let mut host = Host::open(config("rev-a", 7, 0));
        let quantum = NonZeroU32::new(quantum).unwrap();
        host.board.control().set_quantum(quantum);
        let (codes, status) = codes_of(&mut host, 1, 30_000, BOTH);
        (codes, status.products)
    };
    let whole = run(1 << 24);
    assert!(run(1_000) == whole && run(77) == whole);
}

#[test]
fn identity_is_the_profile_s() {
    let mut host = Host::open(config("rev-b", 7, 2));
    let (_, info) = host.call(Opcode::Info, &[]);
    let info: InfoReply = exact(&info).unwrap();
    assert_eq!(&info.profile[..6], b"rev-b\0");
    assert_eq!(info.serial & 0xFFFF, 2);
    assert_eq!((info.self_bits, info.coupling_signed, info.adc_bits), (8, 1, 14));
    assert_eq!((info.sample_clock_hz, info.capture_frames), (12_000_000, 4096));
    assert!((f64::from(info.noise_rms_code) - spu_sim::noise::RMS).abs() < 1e-4);
}

#[test]
fn self_test_passes_on_every_profile() {
    for name in profile::NAMES {
        let mut host = Host::open(config(name, 7, 0));
        let (kind, reply) = host.call(Opcode::SelfTest, bytes_of(&SelfTestRequest { level: 2 }));
        assert_eq!(kind, Kind::Reply as u8);
        let reply: SelfTestReply = exact(&reply).unwrap();
        // A factored board has no banks, from which the test of the analog path makes its circuit.
        let tests = if name == "rc-factored" { 5 } else { 6 };
        assert_eq!((reply.failed, reply.ran.count_ones()), (0, tests), "{name}: {reply:?}");
    }
}

#[test]
fn copies_and_seeds_measure_differently_and_repeatably() {
    let run = |seed, copy| codes_of(&mut Host::open(config("rev-a", seed, copy)), 1, 2_000, BOTH).0;
    let first = run(1, 0);
    assert!(run(1, 0) == first);
    assert!(run(1, 1) != first && run(2, 0) != first);
}

#[test]
fn realtime_frames_are_delivered_or_reported_lost() {
    let mut host = Host::open(config("rev-a", 7, 0));
    let codes = common::sample_codes(&Profile::named("rev-a").unwrap());
    host.load(&codes);
    host.acquire(0, 1, 300_000, BOTH | AcquireRequest::REALTIME);
    let mut frames = 0;
    let (status, _) = host.follow(|block| frames += block.len() as u64 / 8);
    assert!(status.status.lost > 0);
    assert_eq!(frames + status.status.lost, 300_000);
}

#[test]
fn faults_show_in_the_data_and_can_be_repaired() {
    let mut host = Host::open(config("rev-a", 7, 0));
    let run = |host: &mut Host| {
        let (codes, status) = codes_of(host, 20, 20_000, BOTH);
        (codes, variances(&status))
    };
    let (healthy_codes, healthy) = run(&mut host);

    host.board.control().inject(Fault::DeadCell { cell: 2 }).unwrap();
    let (_, dead) = run(&mut host);
    // What is left comes over the couplings.
    assert!(dead[2] < 0.3 * healthy[2], "{} {}", dead[2], healthy[2]);
    host.board.control().clear_faults();
    assert!(run(&mut host).0 == healthy_codes);

    host.board.control().inject(Fault::DriveGain { cell: 5, factor: 2.0 }).unwrap();
    let (_, strong) = run(&mut host);
    assert!(strong[5] > 2.5 * healthy[5] && strong[5] < 4.1 * healthy[5]);
    host.board.control().clear_faults();

    let rail = Fault::StuckAdc { cell: 0, code: AdcCode(2047) };
    host.board.control().inject(rail).unwrap();
    let (codes, status) = codes_of(&mut host, 1, 1_000, BOTH);
    assert!(codes.iter().step_by(8).all(|code| code.0 == 2047));
    assert_eq!(status.saturated[0], 1_000);
    host.board.control().clear_faults();

    // Half of full scale is 8 LSB: its element stuck open halves the capacitance and more.
    let open = Fault::StuckElement { bank: Bank::SelfTerm { cell: 0 }, bit: 3, on: false };
    host.board.control().inject(open).unwrap();
    let (_, stuck) = run(&mut host);
    assert!(stuck[0] > 1.3 * healthy[0], "{} {}", stuck[0], healthy[0]);
    host.board.control().power_cycle();
    host.hello();
    assert!(run(&mut host).1 == stuck, "a power cycle repairs nothing");
    host.board.control().clear_faults();
    assert!(run(&mut host).0 == healthy_codes);
}

#[test]
fn a_hung_sequencer_is_reported() {
    let mut host = Host::open(config("rev-a", 7, 0));
    let codes = common::sample_codes(&Profile::named("rev-a").unwrap());
    host.load(&codes);
    host.board.control().inject(Fault::Hang).unwrap();
    host.acquire(0, 1, 1_000, BOTH);
    let (status, _) = host.follow(|_| panic!("no frames"));
    assert_eq!(status.status.state, State::Failed as u8);
    host.board.control().clear_faults();
    let (_, status) = codes_of(&mut host, 1, 1_000, BOTH);
    assert_eq!(status.status.state, State::Done as u8);
}

#[test]
fn faults_in_missing_parts_are_refused() {
    let mut board = SimBoard::new(config("rev-a", 7, 0)).unwrap();
    for (fault, text) in [
        (Fault::DeadCell { cell: 8 }, "no cell 8; it has 8"),
        (
            Fault::StuckElement { bank: Bank::Coupling { pair: 28 }, bit: 0, on: true },
            "no coupling 28",
        ),
        (
            Fault::StuckElement { bank: Bank::SelfTerm { cell: 0 }, bit: 4, on: true },
            "no bank element 4",
        ),
    ] {
        let error = board.control().inject(fault).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn a_power_cycle_starts_afresh() {
    let mut host = Host::open(config("rev-a", 7, 0));
    let (codes, _) = codes_of(&mut host, 1, 500, BOTH);
    host.board.control().power_cycle();
    assert!(
        host.board.fpga().converters().cells().unwrap().cells().0.iter().all(|volts| *volts == 0.0)
    );
    let request = spu_protocol::payload::RegsRequest { address: regs::self_bank(0), count: 1 };
    let (kind, _) = host.call(Opcode::ReadRegs, bytes_of(&request));
    assert_eq!(kind, Kind::Error as u8, "the session is over");
    host.hello();
    let (_, word) = host.call(Opcode::ReadRegs, bytes_of(&request));
    assert_eq!(word, [0; 4]);
    assert!(codes_of(&mut host, 1, 500, BOTH).0 == codes);
}
