//! Does the device keep the contract of the register map and of `Device`? All exact but where a
//! test says otherwise.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use spu_driver::{
    AcquirePlan, Deadline, Device, Error, NullSink, Outcome as Ended, Program, ResetLevel,
};
use spu_protocol::code::{AdcCode, CouplingCode, DacCode, GainCode, full_scale_code};
use spu_protocol::error::ErrorCode;
use spu_protocol::header::MAX_REPLY;
use spu_protocol::regs::{self, Access, banks, board, converters, map_version};

use crate::bench::{Bench, Case, Need, Outcome};
use crate::support::{
    bank_top, both, burst, generator, lively, moments, random_program, record, soon, sustained,
};

/// The suite.
pub(crate) const CASES: &[Case] = &[
    case("identity_is_what_the_registers_say", identity),
    case("nominal_values_are_what_the_registers_say", nominal_values),
    case("scratch_registers_hold_every_bit", scratch),
    case("addresses_outside_the_map_are_refused", outside),
    case("read_only_registers_stay", read_only),
    case("random_programs_read_back", random_programs),
    case("programs_at_both_ends_read_back", program_ends),
    case("refused_programs_change_nothing", refused_programs),
    case("saturation_counts_are_the_streams", converter_ends),
    case("stream_and_moments_agree_to_the_bit", stream_and_moments),
    case("report_is_what_the_registers_say", report_registers),
    Case {
        name: "decimation_keeps_every_dth_sample",
        needs: &[Need::SimulatedCells],
        run: decimation,
    },
    Case { name: "seeds_fix_the_noise", needs: &[Need::SimulatedCells], run: seeds },
    Case { name: "without_seeds_the_noise_runs_on", needs: &[Need::SimulatedCells], run: runs_on },
    case("pings_of_every_size", pings),
    case("a_deadline_holds_and_the_device_goes_on", deadline),
    case("cancelling_keeps_what_was_measured", cancel),
    case("cancelling_is_sticky_until_cleared", sticky_cancel),
    case("reset_leaves_a_usable_device", reset),
    case("self_tests_pass", self_tests),
];

const fn case(name: &'static str, run: fn(&Bench) -> Outcome) -> Case {
    Case { name, needs: &[], run }
}

fn read(device: &mut dyn Device, address: u16) -> Result<u32, Error> {
    let mut word = [0];
    device.read_regs(address, &mut word, soon())?;
    Ok(word[0])
}

fn read_many(device: &mut dyn Device, address: u16, count: usize) -> Result<Vec<u32>, Error> {
    let mut words = vec![0; count];
    device.read_regs(address, &mut words, soon())?;
    Ok(words)
}

