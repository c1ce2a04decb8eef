//! The client over the simulated board in this process.
#![cfg(feature = "sim")]

use std::num::NonZeroU32;
use std::thread;
use std::time::{Duration, Instant};

use spu_driver::discover::{Listed, State};
use spu_driver::sim::open_sim;
use spu_driver::uri::SimOptions;
use spu_driver::{
    AcquirePlan, BoardInfo, Deadline, Device, Error, FrameBlock, Moments, NullSink, Outcome,
    Program, ResetLevel, Sink, list, open, open_copies,
};
use spu_protocol::code::{AdcCode, CouplingCode, DacCode, GainCode, Ticks};
use spu_protocol::error::ErrorCode;
use spu_protocol::regs;

const PROFILES: [&str; 3] = ["sim:profile=ideal", "sim:profile=rev-a", "sim:profile=rev-b"];

fn soon() -> Deadline {
    Deadline::after_secs(20)
}

fn plan(count: u32) -> AcquirePlan {
    AcquirePlan {
        settle: Ticks(500),
        decimation: NonZeroU32::new(3).unwrap(),
        count: NonZeroU32::new(count).unwrap(),
        moments: true,
        stream: true,
        realtime: false,
    }
}

fn program(info: &BoardInfo) -> Program {
    let top = ((1_i32 << info.raw.self_bits) - 1) as i16;
    let coupling = |pair: usize| {
        let sign = if info.raw.coupling_signed == 1 && pair.is_multiple_of(2) { -1 } else { 1 };
        CouplingCode(sign * i16::from(pair.is_multiple_of(3)))
    };
    Program {
        self_codes: (0..info.cells).map(|cell| CouplingCode(top - cell as i16)).collect(),
        coupling_codes: (0..info.couplings).map(coupling).collect(),
        gain_codes: vec![GainCode(2048); info.cells],
        bias_codes: vec![DacCode(0); info.cells],
        storage_codes: Vec::new(),
        seeds: Some((1..=info.cells as u32).map(|cell| [cell, 2, 3, 4]).collect()),
        discharge: true,
    }
}

/// Keeps all codes and checks that the frames come in order.
#[derive(Default)]
struct Keep(Vec<AdcCode>, u64);

impl Sink for Keep {
    fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()> {
        assert_eq!((block.first_frame, block.lost_before), (self.1, 0));
        self.0.extend_from_slice(block.codes);
        self.1 = self.0.len() as u64 / 8;
        Ok(())
    }
}

/// The moments of these frames.
fn moments(codes: &[AdcCode], cells: usize) -> Moments {
    let mut moments = Moments { count: 0, sums: vec![0; cells], products: Vec::new() };
    let mut products = vec![0; cells * (cells + 1) / 2];
    for frame in codes.chunks_exact(cells) {
        moments.count += 1;
        let mut pair = products.iter_mut();
        for i in 0..cells {
            moments.sums[i] += i128::from(frame[i].0);
            for j in i..cells {
                *pair.next().unwrap() += i128::from(frame[i].0) * i128::from(frame[j].0);
            }
        }
    }
    moments.products = products;
    moments
}

#[test]
fn every_profile_opens_and_says_who_it_is() {
    for uri in PROFILES {
        let device = open(uri).unwrap();
        assert!(uri.ends_with(&format!("={}", device.info().profile)));
        assert_eq!((device.info().cells, device.info().couplings), (8, 28));
        assert_eq!(device.info().raw.sample_clock_hz, 12_000_000);
        assert_eq!(device.uri(), format!("{uri},seed=0,copy=0"));
        let again = open(device.uri()).unwrap();
        assert_eq!(again.info(), device.info());
    }
}

#[test]
fn a_program_is_what_the_registers_hold() {
    for uri in PROFILES {
        let mut device = open(uri).unwrap();
        let program = program(device.info());
        let applied = device.load(&program, soon()).unwrap();
        assert_eq!(applied.program, program);
        let mut words = [0; 28];
        device.read_regs(regs::coupling_bank(0), &mut words, soon()).unwrap();
        let codes: Vec<_> = words.iter().map(|word| CouplingCode(*word as i16)).collect();
        assert_eq!(codes, program.coupling_codes);
        device.read_regs(regs::self_bank(0), &mut words[..8], soon()).unwrap();
        let codes: Vec<_> = words[..8].iter().map(|word| CouplingCode(*word as i16)).collect();
        assert_eq!(codes, program.self_codes);
        let symmetric = &applied.network - &applied.network.t();
        assert!(symmetric.iter().all(|element| *element == 0.0));
    }
}

