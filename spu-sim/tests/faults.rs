//! Faults that come and go with time: drifts, a slow bus, restarts; and the log of writes.

use std::num::NonZeroU32;

use bytemuck::bytes_of;
use spu_protocol::code::AdcCode;
use spu_protocol::header::Kind;
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::{
    AcquireRequest, ErrorReply, RegsRequest, StatusView, StreamHeader, exact, split,
};
use spu_protocol::regs::{self, control, status};
use spu_sim::{After, Drift, Fault, LANES, Profile};

mod common;

use common::{Host, config};

const STREAM: u32 = AcquireRequest::STREAM;
const MOMENTS: u32 = AcquireRequest::MOMENTS;
/// Seconds of a drift's step.
const STEP_S: f64 = Drift::STEP_TICKS as f64 / 12e6;

fn host() -> Host {
    Host::open(config("rev-a", 7, 0))
}

fn inject(host: &mut Host, name: &str) {
    host.board.control().inject(Fault::parse(name, LANES).unwrap()).unwrap();
}

fn quantum(host: &mut Host, ticks: u32) {
    host.board.control().set_quantum(NonZeroU32::new(ticks).unwrap());
}

fn program(host: &mut Host) {
    host.load(&common::sample_codes(&Profile::named("rev-a").unwrap()));
}

/// Programs and runs; codes, status, frames reported lost in the stream.
fn run(
    host: &mut Host,
    decimation: u32,
    count: u32,
    flags: u32,
) -> (Vec<AdcCode>, StatusView, u64) {
    program(host);
    host.acquire(0, decimation, count, flags);
    let mut codes = Vec::new();
    let (status, lost) = host.follow(|frames| codes.extend_from_slice(frames));
    (codes, status, lost)
}

/// Value of a writable register, past the wire.
fn register(host: &mut Host, address: u16) -> u32 {
    let request = RegsRequest { address, count: 1 };
    let (kind, reply) = host.call(Opcode::ReadRegs, bytes_of(&request));
    assert_eq!(kind, Kind::Reply as u8);
    u32::from_le_bytes(reply.try_into().unwrap())
}

fn write(host: &mut Host, address: u16, words: &[u32]) {
    let request = RegsRequest { address, count: words.len() as u16 };
    let payload = [bytes_of(&request), bytemuck::cast_slice(words)].concat();
    assert_eq!(host.call(Opcode::WriteRegs, &payload), (Kind::Reply as u8, Vec::new()));
}

fn error(payload: &[u8]) -> u16 {
    exact::<ErrorReply>(payload).unwrap().code
}

#[test]
fn a_converter_at_its_rail_counts_as_saturated() {
    let mut host = host();
    for (name, code) in [("saturated-adc.1.high", 2047), ("saturated-adc.6.low", -2047)] {
        inject(&mut host, name);
        let (codes, status, _) = run(&mut host, 3, 1_000, STREAM);
        let cell = usize::from(name.as_bytes()["saturated-adc.".len()] - b'0');
        assert!(codes.iter().skip(cell).step_by(LANES).all(|found| found.0 == code));
        for other in 0..LANES {
            assert_eq!(status.saturated[other] == 1_000, other == cell);
        }
        host.board.control().clear_faults();
    }
}

#[test]
fn swapped_converters_show_each_others_cells() {
    let mut host = host();
    let (good, _, _) = run(&mut host, 3, 500, STREAM);
    let swapped = |good: &[AdcCode], pairs: &[(usize, usize)]| {
        let mut codes = good.to_vec();
        for row in codes.chunks_exact_mut(LANES) {
            for &(i, j) in pairs {
                row.swap(i, j);
            }
        }
        codes
    };
    assert_ne!(swapped(&good, &[(2, 5)]), good);
    inject(&mut host, "swapped-adc.2.5");
    let (codes, _, _) = run(&mut host, 3, 500, STREAM);
    assert!(codes == swapped(&good, &[(2, 5)]));
    inject(&mut host, "swapped-adc.5.0");
    inject(&mut host, "stuck-adc.0.9");
    let (codes, _, _) = run(&mut host, 3, 500, STREAM);
    // The converter that is stuck belongs to cell 0, whose codes now arrive as those of cell 5.
    assert!(codes.iter().skip(5).step_by(LANES).all(|code| code.0 == 9));
}

