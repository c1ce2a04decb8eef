//! Random schedules of calls and faults. On a virtual clock a failing one repeats exactly; a
//! smaller number runs on the real clock, where every call must end within a second of its
//! deadline.

use std::time::Duration;

use hil_tests::schedules::{
    Cache, Call, Clock, Event, Plan, Sampling, Scripted, Tally, VIRTUAL_SLACK, run, run_many,
    run_seed,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use spu_driver::link::faulty::{Direction, LinkFault, Schedule};
use spu_driver::{ResetLevel, time};

fn sampling() -> impl Strategy<Value = Sampling> {
    (1_u32..1500, 1_u32..20, any::<bool>(), any::<bool>()).prop_map(
        |(frames, decimation, stream, realtime)| Sampling { frames, decimation, stream, realtime },
    )
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        3 => (0_u16..=1024).prop_map(Call::Ping),
        3 => Just(Call::Write),
        2 => Just(Call::Read),
        1 => Just(Call::Load),
        1 => sampling().prop_map(Call::Acquire),
        4 => sampling().prop_map(Call::LoadAndAcquire),
        1 => Just(Call::SelfTest),
        1 => prop_oneof![
            Just(ResetLevel::Session),
            Just(ResetLevel::Fpga),
            Just(ResetLevel::Controller)
        ]
        .prop_map(Call::Reset),
    ]
}

fn milliseconds(most: u64) -> impl Strategy<Value = Duration> {
    (1..=most).prop_map(Duration::from_millis)
}

fn fault() -> impl Strategy<Value = LinkFault> {
    prop_oneof![
        Just(LinkFault::Drop),
        Just(LinkFault::Duplicate),
        any::<u32>().prop_map(|bit| LinkFault::Flip { bit }),
        any::<u16>().prop_map(|to| LinkFault::Truncate { to }),
        (any::<u16>(), any::<[u8; 4]>()).prop_map(|(at, bytes)| LinkFault::Insert { at, bytes }),
        milliseconds(3000).prop_map(LinkFault::Delay),
        (any::<u16>(), milliseconds(3000)).prop_map(|(at, pause)| LinkFault::Split { at, pause }),
        milliseconds(3000).prop_map(LinkFault::Stall),
        Just(LinkFault::Reorder),
        milliseconds(3000).prop_map(LinkFault::Disconnect),
    ]
}

fn faults() -> impl Strategy<Value = Vec<Scripted>> {
    let direction = prop_oneof![Just(Direction::ToDevice), Just(Direction::ToHost)];
    // Most runs have few frames: faults are dense among the first.
    let frame = prop_oneof![0_u64..12, 0_u64..60, 0_u64..300];
    prop::collection::vec((direction, frame, fault()), 0..16)
}

fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
    let event = prop::sample::select(&Event::ALL[..]);
    prop::collection::vec((prop_oneof![0_u64..30, 0_u64..400], event), 0..4)
}

/// Runs plans from `events` on a virtual clock, and prints what happened.
fn schedules(cases: u32, events: impl Strategy<Value = Vec<(u64, Event)>>) {
    let mut runner =
        TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let plans = (
        any::<u64>(),
        prop::collection::vec((call(), milliseconds(3000)), 1..10),
        faults(),
        events,
    );
    let (tally, cache) = (std::cell::RefCell::default(), std::cell::RefCell::default());
    let result = runner.run(&plans, |(seed, calls, faults, events)| {
        let faults = Schedule::script(faults);
        let _paused = time::pause();
        let tally: &std::cell::RefCell<Tally> = &tally;
        let done =
            run(&Plan { seed, calls, faults, events }, VIRTUAL_SLACK, &mut cache.borrow_mut())
                .map_err(|violation| TestCaseError::fail(violation.to_string()))?;
        tally.borrow_mut().add(done);
        Ok(())
    });
    let tally = tally.into_inner();
    eprintln!(
        "{}, worst overshoot {} us",
        serde_json::to_string(&tally).expect("counts are plain"),
        tally.overshoot_us(1.0)
    );
    if let Err(error) = result {
        panic!("{error}");
    }
    assert_eq!(tally.schedules, u64::from(cases));
}

#[test]
fn faults_of_the_link() {
    schedules(5000, Just(Vec::new()));
}

#[test]
fn faults_of_link_and_board() {
    schedules(5000, events());
}

/// A block, or the end of an acquisition, that comes when the next one runs is not taken for its
/// own. (A soak found it taken.) The first fault makes an event late, the second loses one that
/// would show that it is.
#[test]
fn late_events_are_those_of_their_own_acquisition() {
    let mut cache = Cache::default();
    for stream in [false, true] {
        let sampling = |frames| Sampling { frames, decimation: 3, stream, realtime: false };
        let call = |frames| (Call::LoadAndAcquire(sampling(frames)), Duration::from_secs(5));
        for (late, lost) in (3..12).flat_map(|late| (late..late + 9).map(move |lost| (late, lost)))
        {
            let delay = LinkFault::Delay(Duration::from_millis(80));
            let faults =
                [(Direction::ToHost, late, delay), (Direction::ToHost, lost + 1, LinkFault::Drop)];
            let plan = Plan {
                seed: 0,
                calls: vec![call(633), call(771), call(1400)],
                faults: Schedule::script(faults),
                events: Vec::new(),
            };
            let _paused = time::pause();
            run(&plan, VIRTUAL_SLACK, &mut cache)
                .unwrap_or_else(|violation| panic!("{faults:?}: {violation}"));
        }
    }
}

#[test]
fn the_real_clock() {
    let schedules = 400;
    let tally = run_many(1, Clock::Real, 16, |number| number < schedules, |_| ())
        .unwrap_or_else(|(seed, violation)| panic!("seed {seed}: {violation}"));
    eprintln!(
        "{}, overshoot p99.9 {} us, worst {} us",
        serde_json::to_string(&tally).expect("counts are plain"),
        tally.overshoot_us(0.999),
        tally.overshoot_us(1.0)
    );
    assert_eq!(tally.schedules, schedules);
}

#[test]
fn a_seed_repeats_exactly() {
    for seed in 0..40 {
        let run = || run_seed(seed, Clock::Virtual, &mut Cache::default()).unwrap();
        let (one, other) = (run(), run());
        assert_eq!(serde_json::to_value(&one).unwrap(), serde_json::to_value(&other).unwrap());
        assert_eq!(one.overshoots_us, other.overshoots_us);
    }
}