#[test]
fn a_program_beyond_the_board_is_refused() {
    let mut device = open("sim:profile=rev-a").unwrap();
    let mut program = program(device.info());
    program.coupling_codes[5] = CouplingCode(-1);
    program.self_codes[0] = CouplingCode(1000);
    let error = device.load(&program, soon()).unwrap_err();
    assert!(matches!(&error, Error::Unsupported { reasons } if reasons.len() == 2), "{error}");
}

#[test]
fn stream_and_moments_agree_to_the_bit() {
    for uri in PROFILES {
        let mut device = open(uri).unwrap();
        let program = program(device.info());
        let mut run = |plan: AcquirePlan, sink: &mut dyn Sink| {
            device.load(&program, soon()).unwrap();
            device.acquire(&plan, sink, soon()).unwrap()
        };
        let mut keep = Keep::default();
        let both = run(plan(20_000), &mut keep);
        assert_eq!((both.outcome, both.kept, both.lost), (Outcome::Complete, 20_000, 0));
        assert_eq!(both.ticks, Ticks(500 + 3 * 19_999 + 1));
        let from_stream = moments(&keep.0, 8);
        assert!(from_stream.products[0] > 0, "the cells move");
        assert_eq!(both.moments.as_ref(), Some(&from_stream));

        let alone = run(AcquirePlan { stream: false, ..plan(20_000) }, &mut NullSink);
        assert_eq!(alone.moments, both.moments);
        assert_eq!(alone.saturated, both.saturated);

        let mut only = Keep::default();
        let stream = run(AcquirePlan { moments: false, ..plan(20_000) }, &mut only);
        assert_eq!(stream.moments, None);
        assert_eq!(only.0, keep.0);
    }
}

#[test]
fn streams_of_any_length_are_whole() {
    let mut device = open("sim").unwrap();
    for count in [1, 2, 7, 255, 256, 257, 4097] {
        let mut keep = Keep::default();
        let one = AcquirePlan { settle: Ticks(0), decimation: NonZeroU32::MIN, ..plan(count) };
        let report = device.acquire(&one, &mut keep, soon()).unwrap();
        assert_eq!((keep.1, report.kept, report.lost), (count.into(), count.into(), 0));
        assert_eq!(report.moments, Some(moments(&keep.0, 8)));
    }
}

#[test]
fn a_later_acquisition_continues_and_a_seeded_one_repeats() {
    let mut device = open("sim:seed=3").unwrap();
    let program = program(device.info());
    let mut run = |load: bool| {
        if load {
            device.load(&program, soon()).unwrap();
        }
        let mut keep = Keep::default();
        device.acquire(&plan(1000), &mut keep, soon()).unwrap();
        keep.0
    };
    let (first, later, again) = (run(true), run(false), run(true));
    assert_ne!(first, later);
    assert_eq!(first, again);
}

#[test]
fn copies_are_different_boards() {
    let mut codes = Vec::new();
    for mut device in open_copies("sim:profile=rev-a,seed=5", 3).unwrap() {
        let program = program(device.info());
        device.load(&program, soon()).unwrap();
        let mut keep = Keep::default();
        device.acquire(&plan(1000), &mut keep, soon()).unwrap();
        codes.push(keep.0);
    }
    assert!(codes[0] != codes[1] && codes[1] != codes[2] && codes[0] != codes[2]);
}

/// Long enough not to end in a test.
fn endless(stream: bool) -> AcquirePlan {
    AcquirePlan { stream, ..plan(u32::MAX) }
}

#[test]
fn another_thread_cancels_and_what_was_measured_is_kept() {
    for stream in [false, true] {
        let mut device = open("sim").unwrap();
        let program = program(device.info());
        device.load(&program, soon()).unwrap();
        let cancel = device.cancel_handle();
        let canceller = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            cancel.cancel();
        });
        let start = Instant::now();
        let report = device.acquire(&endless(stream), &mut NullSink, soon()).unwrap();
        canceller.join().unwrap();
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        assert_eq!(report.outcome, Outcome::Cancelled);
        assert!(report.kept > 0);
        assert_eq!(report.moments.unwrap().count, report.kept);

        device.cancel_handle().clear();
        let report = device.acquire(&plan(100), &mut NullSink, soon()).unwrap();
        assert_eq!((report.outcome, report.kept), (Outcome::Complete, 100));
    }
}

/// Keeps the reports of progress.
#[derive(Default)]
struct Progress(Vec<(u64, u64)>);

impl Sink for Progress {
    fn frames(&mut self, _block: &FrameBlock<'_>) -> std::io::Result<()> {
        Ok(())
    }

