//! The page of results: `README.md` and its plots, written from the records alone.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use spu_cli::text::{count, counted, digits, duration, percent};

use super::plots::plots;
use super::record::{Measured, Part, Record, read};
use super::refined::{End, Refined};
use super::thermox::Comparison;
use super::verdict::verdicts;

/// File of the records in the page's folder.
pub const RECORDS: &str = "results.jsonl";

/// Takes the records of a part into the folder, in place of those that were there, and writes the page
/// anew; without records it only does the latter.
///
/// # Errors
/// Files that cannot be read or written.
pub fn update(folder: &Path, new: &[Record]) -> Result<Vec<Record>> {
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let path = folder.join(RECORDS);
    let mut records = read(&path)?;
    records.retain(|record| new.iter().all(|other| other.part != record.part));
    records.extend_from_slice(new);
    records.sort_by_key(|record| record.part);
    let lines: Result<Vec<String>, _> = records.iter().map(serde_json::to_string).collect();
    write(&path, &(lines?.join("\n") + "\n"))?;
    let drawings = plots(&records);
    for (name, drawing) in &drawings {
        write(&folder.join(name), drawing)?;
    }
    write(&folder.join("README.md"), &page(&records))?;
    Ok(records)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

fn page(records: &[Record]) -> String {
    let mut page = format!(
        "# Accuracy\n\n\
         Written by\n\n```sh\nSPU_THERMOX_PYTHON=venv/bin/python \
         cargo run --release -p hil-tests --bin accuracy -- --out docs/accuracy\n```\n\n\
         from [{RECORDS}]({RECORDS}); do not edit it. All boards are simulated (rung `sim`). Each has parts of \
         its own, drawn from its profile, and is calibrated by measurements alone (`spu calibrate`) before it \
         is used; nothing looks at the simulator's own values. Errors are relative, by the Frobenius norm, \
         against the digital inverse. *Bound* is what N independent samples leave, \
         √(((tr S)² / tr S² + 1) / N) for an inverse S. Boards and matrices are seeded, so every number but \
         wall times comes out the same again, on any number of threads.\n\n"
    );
    page += &table(
        &["part", "measured", "sources", "machine", "wall time"],
        origins(records).into_iter(),
    );
    page += "\n## Goals\n\n";
    page += &table(
        &["what", "goal", "measured", "holds"],
        verdicts(records).into_iter().map(|verdict| {
            let holds = if verdict.holds { "yes" } else { "**no**" };
            vec![verdict.what, verdict.goal, verdict.measured, holds.into()]
        }),
    );
    for (part, section) in [
        (Part::Calibrated, calibrated as fn(&[Record]) -> String),
        (Part::Coverage, coverage),
        (Part::Any, any),
        (Part::Refine, refined),
        (Part::Large, large),
        (Part::Thermox, thermox),
    ] {
        if records.iter().any(|record| record.part == part) {
            page += &section(records);
        }
    }
    page
}

/// A table in Markdown.
pub(crate) fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let header: Vec<String> = header.iter().map(ToString::to_string).collect();
    let mut text = line(&header);
    text += &line(&vec!["---".to_owned(); header.len()]);
    rows.for_each(|row| text += &line(&row));
    text
}

fn origins(records: &[Record]) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for record in records {
        let origin = &record.origin;
        let name = serde_json::to_value(record.part).unwrap_or_default();
        let quick = if origin.quick { " (`--quick`)" } else { "" };
        let row = vec![
            format!("`{}`{quick}", name.as_str().unwrap_or_default()),
            origin.date.clone(),
            format!("`{}`", origin.commit),
            origin.hardware.clone(),
            duration(origin.seconds as f64),
        ];
        if rows.last() != Some(&row) {
            rows.push(row);
        }
    }
    rows
}

/// Rows of the records that a function knows.
fn rows<'r>(
    records: &'r [Record],
    row: impl Fn(&'r Measured) -> Option<Vec<String>> + 'r,
) -> impl Iterator<Item = Vec<String>> + 'r {
    records.iter().filter_map(move |record| row(&record.measured))
}

