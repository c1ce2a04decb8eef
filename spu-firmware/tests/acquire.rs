//! Acquisitions: states, streams and credits, losses, cancelling, failing.
#![allow(missing_docs)]

mod common;

use common::fpga::Fpga;
use common::{Bench, Message, blocks, ends, moments, program, streaming};
use spu_firmware::Activity;
use spu_protocol::code::AdcCode;
use spu_protocol::error::ErrorCode;
use spu_protocol::header::MAX_PAYLOAD;
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::acquire::{State, product_count};
use spu_protocol::payload::{AcquireRequest, SelfTestRequest, StreamHeader};
use spu_protocol::regs::{self, control, mode, status};

/// Checks that blocks follow each other and hold the frames that they claim; gives the number of
/// frames.
fn check_blocks(bench: &mut Bench, messages: &[Message]) -> u64 {
    let (mut block, mut next, mut frames) = (0, 0, 0);
    let format = bench.fpga().format();
    for (header, octets) in blocks(messages) {
        assert_eq!(header.block, block);
        assert_eq!(header.first_frame, next + header.lost_before);
        assert_eq!(header.frame_octets as usize, format.frame_octets());
        assert_eq!(octets.len(), header.frames as usize * format.frame_octets());
        assert!(header.frames > 0);
        let mut codes = vec![AdcCode(0); header.frames as usize * format.converters()];
        format.unpack(&octets, &mut codes).unwrap();
        for (codes, frame) in codes.chunks(format.converters()).zip(header.first_frame..) {
            for (cell, code) in codes.iter().enumerate() {
                assert_eq!(*code, bench.fpga().sample(frame as u32, cell), "{frame} {cell}");
            }
        }
        block += 1;
        next = header.first_frame + u64::from(header.frames);
        frames += u64::from(header.frames);
    }
    frames
}

#[test]
fn moments_come_with_the_end() {
    let mut bench = Bench::new();
    bench.load(&program(8)).unwrap();
    bench.acquire(moments(1000)).unwrap();
    let messages = bench.poll(1000);
    assert_eq!(messages.len(), 1);
    let [view] = ends(&messages)[..] else { panic!("{messages:?}") };
    assert_eq!(view.status.state, State::Done as u8);
    assert_eq!((view.status.kept, view.status.lost), (1000, 0));
    assert_eq!(view.status.ticks, 10 + 999 * 2 + 1);
    assert_eq!((view.status.moments, view.status.cells, view.status.blocks), (1, 8, 0));
    for cell in 0..8 {
        let sum = bench.read_regs(regs::sum(2 * cell), 2).unwrap();
        assert_eq!(view.sums[cell] as u64, u64::from(sum[1]) << 32 | u64::from(sum[0]));
    }
    assert!(view.sums.iter().all(|sum| *sum != 0));
    assert!(view.products[..product_count(8)].iter().all(|product| *product != 0));
    // Nothing more comes, and the state stays readable.
    assert!(bench.poll(100).is_empty());
    assert_eq!(bench.status(), view);
}

#[test]
fn the_plan_reaches_the_sequencer_once() {
    let mut bench = Bench::new();
    for (flags, expected) in [
        (0, 0),
        (AcquireRequest::MOMENTS, mode::MOMENTS),
        (AcquireRequest::STREAM, mode::STREAM),
        (7, mode::STREAM | mode::MOMENTS | mode::REALTIME),
    ] {
        bench.fpga().forget_writes();
        let plan = AcquireRequest { settle: 7, decimation: 3, count: 11, flags, granted: 9 };
        bench.acquire(plan).unwrap();
        assert_eq!(
            bench.fpga().writes,
            [
                (regs::MODE, expected),
                (regs::SETTLE, 7),
                (regs::DECIMATION, 3),
                (regs::COUNT, 11),
                (regs::CONTROL, control::START)
            ]
        );
        assert_eq!(ends(&bench.poll(100)).len(), 1);
    }
}

#[test]
fn bad_plans_start_nothing() {
    let mut bench = Bench::new();
    let good = moments(5);
    for (plan, refused) in [
        (AcquireRequest { decimation: 0, ..good }, (ErrorCode::OutOfRange, 1)),
        (AcquireRequest { count: 0, ..good }, (ErrorCode::OutOfRange, 2)),
        (AcquireRequest { flags: 8, ..good }, (ErrorCode::BadPayload, 0)),
        (AcquireRequest { flags: u32::MAX, ..good }, (ErrorCode::BadPayload, 0)),
    ] {
        assert_eq!(bench.acquire(plan), Err(refused));
    }
    assert_eq!(bench.request(Opcode::Acquire, &[0; 23]), Err((ErrorCode::BadPayload, 0)));
    assert_eq!(bench.request(Opcode::Acquire, &[1; 25]), Err((ErrorCode::BadPayload, 0)));
    assert!(bench.fpga().writes.is_empty());
}