fn identity(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let info = device.info().clone();
    let raw = info.raw;
    assert_eq!(read(device, regs::MAGIC)?, regs::MAGIC_VALUE);
    let major = |word: u32| word >> map_version::MAJOR_SHIFT & map_version::MAJOR_MASK;
    assert_eq!(major(read(device, regs::MAP_VERSION)?), major(regs::MAP_VERSION_VALUE));
    assert_eq!(read(device, regs::GATEWARE_ID)?, info.gateware_id);

    let word = read(device, regs::BOARD)?;
    assert_eq!(word >> board::KIND_SHIFT & board::KIND_MASK, u32::from(raw.kind));
    assert_eq!((word >> board::CELLS_SHIFT & board::CELLS_MASK) as usize, info.cells);
    assert!(info.cells >= 1);
    assert_eq!(info.couplings, info.cells * (info.cells - 1) / 2);

    let word = read(device, regs::BANKS)?;
    let field = |shift: u32, mask: u32| word >> shift & mask;
    assert_eq!(field(banks::SELF_BITS_SHIFT, banks::SELF_BITS_MASK), u32::from(raw.self_bits));
    assert_eq!(
        field(banks::COUPLING_BITS_SHIFT, banks::COUPLING_BITS_MASK),
        u32::from(raw.coupling_bits)
    );
    assert_eq!(word & banks::COUPLING_SIGNED != 0, raw.coupling_signed == 1);

    let word = read(device, regs::CONVERTERS)?;
    let field = |shift: u32, mask: u32| (word >> shift & mask) as u8;
    assert_eq!(field(converters::DAC_BITS_SHIFT, converters::DAC_BITS_MASK), raw.dac_bits);
    assert_eq!(field(converters::ADC_BITS_SHIFT, converters::ADC_BITS_MASK), raw.adc_bits);
    assert_eq!(field(converters::SAMPLE_BITS_SHIFT, converters::SAMPLE_BITS_MASK), raw.sample_bits);
    assert_eq!(
        field(converters::CONTROL_BITS_SHIFT, converters::CONTROL_BITS_MASK),
        raw.control_bits
    );
    assert_eq!(
        field(converters::SAMPLES_PER_FRAME_SHIFT, converters::SAMPLES_PER_FRAME_MASK),
        raw.samples_per_frame
    );
    assert!(raw.adc_bits + raw.control_bits <= raw.sample_bits, "a sample fits its word");

    let long = |words: Vec<u32>| u64::from(words[1]) << 32 | u64::from(words[0]);
    assert_eq!(long(read_many(device, regs::SERIAL_LO, 2)?), info.serial);
    let calibration = long(read_many(device, regs::CALIBRATION_ID_LO, 2)?);
    assert_eq!((calibration != 0).then_some(calibration), info.calibration_id);
    let name: Vec<u8> = read_many(device, regs::profile_name(0), regs::PROFILE_NAME_LEN)?
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .take_while(|octet| *octet != 0)
        .collect();
    assert_eq!(String::from_utf8(name)?, info.profile);
    assert_eq!(read(device, regs::SAMPLE_CLOCK_HZ)?, raw.sample_clock_hz);
    assert_eq!(read(device, regs::CAPTURE_FRAMES)?, raw.capture_frames);
    assert_eq!(read(device, regs::STREAM_FRAMES_PER_S)?, raw.stream_frames_per_s);
    assert!(raw.sample_clock_hz > 0 && raw.capture_frames > 0);
    Ok(())
}

fn nominal_values(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let raw = device.info().raw;
    for (name, address, value, positive) in [
        ("noise", regs::NOISE_RMS, raw.noise_rms_code, true),
        ("R", regs::R_OHM, raw.r_ohm, true),
        ("L", regs::L_HENRY, raw.l_henry, true),
        ("self LSB", regs::SELF_LSB_FARAD, raw.self_lsb_farad, true),
        ("coupling LSB", regs::COUPLING_LSB_FARAD, raw.coupling_lsb_farad, true),
        ("stray", regs::STRAY_FARAD, raw.stray_farad, false),
        ("DAC LSB", regs::DAC_LSB_AMPERE, raw.dac_lsb_ampere, true),
        ("ADC LSB", regs::ADC_LSB_VOLT, raw.adc_lsb_volt, true),
        ("drive spread", regs::DRIVE_SPREAD, raw.drive_spread, false),
        ("bank spread", regs::BANK_SPREAD, raw.bank_spread, false),
        ("ADC gain spread", regs::ADC_GAIN_SPREAD, raw.adc_gain_spread, false),
        ("R spread", regs::R_SPREAD, raw.r_spread, false),
        ("L spread", regs::L_SPREAD, raw.l_spread, false),
    ] {
        assert_eq!(read(device, address)?, value.to_bits(), "{name}");
        let sensible = if positive { value > 0.0 } else { value >= 0.0 };
        assert!(value.is_finite() && sensible, "{name} is {value}");
    }
    Ok(())
}

fn scratch(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let walking = (0..32).flat_map(|bit| [1_u32 << bit, !(1 << bit)]);
    for (round, word) in walking.chain([0, u32::MAX, 0x5555_5555, 0xAAAA_AAAA]).enumerate() {
        let words: Vec<u32> = (0..regs::SCRATCH_LEN as u32)
            .map(|index| word.rotate_left(index) ^ (round as u32 & index))
            .collect();
        device.write_regs(regs::scratch(0), &words, soon())?;
        assert_eq!(read_many(device, regs::scratch(0), words.len())?, words);
    }
    // One at a time, so that neighbours are seen to stay.
    device.write_regs(regs::scratch(0), &[1, 2, 3, 4], soon())?;
    device.write_regs(regs::scratch(2), &[33], soon())?;
    assert_eq!(read_many(device, regs::scratch(0), 4)?, [1, 2, 33, 4]);
    Ok(())
}