fn calibrated(records: &[Record]) -> String {
    let header = [
        "profile",
        "board",
        "N_eff",
        "median error",
        "bound",
        "stated floor",
        "boards",
        "seed",
        "κ",
    ];
    let row = |measured: &Measured| {
        let Measured::WellConditioned(e) = measured else { return None };
        let way = serde_json::to_value(e.way).unwrap_or_default();
        Some(vec![
            e.profile.clone(),
            way.as_str().unwrap_or_default().into(),
            count(e.effective),
            percent(e.error),
            percent(e.bound),
            percent(e.quantisation),
            e.errors.len().to_string(),
            format!("{}…", e.seed),
            format!("{:.1} to {:.1}", e.condition.0, e.condition.1),
        ])
    };
    format!(
        "\n## Well-conditioned matrices\n\n\
         Generator *grounded*: 8×8, off-diagonals uniform from −½ to 0, row sums between g and 2 g with log₁₀ g \
         uniform from −0.6 to 0, κ ≤ 10. Each board has a matrix of its own. Mitigation averages {} programmings \
         within the same number of samples. The stated floor is what quantising the banks adds, as the result \
         itself says. Uncalibrated, `rev-a` is off by 27 % on `examples/published-like.mtx`, as \
         the published board is by 25 to 31 % (figure `invert.uncalibrated_error`), by a little less on these \
         matrices; `rev-b` has half its spread.\n\n{}\n![Error against samples](error-by-samples.svg)\n",
        super::errors::PROGRAMMINGS,
        table(&header, rows(records, row))
    )
}

fn coverage(records: &[Record]) -> String {
    let header =
        ["profile", "boards × matrices", "N_eff", "coverage", "99.9 % interval", "width", "seed"];
    let row = |measured: &Measured| {
        let Measured::Coverage(c) = measured else { return None };
        Some(vec![
            c.profile.clone(),
            format!("{} × {}", c.boards, c.matrices),
            count(c.effective),
            percent(c.coverage),
            format!("{} to {}", percent(c.interval.0), percent(c.interval.1)),
            format!("{:.3}", c.width_ratio),
            format!("{}…", c.seed),
        ])
    };
    format!(
        "\n## Coverage of the 95 % intervals\n\n\
         Matrices of *grounded*. Entries on and above the diagonal are counted; the interval is a bootstrap over \
         boards, since entries of one board share its calibration. *Width* is the mean width over that of an ideal \
         board's interval with as many samples.\n\n{}\n![Coverage of each board](coverage.svg)\n",
        table(&header, rows(records, row))
    )
}

fn any(records: &[Record]) -> String {
    let header = [
        "profile",
        "N_eff",
        "median error",
        "bound",
        "quantisation, as planned",
        "largest",
        "matrices",
        "refused",
        "seed",
    ];
    let row = |measured: &Measured| {
        let Measured::AnySpd(e) = measured else { return None };
        Some(vec![
            e.profile.clone(),
            count(e.effective),
            percent(e.error),
            percent(e.bound),
            percent(e.quantisation),
            percent(e.errors.iter().copied().fold(0.0, f64::max)),
            e.errors.len().to_string(),
            e.refused.to_string(),
            format!("{}…", e.seed),
        ])
    };
    format!(
        "\n## Any positive definite matrix on couplings of one sign\n\n\
         Generator *haar-log*: eigenvalues from 1 to κ with evenly spaced logarithms, eigenvectors uniform over the \
         orthogonal group, so entries of both signs; κ log-uniform from 1 to 30. Unipolar couplings take them by the \
         tridiagonal route. `rev-a-8bit` is `rev-a` with banks of 8 bits \
         ([profile](../../hil-tests/src/accuracy/rev-a-8bit.toml)), with all of its spread and calibrated; \
         `rev-a`, 4 bits, is there to compare.\n\n{}\n![Errors of any matrix](any-spd.svg)\n",
        table(&header, rows(records, row))
    )
}

