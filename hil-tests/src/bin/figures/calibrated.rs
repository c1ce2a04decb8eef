//! Accuracy of calibrated boards, of any matrix and of large ones, and speed against thermox.
//! `--bin accuracy` has the whole tables (docs/accuracy).

use hil_tests::accuracy::boards::REV_A_8_BIT;
use hil_tests::accuracy::coverage::coverage as covered;
use hil_tests::accuracy::errors::{Errors, Way, any_spd, well_conditioned};
use hil_tests::accuracy::work::Workers;
use hil_tests::accuracy::{large, thermox, verdict};

use crate::Figure;

/// Seed of the first board and matrix: none of those that tests use.
const SEED: u64 = 26_112_500;

fn detail(e: &Errors) -> String {
    format!(
        "{} calibrated boards of {}, each with a matrix of its own (κ {:.1} to {:.1}), N_eff {}: median error \
         {:.4}, left by the samples {:.4}, stated of quantisation {:.4}",
        e.errors.len(),
        e.profile,
        e.condition.0,
        e.condition.1,
        e.effective,
        e.error,
        e.bound,
        e.quantisation
    )
}

fn at_12_000(profile: &str, quick: bool) -> anyhow::Result<Errors> {
    let settings = [(Way::Calibrated, 12_000)];
    let boards = if quick { 5 } else { 20 };
    let mut all = well_conditioned(profile, boards, &settings, SEED, &Workers::all())?;
    Ok(all.remove(0))
}

/// Median error of calibrated boards.
pub(crate) fn median(profile: &str, quick: bool) -> anyhow::Result<Figure> {
    let errors = at_12_000(profile, quick)?;
    Ok(Figure { value: errors.error, detail: detail(&errors) })
}

/// Median error of calibrated `rev-b` boards over what the samples leave.
pub(crate) fn over_bound(quick: bool) -> anyhow::Result<Figure> {
    let errors = at_12_000("rev-b", quick)?;
    Ok(Figure { value: errors.error / errors.bound, detail: detail(&errors) })
}

/// Error that quantisation leaves on `rev-a`, of one programming over that of sixteen.
pub(crate) fn mitigation(quick: bool) -> anyhow::Result<Figure> {
    let (boards, effective) = if quick { (2, 200_000) } else { (20, 1_000_000) };
    let settings = [(Way::Calibrated, effective), (Way::Mitigated, effective)];
    let all = well_conditioned("rev-a", boards, &settings, SEED, &Workers::all())?;
    Ok(Figure {
        value: all[0].quantisation / all[1].quantisation,
        detail: format!("once: {}; 16 programmings: {}", detail(&all[0]), detail(&all[1])),
    })
}

/// Part of the entries inside their 95 % intervals.
pub(crate) fn coverage(quick: bool) -> anyhow::Result<Figure> {
    let (count, matrices) = if quick { (12, 3) } else { (200, 10) };
    let c = covered("rev-b", count, matrices, SEED, &Workers::all())?;
    Ok(Figure {
        value: c.coverage,
        detail: format!(
            "{} boards of {}, {} matrices each, N_eff {}; 99.9 % interval by bootstrap over boards \
             {:.4} to {:.4}; mean width over that of an ideal board {:.3}",
            c.boards, c.profile, c.matrices, c.effective, c.interval.0, c.interval.1, c.width_ratio
        ),
    })
}

/// Median error of any matrix beyond what the samples leave.
pub(crate) fn any(quick: bool) -> anyhow::Result<Figure> {
    let count = if quick { 8 } else { 60 };
    let e = any_spd(REV_A_8_BIT, count, &[12_000], SEED, &Workers::all())?.remove(0);
    Ok(Figure {
        value: e.error - e.bound,
        detail: format!(
            "matrices of mixed signs on couplings of one sign and 8 bits, {} refused; {}",
            e.refused,
            detail(&e)
        ),
    })
}

/// Error of a 256 x 256 inverse by blocks.
pub(crate) fn large(quick: bool) -> anyhow::Result<Figure> {
    let l = large::large(if quick { 128 } else { 256 }, 10.0, SEED)?;
    Ok(Figure {
        value: l.error,
        detail: format!(
            "{n} x {n}, condition {}, {} leaves, N_eff {} each, {} calibrated boards of {}; refined {:.1e} in {} \
             steps ({}); digital share of the time {:.2}",
            l.condition,
            l.leaves,
            l.effective,
            l.copies,
            l.profile,
            l.refined_error,
            l.refine.0,
            l.label,
            l.wall.digital_share(),
            n = l.n
        ),
    })
}

/// How much faster simulated `rev-b` boards give an inverse than thermox, at equal error.
pub(crate) fn against_thermox(quick: bool) -> anyhow::Result<Figure> {
    let cores = Workers::all().threads as u32;
    let kinds = [("rev-b", 1), ("rev-b", cores), (thermox::REV_B_LOW_Q, cores)];
    let kinds = if quick { &kinds[1..2] } else { &kinds[..] };
    let samples = if quick { 100_000 } else { 1_000_000 };
    let c = thermox::compare(8, samples, if quick { 3 } else { 7 }, kinds, SEED, quick)?;
    let best = verdict::fastest(&c).map_or(f64::NAN, |side| side.speedup_at_equal_error);
    let sides: Vec<String> = c
        .boards
        .iter()
        .map(|side| {
            format!(
                "{} of {}: {:.3} s, error {:.5}, {:.2} times, {:.2} at equal error",
                side.copies,
                side.profile,
                side.rounds.shortest(),
                side.rounds.error(),
                side.speedup,
                side.speedup_at_equal_error
            )
        })
        .collect();
    Ok(Figure {
        value: best,
        detail: format!(
            "8 x 8, {} independent samples; {}: {:.3} s, error {:.5}; {}",
            c.samples,
            c.versions,
            c.thermox.shortest(),
            c.thermox.error(),
            sides.join("; ")
        ),
    })
}