/// The address that the device refuses.
fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> u16 {
    match result {
        Err(Error::Device { code: ErrorCode::BadAddress, detail }) => detail,
        other => panic!("not refused as a bad address: {other:?}"),
    }
}

fn outside(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let (cells, couplings) = (device.info().cells, device.info().couplings);
    let self_end = regs::self_bank(0) + 4 * cells as u16;
    let coupling_end = regs::coupling_bank(0) + 4 * couplings as u16;
    let gap = regs::STREAM_FRAMES_PER_S + 4;
    for address in [gap, 0x0001, 0x0002, regs::SCRATCH_LEN as u16 * 4 + regs::scratch(0)] {
        assert_eq!(refused(device.read_regs(address, &mut [0], soon())), address);
        assert_eq!(refused(device.write_regs(address, &[0], soon())), address);
    }
    for address in [self_end, coupling_end, regs::FIFO, regs::BULK, 0xFFFC] {
        assert_eq!(refused(device.read_regs(address, &mut [0], soon())), address);
    }
    // A run is refused at the first address that is wrong, and nothing of it is written.
    let before = read_many(device, regs::self_bank(0), cells)?;
    let run: Vec<u32> = before.iter().map(|word| word ^ 1).chain([0]).collect();
    assert_eq!(refused(device.write_regs(regs::self_bank(0), &run, soon())), self_end);
    assert_eq!(read_many(device, regs::self_bank(0), cells)?, before);
    // Beyond the address space.
    refused(device.read_regs(0xFFFC, &mut [0; 2], soon()));
    device.ping(b"still there", soon())?;
    Ok(())
}

fn read_only(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let cells = device.info().cells;
    for register in regs::MAP.iter().filter(|r| r.address < regs::FIFO && r.len(cells) > 0) {
        match register.access {
            Access::Ro => {
                let before = read(device, register.address)?;
                let result = device.write_regs(register.address, &[!before], soon());
                assert_eq!(refused(result), register.address, "{}", register.name);
                assert_eq!(read(device, register.address)?, before, "{}", register.name);
            }
            Access::Wo => {
                let result = device.read_regs(register.address, &mut [0], soon());
                assert_eq!(refused(result), register.address, "{}", register.name);
            }
            Access::Rw => {
                read(device, register.address)?;
            }
        }
    }
    Ok(())
}

/// What the registers hold of a program, seeds included.
fn registers(device: &mut dyn Device) -> Result<Program, Error> {
    let (cells, couplings) = (device.info().cells, device.info().couplings);
    let seeds = read_many(device, regs::noise_seed(0), 4 * cells)?;
    let selves = read_many(device, regs::self_bank(0), cells)?;
    let pairs = match couplings {
        0 => Vec::new(),
        count => read_many(device, regs::coupling_bank(0), count)?,
    };
    let gains = read_many(device, regs::noise_gain(0), cells)?;
    let biases = read_many(device, regs::bias(0), cells)?;
    // A register holds its code sign-extended.
    let signed = |word: &u32| i16::try_from(word.cast_signed()).expect("a 16-bit code");
    Ok(Program {
        self_codes: selves.iter().map(|word| CouplingCode(signed(word))).collect(),
        coupling_codes: pairs.iter().map(|word| CouplingCode(signed(word))).collect(),
        gain_codes: gains.iter().map(|word| GainCode(*word as u16)).collect(),
        bias_codes: biases.iter().map(|word| DacCode(signed(word))).collect(),
        seeds: Some(seeds.chunks_exact(4).map(|s| [s[0], s[1], s[2], s[3]]).collect()),
        discharge: true,
    })
}

