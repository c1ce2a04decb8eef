//! Sampling: stream, moments, decimation, seeds.

use anyhow::ensure;
use spu_driver::{AcquirePlan, Error, Outcome as Ended, Program};
use spu_protocol::code::{AdcCode, CouplingCode, GainCode, full_scale_code};
use spu_protocol::regs;

use super::{read, read_many};
use crate::bench::{Bench, Outcome};
use crate::support::{bank_top, both, burst, lively, moments, record, soon, sustained};

pub(super) fn converter_ends(bench: &Bench) -> Outcome {
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

pub(super) fn stream_and_moments(bench: &Bench) -> Outcome {
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

pub(super) fn report_registers(bench: &Bench) -> Outcome {
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

pub(super) fn decimation(bench: &Bench) -> Outcome {
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
pub(super) fn seeds(bench: &Bench) -> Outcome {
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

pub(super) fn runs_on(bench: &Bench) -> Outcome {
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