#[test]
#[expect(clippy::float_cmp, reason = "equal to the last bit is what is meant")]
fn linear_drift_is_proportional_to_the_sampled_time() {
    let mut host = host();
    let drawn = host.board.fpga().converters().cells().unwrap().parts().clone();
    let codes_per_volt = 1.0 / host.board.config().profile.adc_lsb_volt();
    inject(&mut host, "drift-gain.2.-1.5");
    inject(&mut host, "drift-offset.5.0.25");
    for (count, steps) in [(16_383, 0.0), (1, 1.0), (163_840, 11.0)] {
        run(&mut host, 1, count, MOMENTS);
        let mut expected = drawn.clone();
        expected.drive_ampere[2] *= 1.0 - 1.5 * (steps * STEP_S);
        expected.adc_offset[5] += 0.25 * (steps * STEP_S) * codes_per_volt;
        let parts = host.board.fpga().converters().cells().unwrap().parts();
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-12 * b.abs();
        assert!(close(parts.drive_ampere[2], expected.drive_ampere[2]), "{steps} steps");
        assert!(close(parts.adc_offset[5], expected.adc_offset[5]), "{steps} steps");
        expected.drive_ampere[2] = parts.drive_ampere[2];
        expected.adc_offset[5] = parts.adc_offset[5];
        assert_eq!(*parts, expected, "nothing else drifts");
    }
    // A gain does not turn its sign.
    inject(&mut host, "drift-gain.3.-1e9");
    run(&mut host, 1, 20_000, MOMENTS);
    assert_eq!(host.board.fpga().converters().cells().unwrap().parts().drive_ampere[3], 0.0);
    // Another fault leaves it where it is, a power cycle starts it again, a repair ends it.
    let before = host.board.fpga().converters().cells().unwrap().parts().adc_offset[5];
    inject(&mut host, "dead-cell.0");
    assert_eq!(host.board.fpga().converters().cells().unwrap().parts().adc_offset[5], before);
    host.board.control().power_cycle();
    assert_eq!(
        host.board.fpga().converters().cells().unwrap().parts().adc_offset[5],
        drawn.adc_offset[5]
    );
    host.board.control().clear_faults();
    assert_eq!(*host.board.fpga().converters().cells().unwrap().parts(), drawn);
}

#[test]
fn drift_shows_in_the_codes_and_not_in_how_the_board_is_polled() {
    let (healthy, ..) = run(&mut host(), 1, 100_000, STREAM);
    let drifting = |quantum: u32| {
        let mut host = host();
        self::quantum(&mut host, quantum);
        inject(&mut host, "drift-offset.5.20");
        inject(&mut host, "walk-gain.0.3");
        run(&mut host, 1, 100_000, STREAM).0
    };
    let codes = drifting(32_768);
    let same = Drift::STEP_TICKS as usize * LANES;
    assert!(codes[..same] == healthy[..same] && codes[same..] != healthy[same..]);
    assert!(drifting(1_000) == codes && drifting(77) == codes);
    // 20 V/s is 0.137 V in the last of 6 steps; noise averages out.
    let mean = |codes: &[AdcCode]| {
        let last = &codes[codes.len() - 1_600 * LANES..];
        last.iter().skip(5).step_by(LANES).map(|code| f64::from(code.0)).sum::<f64>() / 1_600.0
    };
    let expected = 20.0 * 6.0 * STEP_S / host().board.config().profile.adc_lsb_volt();
    let moved = mean(&codes) - mean(&healthy);
    assert!((moved - expected).abs() < 2.0, "{moved} for {expected}");
}