/// Loads a program and checks the answer and the registers against it.
fn reads_back(device: &mut dyn Device, program: &Program) -> Outcome {
    let applied = device.load(program, soon())?;
    assert_eq!(applied.program, *program);
    let held = registers(device)?;
    assert_eq!(held, Program { discharge: true, ..program.clone() });

    // v C v = sum of self terms and strays times v², and of couplings times (vᵢ ∓ vⱼ)².
    let info = device.info();
    let v: Vec<f64> = (0..info.cells).map(|i| 1.0 + (i * i) as f64 * 0.3).collect();
    let mut energy = 0.0;
    for i in 0..info.cells {
        let own = f64::from(program.self_codes[i].0) * f64::from(info.raw.self_lsb_farad)
            + f64::from(info.raw.stray_farad);
        energy += own * v[i] * v[i];
        for j in i + 1..info.cells {
            let c = f64::from(program.coupling_codes[info.pair(i, j)].0)
                * f64::from(info.raw.coupling_lsb_farad);
            energy += c.abs() * (v[i] - c.signum() * v[j]).powi(2);
        }
    }
    let mut form = 0.0;
    for ((i, j), c) in applied.capacitance.indexed_iter() {
        form += v[i] * c * v[j];
    }
    assert!((form - energy).abs() <= 1e-9 * energy, "{form} F V² for {energy} F V²");
    let unit = f64::from(info.raw.noise_rms_code) * f64::from(info.raw.dac_lsb_ampere);
    for (ampere, gain) in applied.noise_rms_ampere.iter().zip(&program.gain_codes) {
        assert!((ampere - gain.factor() * unit).abs() <= 1e-12 * unit);
    }
    Ok(())
}

fn random_programs(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let info = device.info().clone();
    let mut rng = generator(1);
    for _ in 0..25 {
        reads_back(device, &random_program(&info, &mut rng))?;
    }
    Ok(())
}

fn program_ends(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let info = device.info().clone();
    let raw = info.raw;
    let (self_top, top) = (bank_top(raw.self_bits), bank_top(raw.coupling_bits));
    let full = full_scale_code(raw.dac_bits);
    let low = if raw.coupling_signed == 1 { -top } else { 0 };
    for flip in [0, 1] {
        let either = |index: usize, a: i16, b: i16| if index % 2 == flip { a } else { b };
        let program = Program {
            // An own term of zero is held by couplings where there are any.
            self_codes: (0..info.cells)
                .map(|i| CouplingCode(either(i, self_top, i16::from(info.cells == 1))))
                .collect(),
            coupling_codes: (0..info.couplings)
                .map(|p| CouplingCode(if low < 0 { either(p, top, low) } else { top }))
                .collect(),
            gain_codes: (0..info.cells)
                .map(|i| GainCode(if i % 2 == flip { u16::MAX } else { 0 }))
                .collect(),
            bias_codes: (0..info.cells).map(|i| DacCode(either(i, full, -full))).collect(),
            seeds: Some(vec![[u32::MAX; 4]; info.cells]),
            discharge: true,
        };
        reads_back(device, &program)?;
        let uncoupled = Program {
            self_codes: vec![CouplingCode(self_top); info.cells],
            coupling_codes: vec![CouplingCode(0); info.couplings],
            seeds: Some(vec![[0, 0, 0, 1]; info.cells]),
            ..program
        };
        reads_back(device, &uncoupled)?;
    }
    Ok(())
}

fn refused_programs(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let info = device.info().clone();
    let raw = info.raw;
    let good = random_program(&info, &mut generator(2));
    device.load(&good, soon())?;
    let before = registers(device)?;
    let other = random_program(&info, &mut generator(3));
    let full = full_scale_code(raw.dac_bits);
    let past = |bits: u8| bank_top(bits).checked_add(1).unwrap_or(-1);
    let with = |change: &dyn Fn(&mut Program)| {
        let mut program = other.clone();
        change(&mut program);
        program
    };
    let last = info.cells - 1;
    let mut bad = vec![
        ("self too large", with(&|p| p.self_codes[last] = CouplingCode(past(raw.self_bits)))),
        ("self negative", with(&|p| p.self_codes[0] = CouplingCode(-1))),
        ("bias too large", with(&|p| p.bias_codes[last] = DacCode(full + 1))),
        ("bias too small", with(&|p| p.bias_codes[0] = DacCode(-full - 1))),
        ("a zero seed", with(&|p| p.seeds = Some(vec![[0; 4]; info.cells]))),
        ("a gain missing", with(&|p| p.gain_codes.truncate(last))),
        ("a self code more", with(&|p| p.self_codes.push(CouplingCode(0)))),
    ];
    if info.couplings > 0 && (raw.coupling_signed == 0 || raw.coupling_bits < 15) {
        let code = if raw.coupling_signed == 0 { -1 } else { -past(raw.coupling_bits) };
        bad.push(("a coupling too small", with(&|p| p.coupling_codes[0] = CouplingCode(code))));
    }
    for (what, program) in bad {
        match device.load(&program, soon()) {
            Err(Error::Unsupported { reasons }) => assert!(!reasons.is_empty(), "{what}"),
            other => panic!("{what}: not refused with reasons but {other:?}"),
        }
        assert_eq!(registers(device)?, before, "{what} changed the board");
    }
    Ok(())
}

