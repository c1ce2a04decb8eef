//! Which goals hold, by the records.

use serde::Serialize;
use spu_cli::text::{count, percent};

use super::coverage::Coverage;
use super::errors::{Errors, Way};
use super::large::Large;
use super::record::{Measured, Part, Record};
use super::refined::Refined;
use super::thermox::{BoardSide, Comparison};

/// A goal, what was measured, and whether it holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// Part that it belongs to.
    pub part: Part,
    /// What is measured.
    pub what: String,
    /// What it is to be.
    pub goal: String,
    /// What it is.
    pub measured: String,
    /// Whether it holds.
    pub holds: bool,
}

/// Every goal that the records tell of, in order.
pub fn verdicts(records: &[Record]) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = records
        .iter()
        .filter_map(|record| {
            let (what, goal, measured, holds) = match &record.measured {
                Measured::WellConditioned(errors) => well_conditioned(errors)?,
                Measured::Coverage(coverage) => covered(coverage),
                Measured::AnySpd(errors) => any_spd(errors)?,
                Measured::Refined(refined) => reached(refined)?,
                Measured::Large(large) => unrefined(large),
                Measured::Thermox(comparison) => faster(comparison)?,
            };
            Some(Verdict { part: record.part, what, goal, measured, holds })
        })
        .collect();
    verdicts.extend(mitigation(records));
    verdicts.extend(records.iter().filter_map(|record| match &record.measured {
        Measured::Large(large) => {
            let (what, goal, measured, holds) = refined_large(large);
            Some(Verdict { part: record.part, what, goal, measured, holds })
        }
        _ => None,
    }));
    verdicts.sort_by_key(|verdict| verdict.part);
    verdicts
}

type Line = (String, String, String, bool);

/// The part of an error that samples do not explain may be: what quantisation is stated to leave on
/// `rev-a`, a hundredth on `rev-b`.
fn floor(errors: &Errors) -> (f64, &'static str) {
    if errors.profile == "rev-a" {
        (errors.quantisation, "the stated quantisation floor")
    } else {
        (0.01, "1 %")
    }
}

fn well_conditioned(errors: &Errors) -> Option<Line> {
    if errors.way != Way::Calibrated || ![12_000, 1_000_000].contains(&errors.effective) {
        return None;
    }
    let (allowed, name) = floor(errors);
    let most = 1.5 * errors.bound + allowed;
    Some((
        format!("median error, {}, κ ≤ 10, N_eff {}", errors.profile, count(errors.effective)),
        format!("≤ 1.5 × the bound ({}) + {name} = {}", percent(errors.bound), percent(most)),
        percent(errors.error),
        errors.error <= most,
    ))
}

fn covered(c: &Coverage) -> Line {
    let (low, high) = c.interval;
    (
        format!("coverage of the 95 % intervals, {}", c.profile),
        format!(
            "the 99.9 % interval over boards meets 93 to 97 % ({} boards × {} matrices)",
            c.boards, c.matrices
        ),
        format!(
            "{} ({} to {}); width over the ideal one {:.3}",
            percent(c.coverage),
            percent(low),
            percent(high),
            c.width_ratio
        ),
        low <= 0.97 && high >= 0.93,
    )
}

fn any_spd(errors: &Errors) -> Option<Line> {
    if errors.profile == "rev-a" {
        return None;
    }
    let most = errors.bound + 0.01;
    Some((
        format!(
            "median error, any SPD 8×8, κ ≤ 30, unipolar, 8 bits, N_eff {}",
            count(errors.effective)
        ),
        format!("≤ the bound ({}) + 1 % = {}", percent(errors.bound), percent(most)),
        format!(
            "{}; {} of {} refused",
            percent(errors.error),
            errors.refused,
            errors.errors.len() + errors.refused
        ),
        errors.error <= most,
    ))
}

fn reached(refined: &Refined) -> Option<Line> {
    (refined.profile == "rev-b").then(|| {
        (
            format!(
                "refined to {:.0e}, {}, κ ≤ 100, {}",
                refined.tolerance, refined.profile, refined.label
            ),
            "≥ 95 % of the matrices".into(),
            format!(
                "{} of {}; {} refused",
                percent(refined.reached),
                refined.trials.len(),
                refined.refused
            ),
            refined.reached >= 0.95,
        )
    })
}