#[test]
fn a_stream_delivers_every_frame() {
    for (cells, word_bits) in [(8, 16), (8, 12), (5, 12), (1, 16)] {
        let mut bench = Bench::over(Fpga::new(cells, word_bits));
        bench.fpga().quantum = 700;
        bench.acquire(streaming(5000, u64::MAX)).unwrap();
        let messages = bench.poll(100_000);
        assert_eq!(check_blocks(&mut bench, &messages), 5000);
        let [end] = ends(&messages)[..] else { panic!() };
        assert_eq!((end.status.kept, end.status.lost), (5000, 0));
        assert_eq!(end.status.blocks, blocks(&messages).len() as u64);
        assert!(messages.last().unwrap().is_event(Opcode::AcquireDone));
        let most = (MAX_PAYLOAD - size_of::<StreamHeader>()) / bench.fpga().format().frame_octets();
        let full = blocks(&messages).iter().filter(|b| b.0.frames as usize == most).count();
        // The memory of 1024 frames does not hold a block of single-cell frames.
        assert!(most > 1024 || full >= 5000 / most - 1, "blocks are filled: {full}");
        for (sequence, message) in messages.iter().enumerate() {
            assert_eq!(message.header.sequence as usize, sequence, "events count");
            assert_eq!(message.header.session, bench.session);
        }
    }
}

#[test]
fn blocks_wait_for_credit_and_grants_are_cumulative() {
    let mut bench = Bench::new();
    bench.acquire(streaming(2000, 2)).unwrap();
    let mut messages = bench.poll(1000);
    assert_eq!(blocks(&messages).len(), 2);
    assert_eq!(bench.fpga().fifo_frames(), 1024, "full, the clock waits");
    assert_eq!(bench.status().status.state, State::Acquire as u8);
    bench.credit(2);
    bench.credit(1);
    assert!(bench.poll(1000).is_empty());
    bench.credit(5);
    messages.extend(bench.poll(1000));
    assert_eq!(blocks(&messages).len(), 5);
    bench.credit(7);
    messages.extend(bench.poll(1000));
    assert_eq!(blocks(&messages).len(), 7);
    // All is sampled, one block is to come.
    assert_eq!(bench.status().status.state, State::Drain as u8);
    assert!(ends(&messages).is_empty());
    bench.credit(1000);
    messages.extend(bench.poll(1000));
    assert_eq!(check_blocks(&mut bench, &messages), 2000);
    assert_eq!(ends(&messages)[0].status.lost, 0);
    // Credit that comes late is no error, and not the next acquisition's.
    bench.credit(5000);
    bench.acquire(streaming(300, 0)).unwrap();
    assert!(bench.poll(1000).is_empty());
    bench.credit(2);
    assert_eq!(blocks(&bench.poll(1000)).len(), 2);
}

#[test]
fn waiting_for_credit_is_no_stall() {
    let mut bench = Bench::new();
    bench.clock().step_us = 1_000_000;
    bench.acquire(streaming(5000, 0)).unwrap();
    assert!(bench.poll(1000).is_empty());
    for _ in 0..100 {
        assert_eq!(bench.status().status.state, State::Acquire as u8);
    }
    bench.credit(1000);
    let messages = bench.poll(10_000);
    assert_eq!(check_blocks(&mut bench, &messages), 5000);
}

#[test]
fn frames_that_fill_no_block_come_after_a_while() {
    let mut bench = Bench::new();
    bench.fpga().quantum = 1;
    bench.acquire(streaming(100_000, 100)).unwrap();
    let mut messages = bench.poll(30);
    assert!(blocks(&messages).is_empty());
    bench.clock().now_us += 10_001;
    messages.extend(bench.poll(3));
    assert_eq!(blocks(&messages).len(), 1);
    let frames = check_blocks(&mut bench, &messages);
    assert!((1..40).contains(&frames));
}

#[test]
fn blocks_wait_for_room() {
    let mut bench = Bench::new();
    bench.acquire(streaming(600, 100)).unwrap();
    bench.wire.room = 4000;
    assert!(bench.poll(1000).is_empty());
    bench.wire.room = spu_firmware::MAX_ENCODED;
    let messages = bench.poll(1000);
    assert_eq!(check_blocks(&mut bench, &messages), 600);
    assert_eq!(ends(&messages).len(), 1);
}