fn converter_ends(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let info = device.info().clone();
    let mut program = lively(&info, 4);
    program.gain_codes = vec![GainCode(u16::MAX); info.cells];
    // The smallest capacitance swings furthest.
    program.coupling_codes.fill(CouplingCode(0));
    program.self_codes = vec![CouplingCode(1.max(bank_top(info.raw.self_bits) / 5)); info.cells];
    let (keep, report) = record(device, &program, &both(1000, 1, burst(&info)))?;
    let full = full_scale_code(info.raw.adc_bits);
    let ends = |codes: &[AdcCode], cell: usize| {
        let cell = codes.iter().skip(cell).step_by(info.cells);
        cell.filter(|code| code.0.abs() >= full).count() as u64
    };
    assert!(keep.codes.iter().all(|code| code.0.abs() <= full), "a code beyond ±{full}");
    let counted: Vec<u64> = (0..info.cells).map(|cell| ends(&keep.codes, cell)).collect();
    assert_eq!(report.saturated, counted);
    // The noise at full gain holds its DAC at either end most of the time: an RLC board shows both
    // ends of its converters then.
    ensure!(keep.codes.iter().any(|code| code.0 == full), "no code at the upper end");
    ensure!(keep.codes.iter().any(|code| code.0 == -full), "no code at the lower end");
    program.gain_codes = vec![GainCode(0); info.cells];
    let (_, quiet) = record(device, &program, &both(1000, 1, burst(&info)))?;
    assert_eq!(quiet.saturated, vec![0; info.cells]);
    Ok(())
}

fn stream_and_moments(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let info = device.info().clone();
    let program = lively(&info, 5);
    let slow = sustained(&info);
    for (settle, decimation, count) in
        [(0, 1, 1), (0, 1, 2), (777, 1, burst(&info)), (500, slow.max(3), 20_000)]
    {
        let plan = both(settle, decimation, count);
        let (keep, report) = record(device, &program, &plan)?;
        assert_eq!((report.outcome, report.kept, report.lost), (Ended::Complete, count.into(), 0));
        assert_eq!(keep.frame_count(), u64::from(count));
        let ticks = settle + u64::from(count - 1) * u64::from(decimation) + 1;
        assert_eq!(report.ticks.0, ticks);
        let summed = moments(&keep.codes, info.cells);
        assert_eq!(report.moments.as_ref(), Some(&summed));
        if count > 1000 {
            let moves = |i: usize| keep.cell(i).any(|code| code.abs() > 1.0);
            assert!((0..info.cells).all(moves), "a cell does not move");
        }

        let (none, only) = record(device, &program, &AcquirePlan { stream: false, ..plan })?;
        assert_eq!((none.frame_count(), only.moments), (0, Some(summed)));
        assert_eq!(only.saturated, report.saturated);
        let (again, bare) = record(device, &program, &AcquirePlan { moments: false, ..plan })?;
        assert_eq!((again.codes, bare.moments), (keep.codes, None));
    }
    Ok(())
}