fn refined(records: &[Record]) -> String {
    let header = [
        "profile",
        "label",
        "reached",
        "refused",
        "other ends",
        "steps",
        "operations",
        "digital start: steps",
        "operations",
        "Cholesky",
        "seed",
    ];
    let row = |measured: &Measured| {
        let Measured::Refined(r) = measured else { return None };
        Some(vec![
            r.profile.clone(),
            r.label.clone(),
            format!("{} of {}", percent(r.reached), r.trials.len()),
            r.refused.to_string(),
            other_ends(r),
            format!("{:.0}", r.work.0),
            count(r.work.1 as u64),
            format!("{:.0}", r.digital.0),
            count(r.digital.1 as u64),
            count(r.cholesky_flops),
            format!("{}…", r.seed),
        ])
    };
    format!(
        "\n## Refinement to 1e-6\n\n\
         *haar-log*, 8×8, κ log-uniform from 1 to 100, calibrated boards, N_eff 12,000 a read. Steps and operations \
         are medians. Where no read of the board follows the first, the result is *digital, board-started*: \
         Newton–Schulz (X ← X (2 I − A X)) from the board's inverse, against the same from Aᵀ/(‖A‖₁ ‖A‖∞). A \
         digital inverse by Cholesky factorisation takes fewer operations than either.\n\n{}\n\
         ![Steps of refinement](refine.svg)\n",
        table(&header, rows(records, row))
    )
}

fn other_ends(refined: &Refined) -> String {
    let ends = [
        (End::Missed, "missed"),
        (End::CannotConverge, "cannot converge"),
        (End::Stalled, "stalled"),
    ];
    let found: Vec<String> = ends
        .into_iter()
        .map(|(end, name)| (refined.trials.iter().filter(|trial| trial.end == end).count(), name))
        .filter(|(number, _)| *number > 0)
        .map(|(number, name)| format!("{number} {name}"))
        .collect();
    if found.is_empty() { "none".into() } else { found.join(", ") }
}

fn large(records: &[Record]) -> String {
    let header = [
        "n",
        "κ",
        "seed",
        "tiles",
        "error",
        "of samples",
        "of quantisation",
        "refined",
        "steps",
        "operations",
        "digital start",
    ];
    let row = |measured: &Measured| {
        let Measured::Large(l) = measured else { return None };
        Some(vec![
            l.n.to_string(),
            l.condition.to_string(),
            l.seed.to_string(),
            l.leaves.to_string(),
            percent(l.error),
            percent(l.statistical_error),
            percent(l.quantisation_error),
            format!("{:.1e}", l.refined_error),
            l.refine.0.to_string(),
            digits(l.refine.1 as f64),
            l.digital.map_or("–".into(), |(steps, flops)| {
                format!("{steps} steps, {}", digits(flops as f64))
            }),
        ])
    };
    let times = [
        "κ",
        "seed",
        "on the board",
        "boards, simulated",
        "planning",
        "products, error bars",
        "refinement",
        "digital share",
        "operations of the blocks",
        "Cholesky",
    ];
    let time = |measured: &Measured| {
        let Measured::Large(l) = measured else { return None };
        let seconds = |s: f64| format!("{s:.2} s");
        Some(vec![
            l.condition.to_string(),
            l.seed.to_string(),
            seconds(l.board_s),
            seconds(l.wall.boards),
            seconds(l.wall.planning),
            seconds(l.wall.blocks),
            seconds(l.wall.refinement),
            percent(l.wall.digital_share()),
            digits(l.block_flops as f64),
            digits(l.cholesky_flops as f64),
        ])
    };
    format!(
        "\n## Larger than the board\n\n\
         *haar-log*, by block elimination with leaves read from two calibrated `rev-b` boards of 8 cells, N_eff \
         100,000 a leaf, both boards together; then refined to 1e-6 (digital, board-started).\n\n{}\n\
         Wall time by phase on the machine above; *on the board* is the time at the sample clock of 12 MHz that the \
         busiest board settles and samples. The digital share is everything but the boards' own time.\n\n{}\n\
         ![Errors of large matrices](large.svg)\n",
        table(&header, rows(records, row)),
        table(&times, rows(records, time))
    )
}

