//! Programs: what is loaded reads back, what is refused changes nothing.

use spu_driver::{Device, Error, Program};
use spu_protocol::code::{CouplingCode, DacCode, GainCode, full_scale_code};
use spu_protocol::payload::info::BoardKind;
use spu_protocol::regs;

use super::read_many;
use crate::bench::{Bench, Outcome};
use crate::support::{bank_top, generator, random_program, soon, storage};

/// What the registers hold of a program, seeds included.
pub(super) fn registers(device: &mut dyn Device) -> Result<Program, Error> {
    let (cells, couplings) = (device.info().cells, device.info().couplings);
    let seeds = read_many(device, regs::noise_seed(0), 4 * cells)?;
    let selves = read_many(device, regs::self_bank(0), cells)?;
    let pairs = match couplings {
        0 => Vec::new(),
        count => read_many(device, regs::coupling_bank(0), count)?,
    };
    let gains = read_many(device, regs::noise_gain(0), cells)?;
    let biases = read_many(device, regs::bias(0), cells)?;
    let storage = match device.info().raw.storage_bits {
        0 => Vec::new(),
        _ => read_many(device, regs::storage(0), cells)?,
    };
    // A register holds its code sign-extended.
    let signed = |word: &u32| i16::try_from(word.cast_signed()).expect("a 16-bit code");
    Ok(Program {
        self_codes: selves.iter().map(|word| CouplingCode(signed(word))).collect(),
        coupling_codes: pairs.iter().map(|word| CouplingCode(signed(word))).collect(),
        gain_codes: gains.iter().map(|word| GainCode(*word as u16)).collect(),
        bias_codes: biases.iter().map(|word| DacCode(signed(word))).collect(),
        storage_codes: storage.iter().map(|word| CouplingCode(signed(word))).collect(),
        seeds: Some(seeds.chunks_exact(4).map(|s| [s[0], s[1], s[2], s[3]]).collect()),
        discharge: true,
    })
}

/// Loads a program and checks the answer and the registers against it.
pub(super) fn reads_back(device: &mut dyn Device, program: &Program) -> Outcome {
    let applied = device.load(program, soon())?;
    assert_eq!(applied.program, *program);
    let held = registers(device)?;
    assert_eq!(held, Program { discharge: true, ..program.clone() });

    // v C v = sum of self terms and strays times v², and of couplings times (vᵢ ∓ vⱼ)²; of RC boards
    // v G v, with leakages in place of strays.
    let info = device.info();
    let always = match info.kind() {
        BoardKind::Rc => 1.0 / f64::from(info.raw.r_ohm),
        _ => f64::from(info.raw.stray_farad),
    };
    let v: Vec<f64> = (0..info.cells).map(|i| 1.0 + (i * i) as f64 * 0.3).collect();
    let mut energy = 0.0;
    for i in 0..info.cells {
        let own = f64::from(program.self_codes[i].0) * f64::from(info.raw.self_lsb_farad) + always;
        energy += own * v[i] * v[i];
        for j in i + 1..info.cells {
            let c = f64::from(program.coupling_codes[info.pair(i, j)].0)
                * f64::from(info.raw.coupling_lsb_farad);
            energy += c.abs() * (v[i] - c.signum() * v[j]).powi(2);
        }
    }
    let mut form = 0.0;
    for ((i, j), c) in applied.network.indexed_iter() {
        form += v[i] * c * v[j];
    }
    assert!((form - energy).abs() <= 1e-9 * energy, "{form} for {energy}");
    let unit = f64::from(info.raw.noise_rms_code) * f64::from(info.raw.dac_lsb_ampere);
    for (ampere, gain) in applied.noise_rms_ampere.iter().zip(&program.gain_codes) {
        assert!((ampere - gain.factor() * unit).abs() <= 1e-12 * unit);
    }
    Ok(())
}

pub(super) fn random_programs(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let info = device.info().clone();
    let mut rng = generator(1);
    for _ in 0..25 {
        reads_back(device, &random_program(&info, &mut rng))?;
    }
    Ok(())
}

pub(super) fn program_ends(bench: &Bench) -> Outcome {
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
            storage_codes: storage(&info),
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

pub(super) fn refused_programs(bench: &Bench) -> Outcome {
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