fn report_registers(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let info = device.info().clone();
    let plan = AcquirePlan { stream: false, ..both(321, 5, 3000) };
    let (_, report) = record(device, &lively(&info, 6), &plan)?;
    assert_eq!(u64::from(read(device, regs::KEPT)?), report.kept);
    assert_eq!(u64::from(read(device, regs::LOST)?), report.lost);
    let long = |words: &[u32]| u64::from(words[1]) << 32 | u64::from(words[0]);
    assert_eq!(long(&read_many(device, regs::TICKS_LO, 2)?), report.ticks.0);
    let saturated = read_many(device, regs::saturated(0), info.cells)?;
    let saturated: Vec<u64> = saturated.into_iter().map(u64::from).collect();
    assert_eq!(saturated, report.saturated);
    let sums = |words: Vec<u32>| -> Vec<i128> {
        words.chunks_exact(2).map(|pair| i128::from(long(pair).cast_signed())).collect()
    };
    let summed = report.moments.expect("planned moments");
    assert_eq!(sums(read_many(device, regs::sum(0), 2 * info.cells)?), summed.sums);
    let words = 2 * summed.products.len();
    assert_eq!(sums(read_many(device, regs::product(0), words)?), summed.products);
    Ok(())
}

fn decimation(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let info = device.info().clone();
    let program = lively(&info, 7);
    let all = burst(&info);
    let (raw, _) = record(device, &program, &both(250, 1, all))?;
    for d in [2, 3, 7, 64, 1000] {
        let count = (all - 1) / d + 1;
        let (kept, report) = record(device, &program, &both(250, d, count))?;
        let expected: Vec<AdcCode> =
            raw.codes.chunks_exact(info.cells).step_by(d as usize).flatten().copied().collect();
        assert_eq!(kept.codes, expected, "decimation {d}");
        assert_eq!(report.moments, Some(moments(&expected, info.cells)));
    }
    // Settling only skips.
    let (late, _) = record(device, &program, &both(250 + 100, 1, all - 100))?;
    assert_eq!(late.codes, raw.codes[100 * info.cells..]);
    Ok(())
}

/// A board's analog cells never repeat to the bit; a simulated one does, and so does every rung
/// whose cells are simulated. On a board with real cells the digital noise still must.
fn seeds(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let info = device.info().clone();
    let plan = both(100, 1, burst(&info).min(2000));
    let mut run = |seed| Ok::<_, Error>(record(device, &lively(&info, seed), &plan)?.0.codes);
    let (one, again, other) = (run(8)?, run(8)?, run(9)?);
    assert_eq!(one, again, "the same seeds");
    assert_ne!(one, other, "other seeds");
    // One cell's seed changes that cell, if nothing couples it to the others.
    let mut alone = lively(&info, 8);
    alone.coupling_codes.fill(CouplingCode(0));
    let (before, _) = record(device, &alone, &plan)?;
    if let Some(seeds) = &mut alone.seeds {
        seeds[0][3] ^= 1;
    }
    let (after, _) = record(device, &alone, &plan)?;
    assert!(!before.cell(0).eq(after.cell(0)), "cell 0 has another seed");
    for cell in 1..info.cells {
        assert!(before.cell(cell).eq(after.cell(cell)), "cell {cell} has the same seed");
    }
    Ok(())
}

fn runs_on(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let info = device.info().clone();
    let program = lively(&info, 10);
    let half = burst(&info) / 2;
    let (whole, _) = record(device, &program, &both(0, 1, 2 * half))?;
    // A later acquisition goes on with the next tick.
    let (first, _) = record(device, &program, &both(0, 1, half))?;
    let mut second = crate::support::Keep::new(info.cells);
    device.acquire(&both(0, 1, half), &mut second, soon())?;
    assert_eq!([first.codes, second.codes].concat(), whole.codes);
    // And a load without seeds does not start the noise again.
    let (next, _) = record(device, &Program { seeds: None, ..program.clone() }, &both(0, 1, half))?;
    assert_ne!(next.codes, whole.codes[..half as usize * info.cells]);
    Ok(())
}

fn pings(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let sizes = [0, 1, 2, 3, 63, 64, 65, 253, 254, 255, 256, 511, 512, MAX_REPLY - 1, MAX_REPLY];
    for size in sizes {
        for fill in [0_u8, 1, 0xFF] {
            device.ping(&vec![fill; size], soon())?;
        }
        let ramp: Vec<u8> = (0..size).map(|index| index as u8).collect();
        device.ping(&ramp, soon())?;
    }
    let result = device.ping(&[0; MAX_REPLY + 1], soon());
    assert!(matches!(result, Err(Error::Unsupported { .. })), "{result:?}");
    device.ping(b"still there", soon())?;
    Ok(())
}