fn unrefined(large: &Large) -> Line {
    let most = if large.condition <= 10.0 { 0.03 } else { 0.08 };
    (
        format!("{n}×{n}, κ = {}, unrefined, seed {}", large.condition, large.seed, n = large.n),
        format!("≤ {}", percent(most)),
        percent(large.error),
        large.error <= most,
    )
}

fn refined_large(large: &Large) -> Line {
    (
        format!("{n}×{n}, κ = {}, refined, seed {}", large.condition, large.seed, n = large.n),
        "≤ 1e-6".into(),
        format!("{:.1e}", large.refined_error),
        large.refined_error <= 1e-6,
    )
}

/// By how much mitigation shrinks the floor of `rev-a`: as stated by the results, and as whole errors show at
/// the most samples, where the samples' own part counts against it.
fn mitigation(records: &[Record]) -> Option<Verdict> {
    let of = |way| {
        records
            .iter()
            .filter_map(|record| match &record.measured {
                Measured::WellConditioned(errors) => Some(errors),
                _ => None,
            })
            .filter(|errors| errors.profile == "rev-a" && errors.way == way)
            .max_by_key(|errors| errors.effective)
    };
    let (once, often) = (of(Way::Calibrated)?, of(Way::Mitigated)?);
    let (stated, seen) = (once.quantisation / often.quantisation, once.error / often.error);
    Some(Verdict {
        part: Part::Calibrated,
        what: format!("mitigation, rev-a, N_eff {}", count(once.effective)),
        goal: "the floor falls at least 3×".into(),
        measured: format!(
            "stated floor {} to {}, {stated:.1}×; error with what the samples leave {} to {}, {seen:.1}×",
            percent(once.quantisation),
            percent(often.quantisation),
            percent(once.error),
            percent(often.error)
        ),
        holds: stated >= 3.0 && seen >= 3.0,
    })
}

/// The fastest way of using unmodified `rev-b` boards.
pub fn fastest(comparison: &Comparison) -> Option<&BoardSide> {
    let boards = comparison.boards.iter().filter(|side| side.profile == "rev-b");
    boards.max_by(|a, b| a.speedup_at_equal_error.total_cmp(&b.speedup_at_equal_error))
}

fn faster(comparison: &Comparison) -> Option<Line> {
    let best = fastest(comparison).filter(|_| comparison.n == 8)?;
    Some((
        format!("over thermox, 8×8, N {}, rev-b", count(comparison.samples)),
        "≥ 5× faster at equal error".into(),
        format!(
            "{:.2}× ({:.2}× at equal numbers of samples), {} simulated at once",
            best.speedup_at_equal_error, best.speedup, best.copies
        ),
        best.speedup_at_equal_error >= 5.0,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy::record::Origin;

    fn errors(profile: &str, way: Way, error: f64, quantisation: f64) -> Record {
        let errors = Errors {
            profile: profile.into(),
            generator: "grounded".into(),
            condition: (2.0, 9.0),
            way,
            effective: 1_000_000,
            seed: 1,
            error,
            bound: 0.002,
            quantisation,
            refused: 0,
            errors: vec![error],
        };
        let measured = Measured::WellConditioned(errors);
        Record { part: Part::Calibrated, origin: Origin::here(true), measured }
    }

    #[test]
    fn goals_hold_up_to_their_ends() {
        // 1.5 × 0.002 and what each profile is allowed.
        for (profile, error, quantisation, holds) in [
            ("rev-a", 0.0129, 0.01, true),
            ("rev-a", 0.0131, 0.01, false),
            ("rev-b", 0.0129, 0.0, true),
            ("rev-b", 0.0131, 0.02, false),
        ] {
            let found = verdicts(&[errors(profile, Way::Calibrated, error, quantisation)]);
            assert_eq!((found.len(), found[0].holds), (1, holds), "{found:?}");
        }
        assert!(verdicts(&[errors("rev-a", Way::Uncalibrated, 0.3, 0.0)]).is_empty());
    }

    #[test]
    fn mitigation_must_show_in_the_errors_too() {
        let once = errors("rev-a", Way::Calibrated, 0.012, 0.01);
        for (error, quantisation, holds) in
            [(0.003, 0.001, true), (0.006, 0.001, false), (0.003, 0.005, false)]
        {
            let often = errors("rev-a", Way::Mitigated, error, quantisation);
            let found = verdicts(&[once.clone(), often]);
            let verdict = found.iter().find(|verdict| verdict.what.starts_with("mitigation"));
            assert_eq!(verdict.map(|verdict| verdict.holds), Some(holds), "{found:?}");
        }
    }
}
