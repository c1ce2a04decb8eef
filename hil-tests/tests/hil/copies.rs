//! Do three copies of a board agree as far as their profile promises, and is a faulty one named?
//!
//! Equal copies are not called so once in a thousand sets (`EQUALITY_FALSE_ALARM`): too often for
//! a test. A test therefore takes the verdict on two sets of independent noise and fails if
//! neither is right, once in a million; the p-values themselves have that limit in every set.

use spu_driver::Device;
use spu_driver::ensemble::{EnsembleInversion, Verdict, invert_copies};
use spu_driver::invert::Quiet;

use crate::bench::{Bench, Case, Need, Outcome};
use crate::inversion::{noise_limit, quantisation};
use crate::support::{FALSE_ALARM, effective, ring, spd};

/// The suite.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "exact_copies_are_equal",
        needs: &[Need::Rlc, Need::Copies(3), Need::Exact],
        run: equal,
    },
    Case {
        name: "copies_differ_within_the_stated_spread",
        needs: &[Need::Rlc, Need::Copies(3), Need::Spread],
        run: within_spread,
    },
    Case {
        name: "copies_have_noise_of_their_own",
        needs: &[Need::Rlc, Need::Copies(3)],
        run: own_noise,
    },
    Case {
        name: "a_stuck_converter_is_named",
        needs: &[Need::Rlc, Need::Cells(4), Need::Copies(3), Need::Faults],
        run: |bench| faulty(bench, "stuck-adc.3.0", SAMPLES),
    },
    Case {
        name: "a_dead_cell_is_named",
        // Its neighbours move it: a spread of the drive hides that.
        needs: &[Need::Rlc, Need::Cells(4), Need::Copies(3), Need::Faults, Need::Exact],
        run: |bench| faulty(bench, "dead-cell.1", SAMPLES),
    },
    Case {
        name: "a_weak_drive_is_named",
        needs: &[Need::Rlc, Need::Cells(4), Need::Copies(3), Need::Faults, Need::Exact],
        run: |bench| faulty(bench, "drive-gain.2.0.5", SAMPLES),
    },
    Case {
        name: "a_stuck_bank_switch_is_named",
        needs: &[Need::Rlc, Need::Copies(3), Need::Faults, Need::Exact],
        // Half of one own term: a small difference takes more samples.
        run: |bench| faulty(bench, "stuck-self.0.14.off", 5 * SAMPLES),
    },
];

/// Effective samples of each copy.
const SAMPLES: u64 = 4000;

fn run(
    devices: &mut [Box<dyn Device>],
    samples: u64,
    seed: u64,
) -> anyhow::Result<EnsembleInversion> {
    let a = spd(&ring(devices[0].info().cells));
    Ok(invert_copies(devices, &a, &effective(samples, seed), &Quiet)?)
}

fn equal(bench: &Bench) -> Outcome {
    let mut lease = bench.copies(3)?;
    let mut verdicts = Vec::new();
    for seed in [51, 52] {
        let result = run(&mut lease.devices, SAMPLES, seed)?;
        assert_eq!(result.pairs.len(), 3);
        for pair in &result.pairs {
            assert!(pair.p_value >= FALSE_ALARM / 6.0, "{pair:?}");
            assert!(pair.distance <= pair.limit, "{pair:?}");
        }
        // The mean of three independent copies has a third of the variance of one; what quantised
        // banks add is the same in each.
        let Some(Ok(one)) = result.copies.first() else { panic!("copy 0 gave no result") };
        let banks = quantisation(one);
        let limit = (noise_limit(one, 0.5 * FALSE_ALARM) - banks) / 3.0_f64.sqrt() + banks;
        assert!(result.mean_error <= limit, "error {} beyond {limit}", result.mean_error);
        verdicts.extend(result.verdict);
    }
    assert!(verdicts.contains(&Verdict::EqualWithinNoise), "{verdicts:?}");
    Ok(())
}

fn within_spread(bench: &Bench) -> Outcome {
    let mut lease = bench.copies(3)?;
    let result = run(&mut lease.devices, SAMPLES, 53)?;
    let verdict = result.verdict.expect("three copies");
    assert!(verdict.is_success(), "{verdict:?}: {:?}", result.pairs);
    for pair in &result.pairs {
        assert!(pair.distance > 0.0 && pair.distance <= pair.limit, "{pair:?}");
    }
    let bias = result.bias.expect("three copies");
    assert!(bias.common >= 0.0 && bias.independent >= 0.0 && bias.statistical > 0.0, "{bias:?}");
    Ok(())
}

fn own_noise(bench: &Bench) -> Outcome {
    let mut lease = bench.copies(3)?;
    let result = run(&mut lease.devices, SAMPLES, 54)?;
    let inverses: Vec<_> =
        result.copies.into_iter().map(|copy| Ok(copy?.inverse)).collect::<anyhow::Result<_>>()?;
    assert!(inverses[0] != inverses[1] && inverses[1] != inverses[2] && inverses[0] != inverses[2]);
    Ok(())
}

/// The fault is planted in each copy in turn, so that naming always the same one does not pass.
fn faulty(bench: &Bench, fault: &str, samples: u64) -> Outcome {
    for copy in 0..3 {
        let mut devices = bench.copies_with(fault, copy)?;
        let result = run(&mut devices, samples, 55)?;
        let named = Verdict::Outlier { copies: vec![copy as usize] };
        assert_eq!(result.verdict, Some(named), "{fault} in copy {copy}: {:?}", result.pairs);
    }
    Ok(())
}