/// Long enough not to end in a test: at 12 MHz hours.
fn endless(bench: &Bench, stream: bool) -> AcquirePlan {
    let decimation = sustained(bench.info()).max(50);
    AcquirePlan { stream, ..both(100, decimation, u32::MAX) }
}

fn usable(device: &mut dyn Device) -> Outcome {
    let info = device.info().clone();
    let (keep, report) = record(device, &lively(&info, 11), &both(50, 1, 100))?;
    assert_eq!((report.outcome, report.kept, keep.frame_count()), (Ended::Complete, 100, 100));
    assert_eq!(report.moments, Some(moments(&keep.codes, info.cells)));
    Ok(())
}

fn deadline(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    device.load(&lively(bench.info(), 12), soon())?;
    for stream in [false, true] {
        let allowed = Duration::from_millis(300);
        let start = Instant::now();
        let plan = endless(bench, stream);
        let result = device.acquire(&plan, &mut NullSink, Deadline::after(allowed));
        let took = start.elapsed();
        assert!(matches!(result, Err(Error::Timeout { op: "acquire", .. })), "{result:?}");
        assert!(took >= allowed && took < allowed + Duration::from_secs(1), "took {took:?}");
        usable(device)?;
    }
    Ok(())
}

fn cancel(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let cells = bench.info().cells;
    let program = lively(bench.info(), 13);
    for stream in [false, true] {
        let handle = device.cancel_handle();
        let canceller = thread::spawn(move || {
            thread::sleep(Duration::from_millis(150));
            handle.cancel();
        });
        let start = Instant::now();
        let plan = endless(bench, stream);
        let (keep, report) = record(device, &program, &plan)?;
        let took = start.elapsed();
        canceller.join().expect("the canceller does not panic");
        device.cancel_handle().clear();
        assert_eq!(report.outcome, Ended::Cancelled);
        assert!(took < Duration::from_secs(2), "took {took:?}");
        assert!(report.kept > 0 && report.kept < u64::from(u32::MAX));
        let measured = report.moments.expect("planned moments");
        assert_eq!(measured.count, report.kept);
        assert!(keep.frame_count() <= report.kept);
        // What was measured is what a whole acquisition of that length gives.
        let count = u32::try_from(report.kept)?;
        let same = AcquirePlan { stream: false, ..both(100, plan.decimation.get(), count) };
        let (_, whole) = record(device, &program, &same)?;
        assert_eq!(whole.moments, Some(measured.clone()));
        if keep.frame_count() == report.kept && stream {
            assert_eq!(moments(&keep.codes, cells), measured);
        }
        usable(device)?;
    }
    Ok(())
}

fn sticky_cancel(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let handle = device.cancel_handle();
    handle.cancel();
    assert!(device.cancel_handle().is_cancelled());
    for _ in 0..2 {
        let report = device.acquire(&both(0, 1, 100), &mut NullSink, soon())?;
        assert_eq!((report.outcome, report.kept), (Ended::Cancelled, 0));
    }
    handle.clear();
    usable(device)
}

fn reset(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let before = device.info().clone();
    for level in [ResetLevel::Session, ResetLevel::Fpga, ResetLevel::Controller] {
        device.load(&lively(&before, 14), soon())?;
        device.write_regs(regs::scratch(0), &[1, 2, 3, 4], soon())?;
        device.reset(level, soon())?;
        assert_eq!(device.info(), &before, "another board after the reset");
        if level != ResetLevel::Session {
            let values = read_many(device, regs::scratch(0), regs::SCRATCH_LEN)?;
            assert_eq!(values, [0; regs::SCRATCH_LEN], "{level:?}");
            assert_eq!(read(device, regs::KEPT)?, 0, "{level:?}");
        }
        usable(device)?;
    }
    Ok(())
}

fn self_tests(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let mut ran = 0;
    for level in 0..=2 {
        let report = device.self_test(level, soon())?;
        assert!(report.passed() && report.first_failure.is_none(), "level {level}: {report:?}");
        assert!(report.tests.len() > ran, "level {level} adds no test: {report:?}");
        ran = report.tests.len();
        usable(device)?;
    }
    Ok(())
}