/// In real time frames are lost; sent and lost ones add up, and each block says where it is.
#[test]
fn losses_are_counted_and_placed() {
    for (quantum, grants) in [(300, 1), (1500, 1), (100, 1), (2500, 2)] {
        let mut bench = Bench::new();
        bench.fpga().quantum = quantum;
        let realtime = AcquireRequest::STREAM | AcquireRequest::REALTIME;
        bench.acquire(AcquireRequest { flags: realtime, ..streaming(30_000, 1) }).unwrap();
        let mut messages = Vec::new();
        let mut granted = 1;
        while ends(&messages).is_empty() {
            messages.extend(bench.poll(9));
            granted += grants;
            bench.credit(granted);
        }
        messages.splice(0..0, std::mem::take(&mut bench.events));
        let sent = check_blocks_in_order(&mut bench, messages.clone());
        let end = ends(&messages)[0].status;
        assert_eq!(end.kept, 30_000);
        assert_eq!(sent + end.lost, 30_000);
        assert!(end.lost > 0 && sent > 1024, "lost {} sent {sent}", end.lost);
        let gaps = blocks(&messages).iter().filter(|block| block.0.lost_before > 0).count();
        assert!(gaps > 0);
    }
}

fn check_blocks_in_order(bench: &mut Bench, mut messages: Vec<Message>) -> u64 {
    messages.sort_by_key(|message| message.header.sequence);
    check_blocks(bench, &messages)
}

/// Brings an acquisition into each state and cancels it there.
#[test]
fn cancelled_in_every_state() {
    for state in
        [State::Program, State::Settle, State::Acquire, State::Drain, State::Done, State::Idle]
    {
        let mut bench = Bench::new();
        bench.fpga().quantum = 8;
        bench.fpga().program_looks = 2;
        let both = AcquireRequest::STREAM | AcquireRequest::MOMENTS;
        if state != State::Idle {
            let granted = if state == State::Done { 10 } else { 0 };
            let plan = AcquireRequest { settle: 50, flags: both, ..streaming(100, granted) };
            bench.acquire(plan).unwrap();
        }
        let mut before = Vec::new();
        for _ in 0..100 {
            if bench.status().status.state == state as u8 {
                break;
            }
            before.extend(bench.step().1);
        }
        assert_eq!(bench.status().status.state, state as u8);
        let running = bench.fpga().is_running();
        assert_eq!(running, matches!(state, State::Program | State::Settle | State::Acquire));
        let view = bench.cancel().unwrap();
        let events = std::mem::take(&mut bench.events);
        if matches!(state, State::Done | State::Idle) {
            assert_eq!(view.status.state, state as u8, "there was nothing to cancel");
            assert!(events.is_empty());
        } else {
            assert_eq!(view.status.state, State::Cancelled as u8);
            assert_eq!(ends(&events), [view], "the host is told once, before the reply");
            // What was not sent is lost; what was measured stays readable.
            assert_eq!(view.status.lost, view.status.kept);
            assert_eq!(view.status.moments, 1);
            if matches!(state, State::Acquire | State::Drain) {
                assert!(view.status.kept > 0 && view.sums.iter().any(|sum| *sum != 0));
            }
        }
        assert!(!bench.fpga().is_running());
        assert!(bench.poll(100).is_empty());
        assert_eq!(bench.cancel().unwrap(), view, "again: the same");
        // The board is free for the next.
        bench.acquire(moments(10)).unwrap();
        assert_eq!(ends(&bench.poll(100)).len(), 1);
    }
}

#[test]
fn a_cancelled_stream_accounts_for_every_kept_frame() {
    let mut bench = Bench::new();
    bench.acquire(streaming(1_000_000, 3)).unwrap();
    let messages = bench.poll(500);
    let sent = check_blocks(&mut bench, &messages);
    let view = bench.cancel().unwrap();
    assert_eq!(view.status.kept, sent + view.status.lost);
    assert_eq!(view.status.blocks, 3);
    assert_eq!(bench.fpga().fifo_frames(), 0);
}

#[test]
fn busy_while_acquiring() {
    let mut bench = Bench::new();
    bench.acquire(streaming(100, 0)).unwrap();
    for drained in [false, true] {
        if drained {
            bench.poll(1000);
            assert_eq!(bench.status().status.state, State::Drain as u8);
        }
        bench.fpga().forget_writes();
        let busy = Err((ErrorCode::Busy, 0));
        assert_eq!(bench.load(&program(8)).map(|_| ()), busy);
        assert_eq!(bench.acquire(moments(1)), busy);
        assert_eq!(bench.write_regs(regs::scratch(0), &[1]), busy);
        let test = SelfTestRequest { level: 0 };
        assert_eq!(bench.request(Opcode::SelfTest, bytemuck::bytes_of(&test)).map(|_| ()), busy);
        assert!(bench.fpga().writes.is_empty());
        // These are allowed.
        bench.request(Opcode::Ping, b"").unwrap();
        bench.request(Opcode::Info, b"").unwrap();
        bench.read_regs(regs::STATUS, 6).unwrap();
    }
}