fn thermox(records: &[Record]) -> String {
    let mut text = "\n## Against thermox\n\n\
         The same matrix (generator *dominant*: off-diagonals uniform from −½ to 0, row sums from 1 to 2) and the same \
         number of independent samples, in turns on one machine, both on all its cores. thermox's time is that of its \
         fastest variant, compiled before; samples are log 100 / λ_min apart. A board's time is that of planning, \
         programming, settling, sampling and reading with error bars; boards are calibrated before. Copies are \
         simulated boards that share the samples and whose inverses are averaged. What the board's time consists of: an \
         independent sample takes tens of ticks of `rev-b` (*ticks*, over N), and of each tick the simulator computes the \
         noise of 8 cells, one exact step of 16 states and, where it is kept, 8 converters and 36 products, bit for bit as \
         the FPGA does; thermox draws 8 numbers for the same sample. Fewer ticks a sample, as of `rev-b-low-q`, is what \
         makes up for it. `rev-b-low-q` is `rev-b` with an eighth of its resistance \
         ([profile](../../hil-tests/src/accuracy/rev-b-low-q.toml)). Times are the shortest of the rounds, errors root \
         mean squares over them. *At equal error* scales the board's time as the square of its error over thermox's.\n"
        .to_owned();
    for record in records {
        if let Measured::Thermox(comparison) = &record.measured {
            text += &comparison_table(comparison);
        }
    }
    text
}

fn comparison_table(c: &Comparison) -> String {
    let seconds = |s: f64| format!("{s:.3} s");
    let mut rows = vec![vec![
        "thermox".to_owned(),
        seconds(c.thermox.shortest()),
        percent(c.thermox.error()),
        String::new(),
        String::new(),
        String::new(),
    ]];
    rows.extend(c.boards.iter().map(|side| {
        vec![
            format!("{}, {}", side.profile, counted(side.copies as usize, "copy", "copies")),
            seconds(side.rounds.shortest()),
            percent(side.rounds.error()),
            count(side.ticks),
            format!("{:.2}×", side.speedup),
            format!("{:.2}×", side.speedup_at_equal_error),
        ]
    }));
    let header =
        ["who", "time", "error", "ticks of a copy", "faster than thermox", "at equal error"];
    let variants = c.variants.iter().map(|v| {
        let yes = |on: bool| if on { "yes" } else { "no" }.to_owned();
        vec![
            if v.double { "double" } else { "single" }.to_owned(),
            yes(v.associative_scan),
            yes(v.one_program),
            seconds(v.seconds),
        ]
    });
    format!(
        "\n### {n}×{n}\n\nκ = {:.2}, seed {}, {} independent samples{}, {} rounds; {}.\n\n{}\n{}",
        c.condition,
        c.seed,
        count(c.samples),
        if c.n > 8 { " (of the board: of each leaf)" } else { "" },
        c.thermox.seconds.len(),
        c.versions,
        table(&header, rows.into_iter()),
        table(
            &["thermox's variants", "associative scan", "one program", "time of one run"],
            variants
        ),
        n = c.n,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy::coverage::Coverage;
    use crate::accuracy::record::Origin;

    fn coverage(value: f64) -> Record {
        let coverage = Coverage {
            profile: "rev-b".into(),
            boards: 3,
            matrices: 2,
            generator: "grounded".into(),
            effective: 12_000,
            seed: 5,
            coverage: value,
            interval: (value - 0.01, value + 0.01),
            width_ratio: 1.0,
            by_board: vec![value - 0.02, value, value + 0.02],
        };
        let measured = Measured::Coverage(coverage);
        Record { part: Part::Coverage, origin: Origin::here(true), measured }
    }

    #[test]
    fn a_part_measured_again_takes_the_place_of_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let text = || fs::read_to_string(folder.path().join("README.md")).unwrap();
        update(folder.path(), &[coverage(0.5)]).unwrap();
        assert!(
            text()
                .contains("| 50.0 % (49.0 % to 51.0 %); width over the ideal one 1.000 | **no** |")
        );
        let records = update(folder.path(), &[coverage(0.95)]).unwrap();
        assert_eq!(records.len(), 1);
        let page = text();
        assert!(
            page.contains("| 95.0 % (94.0 % to 96.0 %); width over the ideal one 1.000 | yes |"),
            "{page}"
        );
        assert!(!page.contains("## Against thermox"), "a section of what was not measured");
        assert!(
            fs::read_to_string(folder.path().join("coverage.svg")).unwrap().starts_with("<svg")
        );
        assert_eq!(update(folder.path(), &[]).unwrap(), records);
        assert_eq!(text(), page);
    }
}
