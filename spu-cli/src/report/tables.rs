//! Tables of the report.

use super::svg::escape;
use crate::text::{count, digits, duration, percent, probability, si};
use crate::verb::info::identity;
use crate::verb::invert_view::InvertAnswer;

pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |tag: &str, texts: &[String]| -> String {
        texts.iter().map(|text| format!("<{tag}>{}</{tag}>", escape(text))).collect()
    };
    let header: Vec<String> = header.iter().map(ToString::to_string).collect();
    let body: String = rows.iter().map(|row| format!("<tr>{}</tr>\n", cells("td", row))).collect();
    format!(
        "<div class=\"scroll\"><table>\n<thead><tr>{}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n",
        cells("th", &header)
    )
}

/// Names with their values.
pub(super) fn facts(facts: &[(&str, String)]) -> String {
    let rows: String = facts
        .iter()
        .map(|(name, value)| {
            format!(
                "<tr><td>{}</td><td>{}</td></tr>\n",
                super::capital(&escape(name)),
                escape(value)
            )
        })
        .collect();
    format!("<table class=\"facts\"><tbody>\n{rows}</tbody></table>\n")
}

pub(super) fn copies(answer: &InvertAnswer) -> String {
    let header = [
        "Copy",
        "Error against reference",
        "Statistical, predicted",
        "Statistical, measured",
        "N_eff planned",
        "N_eff measured",
        "Samples kept",
        "Saturated",
        "Noise gain",
    ];
    let mut rows = Vec::new();
    for copy in &answer.copies {
        let mut row = vec![copy.copy.to_string()];
        match &copy.result {
            None => row.extend(vec!["–".into(); header.len() - 1]),
            Some(result) => row.extend([
                percent(result.error_against_reference),
                percent(result.predicted_statistical_error),
                percent(result.measured_statistical_error),
                count(result.effective_planned.round() as u64),
                count(result.effective_measured.round() as u64),
                count(result.kept),
                count(result.saturated.iter().sum()),
                digits(result.noise_gain),
            ]),
        }
        rows.push(row);
    }
    if answer.mean.of_copies.len() > 1 {
        let mut row = vec!["Mean".into(), percent(answer.mean.error_against_reference)];
        row.resize(header.len(), String::new());
        rows.push(row);
    }
    table(&header, &rows)
}

pub(super) fn pairs(answer: &InvertAnswer) -> String {
    let rows: Vec<Vec<String>> = answer
        .pairs
        .iter()
        .map(|pair| {
            vec![
                format!("{} and {}", pair.copies.0, pair.copies.1),
                percent(pair.relative_difference),
                probability(pair.p_value),
                digits(pair.distance),
                digits(pair.limit),
            ]
        })
        .collect();
    table(&["Copies", "Relative difference", "p if equal", "Distance", "Limit"], &rows)
}

/// How the board was sampled.
pub(super) fn sampling(answer: &InvertAnswer) -> Vec<(&'static str, String)> {
    let plan = &answer.plan;
    vec![
        ("Settling", format!("{} ticks", count(plan.settle_ticks))),
        ("Decimation", format!("one tick in {} is kept, unfiltered", plan.decimation)),
        ("Samples planned", count(plan.samples)),
        ("Independent among them", count(plan.effective.round() as u64)),
        ("Fastest mode", format!("1/{:.0} of the sample clock", 1.0 / plan.mode_ratio)),
        (
            "Time on each board",
            answer
                .results()
                .map(|(_, result)| duration(result.board_s))
                .next()
                .unwrap_or_else(|| "–".into()),
        ),
    ]
}

/// Self-term codes on the diagonal, coupling codes beside it.
pub(super) fn codes(answer: &InvertAnswer) -> String {
    let n = answer.matrix.n;
    let mut text = String::from("<table class=\"matrix\"><tbody>\n");
    for i in 0..n {
        text += "<tr>";
        for j in 0..n {
            text += &if i == j {
                format!("<td class=\"own\">{}</td>", answer.plan.self_codes[i])
            } else {
                format!("<td>{}</td>", answer.plan.coupling_codes[i][j])
            };
        }
        text += "</tr>\n";
    }
    text + "</tbody></table>\n"
}

pub(super) fn modes(answer: &InvertAnswer) -> String {
    let rows: Vec<Vec<String>> = answer
        .plan
        .modes
        .iter()
        .enumerate()
        .map(|(index, mode)| {
            vec![
                index.to_string(),
                si(mode.farad, "F"),
                si(mode.frequency_hz, "Hz"),
                digits(mode.q),
            ]
        })
        .collect();
    table(&["Mode", "Capacitance", "Frequency", "Q"], &rows)
}

/// What was run on what.
pub(super) fn provenance(answer: &InvertAnswer) -> String {
    let mut all = vec![("command", answer.command.clone()), ("rung", answer.rung.to_owned())];
    let mut text = String::new();
    all.extend(identity(&answer.board).into_iter().filter(|(name, _)| *name != "serial number"));
    all.extend(answer.calibration.timeless_facts());
    all.push(("seed", answer.seed.to_string()));
    if answer.matrix.damping > 0.0 {
        all.push(("damping", answer.matrix.damping.to_string()));
    }
    text += &facts(&all);
    let rows: Vec<Vec<String>> = answer
        .copies
        .iter()
        .map(|copy| {
            let serial =
                copy.result.as_ref().map_or("–".into(), |r| format!("{:016x}", r.serial));
            let ticks = copy.result.as_ref().map_or("–".into(), |r| count(r.board_ticks));
            vec![copy.copy.to_string(), copy.uri.clone(), serial, ticks]
        })
        .collect();
    text + &table(&["Copy", "Device", "Serial number", "Ticks run"], &rows)
}
