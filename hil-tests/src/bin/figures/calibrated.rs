//! Accuracy of calibrated boards, of any matrix and of large ones. `--bin accuracy` has the whole tables.

use hil_tests::accuracy::any::{SIGNED_8_BIT, UNIPOLAR_8_BIT, any_spd};
use hil_tests::accuracy::calibrated::{self as boards, Medians};

use crate::Figure;

/// Seed of the first board and matrix: none of those that tests use.
const SEED: u64 = 26_112_500;

fn detail(m: &Medians) -> String {
    format!(
        "{} boards of {}, each with a matrix of its own, N_eff {}: median error {:.4}, left by the samples \
         {:.4}, by quantisation {:.4}; without calibration {:.3}",
        m.boards, m.profile, m.effective, m.error, m.bound, m.quantisation, m.uncalibrated
    )
}

/// Median error of calibrated boards.
pub(crate) fn median(profile: &str, quick: bool) -> anyhow::Result<Figure> {
    let m = boards::medians(profile, if quick { 5 } else { 20 }, 12_000, 1, SEED)?;
    Ok(Figure { value: m.error, detail: detail(&m) })
}

/// Median error of calibrated `rev-b` boards over what the samples leave.
pub(crate) fn over_bound(quick: bool) -> anyhow::Result<Figure> {
    let m = boards::medians("rev-b", if quick { 5 } else { 20 }, 12_000, 1, SEED)?;
    Ok(Figure { value: m.error / m.bound, detail: detail(&m) })
}

/// Error of `rev-a` that is not the samples', without over with sixteen programmings.
pub(crate) fn mitigation(quick: bool) -> anyhow::Result<Figure> {
    let (count, effective) = if quick { (2, 200_000) } else { (20, 1_000_000) };
    let plain = boards::medians("rev-a", count, effective, 1, SEED)?;
    let mitigated = boards::medians("rev-a", count, effective, 16, SEED)?;
    Ok(Figure {
        value: plain.quantisation / mitigated.quantisation,
        detail: format!("once: {}; 16 programmings: {}", detail(&plain), detail(&mitigated)),
    })
}

/// Part of the entries inside their 95 % intervals.
pub(crate) fn coverage(quick: bool) -> anyhow::Result<Figure> {
    let (count, matrices) = if quick { (20, 3) } else { (200, 10) };
    let c = boards::coverage("rev-b", count, matrices, SEED)?;
    Ok(Figure {
        value: c.coverage,
        detail: format!(
            "{} boards of {}, {} matrices each, N_eff 12,000; 99.9 % interval by bootstrap over boards \
             {:.4} to {:.4}; mean width over that of an ideal board {:.3}",
            c.boards, c.profile, c.matrices, c.low, c.high, c.width_ratio
        ),
    })
}

/// Median error of any matrix beyond what the samples leave.
pub(crate) fn any(quick: bool) -> anyhow::Result<Figure> {
    let a = any_spd(UNIPOLAR_8_BIT, if quick { 12 } else { 60 }, 12_000, SEED)?;
    Ok(Figure {
        value: a.median_excess,
        detail: format!(
            "{} matrices of mixed signs, condition up to 30, on couplings of one sign and 8 bits, N_eff 12,000: \
             median error {:.4}, left by the samples {:.4}, by quantisation {:.5}; {} refused",
            a.matrices, a.median_error, a.median_bound, a.median_quantisation, a.refused
        ),
    })
}

/// Error of a 256 x 256 inverse by blocks.
pub(crate) fn large() -> anyhow::Result<Figure> {
    let l = hil_tests::accuracy::any::large(SIGNED_8_BIT, 256, 10.0, 100_000, 2, SEED)?;
    Ok(Figure {
        value: l.error,
        detail: format!(
            "condition {}, {} leaves, N_eff {} each, {} boards of rev-b without spread; refined {:.1e} in {} steps",
            l.condition, l.leaves, l.effective, l.copies, l.refined_error, l.refine_steps
        ),
    })
}