#[test]
fn a_host_that_only_asks_sees_it_advance() {
    let mut bench = Bench::new();
    bench.acquire(moments(500)).unwrap();
    let mut asked = 0;
    while bench.status().status.state != State::Done as u8 {
        asked += 1;
        assert!(asked < 100);
        bench.step();
    }
}

#[test]
fn a_sequencer_that_stands_still_fails_after_two_seconds() {
    for looks in [0, 3] {
        let mut bench = Bench::new();
        bench.fpga().program_looks = 0;
        bench.fpga().quantum = 50;
        bench.acquire(moments(1_000_000)).unwrap();
        for _ in 0..looks {
            bench.step();
        }
        bench.fpga().faults.stuck = true;
        bench.clock().now_us = 1_000_000;
        assert!(bench.poll(100).is_empty());
        bench.clock().now_us += 1_999_999;
        assert!(bench.poll(100).is_empty());
        assert_ne!(bench.status().status.state, State::Failed as u8);
        bench.clock().now_us += 1;
        let messages = bench.poll(100);
        let [end] = ends(&messages)[..] else { panic!("{messages:?}") };
        assert_eq!(end.status.state, State::Failed as u8);
        assert!(!bench.fpga().is_running());
        // Nothing is wrong any more: the next acquisition runs.
        bench.fpga().faults.stuck = false;
        bench.acquire(moments(10)).unwrap();
        assert_eq!(ends(&bench.poll(100))[0].status.state, State::Done as u8);
    }
}

#[test]
fn slow_progress_is_no_stall() {
    let mut bench = Bench::new();
    bench.fpga().quantum = 1;
    bench.clock().step_us = 1_900_000;
    bench.acquire(moments(100)).unwrap();
    let messages = bench.poll(10_000);
    assert_eq!(ends(&messages)[0].status.state, State::Done as u8);
}

#[test]
fn a_sequencer_that_ignores_abort_is_reported() {
    let mut bench = Bench::new();
    bench.acquire(moments(1_000_000)).unwrap();
    bench.fpga().faults.deaf = true;
    assert_eq!(bench.cancel(), Err((ErrorCode::Stalled, 0)));
    bench.request(Opcode::Reset, &0_u32.to_le_bytes()).unwrap_err();
    bench.hello(2).unwrap();
    assert_eq!(bench.acquire(moments(10)), Err((ErrorCode::Stalled, 0)));
    bench.fpga().faults.deaf = false;
    bench.acquire(moments(10)).unwrap();
}

#[test]
fn an_fpga_that_loses_its_mind_fails_the_acquisition() {
    let breaks: [fn(&mut Fpga); 3] = [
        |fpga| fpga.faults.unknown_state = true,
        // Somebody reset it.
        |fpga| *fpga = Fpga::new(8, 16),
        |fpga| fpga.faults.bus_after = Some(0),
    ];
    for break_it in breaks {
        let mut bench = Bench::new();
        bench.acquire(streaming(1_000_000, 1)).unwrap();
        let sent = bench.poll(100);
        assert_eq!(blocks(&sent).len(), 1);
        break_it(bench.fpga());
        let messages = bench.poll(100);
        let [end] = ends(&messages)[..] else { panic!("{messages:?}") };
        assert_eq!(end.status.state, State::Failed as u8);
        assert_eq!(end.status.kept, end.status.lost + u64::from(blocks(&sent)[0].0.frames));
        assert!(bench.poll(100).is_empty());
        bench.fpga().faults = common::fpga::Faults::default();
        bench.acquire(moments(10)).unwrap();
        assert_eq!(ends(&bench.poll(100))[0].status.state, State::Done as u8);
    }
}

#[test]
fn a_run_started_by_hand_gives_way() {
    let mut bench = Bench::new();
    bench.write_regs(regs::COUNT, &[1_000_000]).unwrap();
    bench.write_regs(regs::CONTROL, &[control::START]).unwrap();
    assert!(bench.fpga().is_running());
    bench.acquire(moments(10)).unwrap();
    assert_eq!(ends(&bench.poll(100))[0].status.kept, 10);
    assert_eq!(bench.fpga().state(), status::STATE_DONE);
}

#[test]
fn polls_are_idle_when_there_is_nothing_to_do() {
    let mut bench = Bench::new();
    let transactions = bench.fpga().transactions;
    for _ in 0..10 {
        assert_eq!(bench.step().0, Activity::Idle);
    }
    assert_eq!(bench.fpga().transactions, transactions, "and the bus is left alone");
}