    fn progress(&mut self, kept: u64, total: u64) {
        self.0.push((kept, total));
    }
}

#[test]
fn a_deadline_holds_and_the_board_goes_on() {
    for stream in [false, true] {
        let mut device = open("sim").unwrap();
        let start = Instant::now();
        let mut progress = Progress::default();
        let deadline = Deadline::after(Duration::from_millis(300));
        let result = device.acquire(&endless(stream), &mut progress, deadline);
        let took = start.elapsed();
        assert!(matches!(result, Err(Error::Timeout { op: "acquire", .. })), "{result:?}");
        assert!((300..1000).contains(&took.as_millis()), "{took:?}");
        assert!((2..20).contains(&progress.0.len()), "{:?}", progress.0);
        assert!(progress.0.is_sorted() && progress.0[0].0 > 0, "{:?}", progress.0);
        let report = device.acquire(&plan(100), &mut NullSink, soon()).unwrap();
        assert_eq!((report.outcome, report.kept), (Outcome::Complete, 100));
    }
}

#[test]
fn phases_add_up_to_the_wall_time() {
    let mut device = open("sim").unwrap();
    let start = Instant::now();
    let report = device.acquire(&plan(200_000), &mut NullSink, soon()).unwrap();
    let wall = start.elapsed();
    let phases = report.phases;
    let sum = phases.encode + phases.program + phases.acquire + phases.transfer + phases.decode;
    assert!(sum <= wall && sum > wall / 2, "{sum:?} of {wall:?}: {phases:?}");
    assert!(phases.acquire > Duration::ZERO && phases.decode > Duration::ZERO, "{phases:?}");
}

#[test]
fn faults_are_planted_by_uri() {
    let products = |fault: &str| {
        let mut device = open(&format!("sim:profile=ideal{fault}")).unwrap();
        let mut program = program(device.info());
        program.coupling_codes.fill(CouplingCode(0));
        device.load(&program, soon()).unwrap();
        let plan = AcquirePlan { stream: false, ..plan(5000) };
        device.acquire(&plan, &mut NullSink, soon()).unwrap().moments.unwrap().products
    };
    // Cell 1's own product is the ninth.
    let good = products("");
    let dead = products(",fault=dead-cell.1");
    assert!(good[8] > 0);
    assert_eq!(dead[8], 0);
    assert_eq!(dead[0], good[0]);
    let two = products(",fault=dead-cell.1+drive-gain.0.0.5");
    assert_eq!(two[8], 0);
    let ratio = two[0] as f64 / good[0] as f64;
    assert!((0.24..0.26).contains(&ratio), "{ratio}");
}