#[test]
fn random_walks_have_their_variance_and_their_seed() {
    // Increments of the drive gain, in units of the law.
    let walk = |copy: u32, cell: usize| -> Vec<f64> {
        let mut host = Host::open(config("rev-a", 7, copy));
        let drawn = host.board.fpga().converters().cells().unwrap().parts().drive_ampere[cell];
        inject(&mut host, &format!("walk-gain.{cell}.0.01"));
        program(&mut host);
        let mut gains = vec![1.0];
        for _ in 0..100 {
            host.acquire(0, 1, Drift::STEP_TICKS as u32, MOMENTS);
            host.follow(|_| ());
            gains.push(
                host.board.fpga().converters().cells().unwrap().parts().drive_ampere[cell] / drawn,
            );
        }
        gains.windows(2).map(|pair| (pair[1] - pair[0]) / (0.01 * STEP_S.sqrt())).collect()
    };
    let steps = walk(0, 4);
    let (n, mean) = (steps.len() as f64, steps.iter().sum::<f64>() / steps.len() as f64);
    let square = steps.iter().map(|step| step * step).sum::<f64>() / n;
    // Five standard deviations of either mean.
    assert!(mean.abs() < 5.0 / n.sqrt(), "{mean}");
    assert!((square - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{square}");
    assert_eq!(walk(0, 4), steps);
    assert!(walk(1, 4)[0].to_bits() != steps[0].to_bits());
    assert!((walk(0, 3)[0] - steps[0]).abs() > 1e-6);
}

#[test]
fn a_slow_fifo_stalls_lockstep_and_changes_no_code() {
    let stalls = |slow: bool| {
        let mut host = host();
        if slow {
            inject(&mut host, "slow-fifo.0.002");
        }
        quantum(&mut host, 256);
        program(&mut host);
        host.acquire(0, 10, 60_000, STREAM | MOMENTS);
        let (mut codes, mut stalls) = (Vec::new(), 0);
        let format = host.format;
        let mut granted = 64;
        let status = loop {
            let (mut ended, mut blocks) = (None, 0);
            host.pump(|header, payload| {
                if header.opcode == Opcode::StreamBlock as u16 {
                    let (stream, octets) = split::<StreamHeader>(payload).unwrap();
                    let start = codes.len();
                    codes.resize(start + stream.frames as usize * LANES, AdcCode(0));
                    format.unpack(octets, &mut codes[start..]).unwrap();
                    blocks = stream.block + 1;
                } else if header.opcode == Opcode::AcquireDone as u16 {
                    ended = StatusView::parse(payload);
                }
            });
            if let Some(status) = ended {
                break status;
            }
            if blocks + 32 > granted {
                granted = blocks + 64;
                let credit = spu_protocol::payload::CreditRequest { granted };
                host.send(Opcode::Credit, bytes_of(&credit));
            }
            stalls +=
                u32::from(host.board.fpga().clone().read(regs::STATUS) & status::STALLED != 0);
        };
        (codes, status, stalls)
    };
    let (healthy, expected, none) = stalls(false);
    let (codes, status, some) = stalls(true);
    assert_eq!(none, 0);
    assert!(some > 10, "stalled at {some} looks");
    assert!(codes == healthy);
    assert_eq!((status.status.kept, status.status.lost), (60_000, 0));
    assert_eq!((status.sums, status.products), (expected.sums, expected.products));
}

#[test]
fn a_slow_fifo_loses_what_it_counts_in_realtime() {
    let realtime = STREAM | AcquireRequest::REALTIME;
    let lost = |fault: Option<&str>| {
        let mut host = host();
        quantum(&mut host, 512);
        if let Some(fault) = fault {
            inject(&mut host, fault);
        }
        let (codes, status, reported) = run(&mut host, 2, 100_000, realtime);
        let delivered = (codes.len() / LANES) as u64;
        assert_eq!(status.status.kept, 100_000);
        assert_eq!(delivered + status.status.lost, status.status.kept);
        assert!(reported <= status.status.lost);
        status.status.lost
    };
    assert_eq!(lost(None), 0);
    // Frames come twice as fast as they go: half is lost, but for what the memory held.
    let lost = lost(Some("slow-fifo.0.25"));
    assert!((35_000..=50_000).contains(&lost), "{lost}");
}

#[test]
fn a_brown_out_loses_program_and_session_once_and_the_link_stays() {
    let mut host = host();
    program(&mut host);
    write(&mut host, regs::scratch(0), &[5]);
    inject(&mut host, "brown-out.ticks.500000");
    host.acquire(0, 1, u32::MAX, MOMENTS);
    let mut looks = Vec::new();
    while looks.last() != Some(&0) {
        host.pump(|header, _| panic!("it says {header:?}"));
        looks.push(host.board.control().ticks());
        assert!(looks.len() < 1_000, "it goes on");
    }
    assert_eq!(looks.len() as u64, 500_000_u64.div_ceil(32_768), "{looks:?}");
    let (kind, payload) = host.call(Opcode::Ping, b"?");
    assert_eq!((kind, error(&payload)), (Kind::Error as u8, 3), "the session is lost");
    host.hello();
    assert_eq!(register(&mut host, regs::scratch(0)), 0);
    assert_eq!(register(&mut host, regs::self_bank(0)), 0, "the program is lost");
    assert!(
        host.board.fpga().converters().cells().unwrap().cells().0.iter().all(|volts| *volts == 0.0)
    );
    // It does not come again.
    let (_, status, _) = run(&mut host, 1, 1_000_000, MOMENTS);
    assert_eq!(status.status.kept, 1_000_000);
    // Codes are those of a fresh board.
    let (codes, ..) = run(&mut host, 1, 1_000, STREAM);
    assert!(codes == run(&mut self::host(), 1, 1_000, STREAM).0);
}

#[test]
fn a_restart_cuts_the_stream_and_leaves_the_fpga_at_work() {
    let mut host = host();
    program(&mut host);
    write(&mut host, regs::scratch(0), &[5]);
    inject(&mut host, "restart.blocks.7");
    host.acquire(0, 1, u32::MAX, STREAM);
    let mut blocks = 0;
    for _ in 0..1_000 {
        host.pump(|header, _| blocks += u32::from(header.opcode == Opcode::StreamBlock as u16));
    }
    assert_eq!(blocks, 6, "the last block is cut");
    assert_eq!(host.board.fpga().clone().read(regs::STATUS) & status::STATE_MASK, 3, "it runs on");
    // The first frame after it is lost in the cut one.
    host.send(Opcode::Ping, b"?");
    let mut answers = 0;
    for _ in 0..10 {
        host.pump_damaged(|result| answers += u32::from(result.is_ok()));
    }
    assert_eq!(answers, 0);
    let (kind, payload) = host.call(Opcode::Ping, b"?");
    assert_eq!((kind, error(&payload)), (Kind::Error as u8, 3), "the session is lost");
    host.hello();
    assert_eq!(register(&mut host, regs::scratch(0)), 5);
    assert_ne!(register(&mut host, regs::self_bank(0)), 0, "the program stays");
    let (codes, ..) = run(&mut host, 1, 1_000, STREAM);
    assert!(codes == run(&mut self::host(), 1, 1_000, STREAM).0);
    // What has not happened can be called off.
    inject(&mut host, "restart.ticks.1000");
    host.board.control().clear_faults();
    assert_eq!(run(&mut host, 1, 10_000, MOMENTS).1.status.kept, 10_000);
}

#[test]
fn events_count_from_when_they_are_injected() {
    let mut host = host();
    run(&mut host, 1, 100_000, MOMENTS);
    let again = Fault::Restart { after: After::Ticks(300_000) };
    host.board.control().inject(again).unwrap();
    inject(&mut host, "brown-out.ticks.50000");
    program(&mut host);
    host.acquire(0, 1, u32::MAX, MOMENTS);
    while host.board.control().ticks() >= 100_000 {
        host.pump(|_, _| ());
    }
    // The restart's 300,000 ticks go on to count over the brown-out.
    host.hello();
    assert_eq!(run(&mut host, 1, 200_000, MOMENTS).1.status.kept, 200_000);
    program(&mut host);
    host.acquire(0, 1, u32::MAX, MOMENTS);
    for _ in 0..100 {
        host.pump(|_, _| ());
    }
    let (kind, _) = host.call(Opcode::Ping, b"?");
    assert_eq!(kind, Kind::Error as u8, "it restarted");
}

#[test]
fn writes_are_logged_word_by_word_over_restarts() {
    let mut host = host();
    write(&mut host, regs::scratch(0), &[1]);
    assert!(host.board.control().take_writes().is_empty(), "off by default");
    host.board.control().record_writes(true);
    write(&mut host, regs::scratch(1), &[7, 8]);
    // A code beyond the range is logged as it was sent.
    write(&mut host, regs::self_bank(0), &[1_000]);
    let expected = [(regs::scratch(1), 7), (regs::scratch(2), 8), (regs::self_bank(0), 1_000)];
    assert_eq!(host.board.control().take_writes(), expected);
    assert!(host.board.control().take_writes().is_empty());
    write(&mut host, regs::scratch(0), &[9]);
    host.board.control().power_cycle();
    host.hello();
    write(&mut host, regs::scratch(0), &[10]);
    program(&mut host);
    let writes = host.board.control().take_writes();
    assert_eq!(writes[..2], [(regs::scratch(0), 9), (regs::scratch(0), 10)]);
    let apply = control::APPLY | control::RESEED | control::DISCHARGE;
    let applied = writes.iter().filter(|write| write.0 == regs::CONTROL);
    assert!(
        applied.clone().any(|write| write.1 & apply == apply),
        "{:?}",
        applied.collect::<Vec<_>>()
    );
    host.board.control().record_writes(false);
    write(&mut host, regs::scratch(0), &[11]);
    assert!(host.board.control().take_writes().is_empty());
}
