//! `spu invert` in text.

use spu_driver::ensemble::{EnsembleInversion, Verdict};

use super::info::identity;
use super::invert_view::InvertAnswer;
use super::ledger;
use super::route::{RefineView, route_text};
use super::written_lines;
use crate::answer::Answer;
use crate::exit::Exit;
use crate::text::{
    count, counted, digits, facts, listed, percent, probability, table, uncertain_matrix, wrapped,
};

/// The verdict in words.
pub(crate) fn verdict(ensemble: &EnsembleInversion, profile: &str) -> String {
    let number = ensemble.copies.len();
    match &ensemble.verdict {
        None if number == 1 => "one copy: there is nothing to compare it with".into(),
        None => "none: a copy was cancelled before it had a result".into(),
        Some(Verdict::EqualWithinNoise) => format!("the {number} copies are equal within noise"),
        Some(Verdict::DifferWithinSpread) => format!(
            "the {number} copies differ, by no more than the stated spread of profile {profile} \
             explains"
        ),
        Some(Verdict::Outlier { copies }) => {
            let (silent, apart): (Vec<usize>, Vec<usize>) =
                copies.iter().partition(|copy| ensemble.copies[**copy].is_err());
            let why = [
                (apart, "apart from the others by more than noise and the stated spread explain"),
                (silent, "without signal"),
            ];
            let parts: Vec<String> = why
                .iter()
                .filter(|(copies, _)| !copies.is_empty())
                .map(|(copies, why)| match copies.len() {
                    1 => format!("copy {} is an outlier, {why}", copies[0]),
                    _ => format!("copies {} are outliers, {why}", listed(copies)),
                })
                .collect();
            format!("{}; left out of the mean. Run `spu selftest` on it", parts.join("; "))
        }
        Some(Verdict::Disagree) => format!(
            "the {number} copies disagree by more than noise and the stated spread of profile \
             {profile} explain, and no majority tells which are wrong. Run `spu selftest` on each"
        ),
    }
}

impl Answer for InvertAnswer {
    fn text(&self) -> String {
        [
            self.head_text(),
            self.copies_text(),
            self.pairs_text(),
            self.inverse_text(),
            self.refinement.as_ref().map_or(String::new(), RefineView::text),
            self.time_text(),
            self.digital_text(),
            self.verdict_text(),
            written_lines(&self.files),
        ]
        .concat()
    }

    fn exit(&self) -> Exit {
        if self.cancelled() {
            Exit::Cancelled
        } else if self.verdict.as_ref().is_some_and(|verdict| !verdict.is_success()) {
            Exit::Disagreement
        } else if self.files.iter().any(|file| file.error.is_some()) {
            Exit::Output
        } else {
            Exit::Success
        }
    }
}

impl InvertAnswer {
    fn head_text(&self) -> String {
        let [(_, profile), _, (_, firmware), (_, gateware)] =
            <[_; 4]>::try_from(identity(&self.board)).unwrap_or_default();
        let copies = counted(self.copies.len(), "copy", "copies");
        let mut all = vec![
            ("device", format!("{copies} of {profile}")),
            ("rung", format!("{}; firmware {firmware}, gateware {gateware}", self.rung)),
        ];
        all.extend(self.calibration.facts());
        all.push((
            "route",
            format!(
                "{}; quantisation puts the inverse {} off, by nominal values",
                route_text(self.route.route),
                percent(self.route.quantisation_error)
            ),
        ));
        all.extend(self.plan.facts());
        format!("Inverse of {}\n{}", self.matrix.line(), facts(&all))
    }

    fn copies_text(&self) -> String {
        let header = [
            "copy",
            "error",
            "stat. predicted",
            "stat. measured",
            "N_eff planned",
            "N_eff measured",
            "saturated",
        ];
        let mut rows = Vec::new();
        for copy in &self.copies {
            let name = copy.copy.to_string();
            let Some(result) = &copy.result else {
                rows.push(vec![name, "no signal".into()]);
                continue;
            };
            rows.push(vec![
                name,
                percent(result.error_against_reference),
                percent(result.predicted_statistical_error),
                percent(result.measured_statistical_error),
                count(result.effective_planned.round() as u64),
                count(result.effective_measured.round() as u64),
                count(result.saturated.iter().sum()),
            ]);
        }
        if self.copies.len() > 1 {
            rows.push(vec!["mean".into(), percent(self.mean.error_against_reference)]);
        }
        let mut text = format!(
            "\nRelative error (Frobenius) against the digital reference, and the statistical part of \
             it\n{}",
            table(&header, &rows)
        );
        for copy in &self.copies {
            if let Some(error) = &copy.error {
                text += &wrapped(&format!("copy {}: {error}", copy.copy), "  ");
                text.push('\n');
            }
        }
        text
    }

    fn pairs_text(&self) -> String {
        if self.pairs.is_empty() {
            return String::new();
        }
        let header = ["copies", "difference", "p if equal", "distance", "limit"];
        let rows: Vec<Vec<String>> = self
            .pairs
            .iter()
            .map(|pair| {
                vec![
                    format!("{} – {}", pair.copies.0, pair.copies.1),
                    percent(pair.relative_difference),
                    probability(pair.p_value),
                    digits(pair.distance),
                    digits(pair.limit),
                ]
            })
            .collect();
        let mut text = format!(
            "\nPairs: test of equality; affine-invariant distance against noise and stated spread\n{}",
            table(&header, &rows)
        );
        if let Some(bias) = &self.bias {
            text += &format!(
                "  error of a copy = {} common to all ⊕ {} its own ⊕ {} statistical\n",
                percent(bias.common),
                percent(bias.independent),
                percent(bias.statistical)
            );
        }
        text
    }

    fn inverse_text(&self) -> String {
        let (power, cells) = uncertain_matrix(&self.mean.inverse, &self.mean.half_widths);
        let scale = if power == 0 { String::new() } else { format!(" × 10^{power}") };
        let of = match self.mean.of_copies.as_slice() {
            [only] => format!("copy {only}"),
            many => format!("mean of copies {}", listed(many)),
        };
        format!(
            "\nA⁻¹{scale} ({of}; 0.412(13) is 0.412 ± 0.013, 95 %, {})\n{}",
            if self.calibrated { "calibrated" } else { "statistical only" },
            table(&vec![""; self.matrix.n], &cells)
        )
    }

    fn time_text(&self) -> String {
        let copies: Vec<_> = self.results().map(|(copy, result)| (copy, result.time)).collect();
        let period_s = 1.0 / f64::from(self.board.raw.sample_clock_hz);
        let times = ledger::text(&copies, self.wall_s, period_s);
        times + &self.calibration.time_line()
    }

    fn digital_text(&self) -> String {
        let lines: String =
            self.digital_work.iter().map(|work| wrapped(work, "  ") + "\n").collect();
        format!("\nDigital, on the host\n{lines}")
    }

    fn verdict_text(&self) -> String {
        let mut text = String::from("\n");
        if self.cancelled() {
            let kept: Vec<String> = self.results().map(|(_, result)| count(result.kept)).collect();
            text += &format!(
                "Cancelled: the result is from the samples until then ({} kept)\n",
                kept.join(", ")
            );
        }
        let verdict = wrapped(&format!("Verdict: {}", self.summary), "");
        text += &format!("{verdict}\n{}\n", wrapped(&self.intervals, ""));
        text
    }
}