#[test]
fn a_board_that_hangs_is_stalled() {
    let mut device = open("sim:fault=hang").unwrap();
    let start = Instant::now();
    let error = device.acquire(&plan(1000), &mut NullSink, soon()).unwrap_err();
    assert!(matches!(error, Error::Device { code: ErrorCode::Stalled, .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    device.ping(b"still there", soon()).unwrap();
}

#[test]
fn losses_in_real_time_are_counted_to_the_frame() {
    /// Counts frames delivered and reported lost.
    #[derive(Default)]
    struct Tally {
        next: u64,
        delivered: u64,
        lost: u64,
    }
    impl Sink for Tally {
        fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()> {
            assert_eq!(block.first_frame, self.next + block.lost_before);
            let frames = block.codes.len() as u64 / 8;
            self.next = block.first_frame + frames;
            self.delivered += frames;
            self.lost += block.lost_before;
            Ok(())
        }
    }
    // The board runs past what its capture memory holds between two looks at it.
    let mut device = open("sim:quantum=100000").unwrap();
    let plan = AcquirePlan { decimation: NonZeroU32::MIN, realtime: true, ..plan(1_000_000) };
    let mut tally = Tally::default();
    let report = device.acquire(&plan, &mut tally, soon()).unwrap();
    assert!(report.lost > 0, "nothing was lost: the test does not test");
    assert_eq!(tally.delivered + report.lost, 1_000_000);
    assert_eq!(report.kept, 1_000_000);
    // What is lost after the last block has no block to be reported before.
    assert_eq!(report.lost - tally.lost, 1_000_000 - tally.next);
    assert_eq!(report.moments.unwrap().count, 1_000_000);
}

#[test]
fn a_board_that_loses_power_is_opened_again() {
    let options = SimOptions::default();
    let mut device = open_sim(&options, soon()).unwrap();
    device.write_regs(regs::scratch(0), &[7], soon()).unwrap();
    device.link_mut().control().power_cycle();
    let error = device.ping(b"x", soon()).unwrap_err();
    assert!(matches!(error, Error::Device { code: ErrorCode::BadSession, .. }), "{error}");
    let mut word = [9];
    device.read_regs(regs::scratch(0), &mut word, soon()).unwrap();
    assert_eq!(word, [0]);
}

#[test]
fn registers_are_read_written_and_guarded() {
    let mut device = open("sim").unwrap();
    device.write_regs(regs::scratch(0), &[1, 2, 3, 4], soon()).unwrap();
    let mut words = [0; 4];
    device.read_regs(regs::scratch(0), &mut words, soon()).unwrap();
    assert_eq!(words, [1, 2, 3, 4]);
    device.read_regs(regs::MAGIC, &mut words[..1], soon()).unwrap();
    assert_eq!(words[0], 0x5350_5546);
    for (address, word) in [(regs::MAGIC, 0), (0x0002, 0)] {
        let error = device.write_regs(address, &[word], soon()).unwrap_err();
        assert!(matches!(error, Error::Device { code: ErrorCode::BadAddress, .. }), "{error}");
    }
    device.reset(ResetLevel::Session, soon()).unwrap();
    device.read_regs(regs::scratch(0), &mut words, soon()).unwrap();
    assert_eq!(words, [1, 2, 3, 4]);
    for level in [ResetLevel::Fpga, ResetLevel::Controller] {
        device.write_regs(regs::scratch(0), &[1, 2, 3, 4], soon()).unwrap();
        device.reset(level, soon()).unwrap();
        device.read_regs(regs::scratch(0), &mut words, soon()).unwrap();
        assert_eq!(words, [0; 4], "{level:?}");
    }
}

#[test]
fn self_tests_pass_on_a_good_board_and_find_a_dead_cell() {
    for uri in PROFILES {
        let mut device = open(uri).unwrap();
        for level in 0..3 {
            let report = device.self_test(level, soon()).unwrap();
            assert!(report.passed(), "{uri}: {report:?}");
            assert!(report.tests.len() > level as usize, "{report:?}");
        }
        let mut device = open(&format!("{uri},fault=dead-cell.2")).unwrap();
        assert!(device.self_test(1, soon()).unwrap().passed());
        assert!(!device.self_test(2, soon()).unwrap().passed(), "{uri}");
    }
}

#[test]
fn what_there_is_not_is_named() {
    for (uri, part) in [
        ("sim:profile=rev-z", "rev-a"),
        ("sim:without=magic", "bank_tolerance"),
        ("sim:fault=dead-cell.99", "99"),
        ("sim:fault=dead", "stuck-coupling.I.J.BIT.on|off"),
    ] {
        let error = open(uri).err().expect("there is no such thing");
        assert!(matches!(error, Error::BadUri { .. }), "{error}");
        assert!(error.to_string().contains(part), "{error}: no {part:?}");
    }
    let error = open("sim:profile=nowhere.toml").err().expect("there is no such file");
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert!(error.to_string().contains("nowhere.toml"), "{error}");
}

#[test]
fn profile_files_are_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../hardware/profiles/rev-b.toml");
    let device = open(&format!("sim:profile={path}")).unwrap();
    assert_eq!(device.info().profile, "rev-b");
}

#[test]
fn everything_listed_opens() {
    let listing = list();
    // This machine may have boards too; they may be in use.
    let of_sim = |device: &&Listed| device.uri.starts_with("sim:");
    let simulated: Vec<_> = listing.devices.iter().filter(of_sim).collect();
    assert_eq!(simulated.len(), spu_sim::profile::NAMES.len());
    for device in simulated {
        assert_eq!(device.state, State::Present);
        open(&device.uri).unwrap();
        assert!(!device.description.is_empty());
    }
    assert!(listing.not_searched.iter().any(|item| item.scheme == "tcp"));
}

#[test]
fn without_switches_off_one_thing() {
    let with = open("sim:profile=rev-a").unwrap();
    let without = open("sim:profile=rev-a,without=stray").unwrap();
    assert!(with.info().raw.stray_farad > 0.0);
    assert_eq!(without.info().raw.stray_farad.to_bits(), 0);
}

#[test]
fn data_do_not_depend_on_the_quantum() {
    let codes = |uri: &str| {
        let mut device = open(uri).unwrap();
        let program = program(device.info());
        device.load(&program, soon()).unwrap();
        let mut keep = Keep::default();
        device.acquire(&plan(3000), &mut keep, soon()).unwrap();
        keep.0
    };
    assert_eq!(codes("sim:quantum=17"), codes("sim"));
}
