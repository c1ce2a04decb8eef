//! The HTML report of an inversion: one file that needs nothing else, and is well-formed XML too.
//!
//! It shows no wall time and no date, so that the same run gives the same file.

mod board;
pub(crate) mod calibration;
mod chart;
mod convergence;
mod entries;
mod heat;
mod tables;

pub(crate) use board::render as render_board;

use spu_cli::plot::{STYLE, panels, scale, svg};

use crate::text::{counted, digits, percent};
use crate::verb::invert_view::InvertAnswer;
use heat::Panel;
use svg::escape;

/// Renders the report.
pub(crate) fn render(answer: &InvertAnswer) -> String {
    let sections = [
        head(answer),
        copies(answer),
        heat_maps(answer),
        convergence(answer),
        spread(answer),
        settings(answer),
        provenance(answer),
    ];
    page(&format!("Inverse of {}", answer.matrix.file), &sections.concat())
}

/// A whole page.
pub(crate) fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n\
         <meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>{}</title>\n<style>\n{STYLE}{}</style>\n</head>\n<body>\n{}</body>\n</html>\n",
        escape(title),
        include_str!("style.css"),
        // A number keeps its unit on the line.
        body.replace(" %", "\u{a0}%")
    )
}

fn head(answer: &InvertAnswer) -> String {
    let class = match &answer.verdict {
        Some(verdict) if !verdict.is_success() => "bad",
        Some(_) if !answer.cancelled() => "good",
        _ => "warn",
    };
    let cancelled = if answer.cancelled() {
        "The run was cancelled; the result is from the samples until then. "
    } else {
        ""
    };
    format!(
        "<h1>Inverse of {file}</h1>\n<p class=\"lead\">{n} × {n}, condition number {condition}; \
         measured as the covariance of {copies} of profile {profile}, {rung}.</p>\n\
         <div class=\"verdict {class}\"><strong>{summary}.</strong>\n{cancelled}Error of the \
         {what} against the digital reference: {error}. {intervals}.</div>\n",
        file = escape(&answer.matrix.file),
        n = answer.matrix.n,
        condition = digits(answer.matrix.condition),
        copies = counted(answer.copies.len(), "copy", "copies"),
        profile = escape(&answer.board.profile),
        rung = escape(answer.rung),
        summary = capital(&code(&escape(&answer.summary))),
        what = if answer.mean.of_copies.len() > 1 { "mean" } else { "result" },
        error = percent(answer.mean.error_against_reference),
        intervals = capital(&escape(&answer.intervals)),
    )
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// What stands between backticks as code.
fn code(text: &str) -> String {
    let mut parts = text.split('`');
    let mut html = parts.next().unwrap_or("").to_owned();
    for (index, part) in parts.enumerate() {
        html += if index.is_multiple_of(2) { "<code>" } else { "</code>" };
        html += part;
    }
    if text.matches('`').count().is_multiple_of(2) { html } else { text.to_owned() }
}

fn copies(answer: &InvertAnswer) -> String {
    let mut text = format!(
        "<h2>Copies</h2>\n{}<p>Errors are relative, by the Frobenius norm. The digital reference is \
         an inverse by Cholesky factorisation on the host, for comparison only. The statistical \
         part is what the number of samples leaves: predicted from the spectrum of the programmed \
         board, and measured by the scatter of batches.</p>\n",
        tables::copies(answer)
    );
    for copy in &answer.copies {
        if let Some(error) = &copy.error {
            text += &format!("<p>Copy {}: {}.</p>\n", copy.copy, code(&escape(error)));
        }
    }
    if answer.pairs.is_empty() {
        return text;
    }
    text += &format!("<h3>Pairs</h3>\n{}", tables::pairs(answer));
    let most: f64 = answer.pairs.iter().map(|pair| pair.distance / pair.limit).fold(0.0, f64::max);
    text += &format!(
        "<p>p is the probability of such a difference between copies that are equal. The distance \
         (affine-invariant) is compared with what noise and the profile's stated spread explain; \
         the largest is {} of its limit.</p>\n",
        percent(most)
    );
    if let Some(bias) = &answer.bias {
        text += &format!(
            "<p>The squared error of a copy splits into a part that all share ({}), a part of its \
             own ({}) and statistics ({}); averaging copies reduces the last two only.</p>\n",
            percent(bias.common),
            percent(bias.independent),
            percent(bias.statistical)
        );
    }
    text
}

fn figure(number: usize, picture: &str, caption: &str) -> String {
    format!(
        "<figure>\n{picture}<figcaption><b>Figure {number}.</b> {caption}</figcaption>\n</figure>\n"
    )
}

fn heat_maps(answer: &InvertAnswer) -> String {
    let difference = |a: &[Vec<f64>], b: &[Vec<f64>]| -> Vec<Vec<f64>> {
        a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(x, y)| x - y).collect()).collect()
    };
    let several = answer.mean.of_copies.len() > 1;
    let reference = &answer.digital_reference;
    let is_outlier = |copy: usize| answer.outliers.contains(&copy);
    let panel = |title: String, values: Vec<Vec<f64>>, outlier| Panel { title, values, outlier };
    let mut inverses = vec![panel("Digital reference".into(), reference.clone(), false)];
    let mut errors = Vec::new();
    let mut pairs = Vec::new();
    let results: Vec<_> = answer.results().collect();
    for (index, &(copy, result)) in results.iter().enumerate() {
        let outlier = is_outlier(copy);
        inverses.push(panel(format!("Copy {copy}"), result.inverse.clone(), outlier));
        let error = difference(&result.inverse, reference);
        errors.push(panel(format!("Copy {copy} − reference"), error, outlier));
        for &(other, second) in &results[index + 1..] {
            let apart = difference(&result.inverse, &second.inverse);
            let outlier = outlier || is_outlier(other);
            pairs.push(panel(format!("Copy {copy} − copy {other}"), apart, outlier));
        }
    }
    if several {
        inverses.push(panel("Mean".into(), answer.mean.inverse.clone(), false));
        let error = difference(&answer.mean.inverse, reference);
        errors.push(panel("Mean − reference".into(), error, false));
    }
    let cut = if results.iter().any(|(copy, _)| is_outlier(*copy)) {
        " An outlier does not count for the scale; its colours end with it."
    } else {
        ""
    };
    let rows: Vec<Vec<Panel>> = [errors, pairs].into_iter().filter(|row| !row.is_empty()).collect();
    let below = if rows.len() > 1 { "; below, what the copies differ by" } else { "" };
    format!(
        "<h2>Inverses and their differences</h2>\n{}{}",
        figure(
            1,
            &heat::figure(&[inverses], "entry of A⁻¹", "Heat maps of the inverses"),
            &format!(
                "The inverse by digital computation and as each copy measured it, on one colour \
                 scale.{cut}"
            ),
        ),
        figure(
            2,
            &heat::figure(&rows, "difference of entries", "Heat maps of the differences"),
            &format!(
                "What each copy is off the reference{below}, on one colour scale (not that of \
                 figure\u{a0}1).{cut}"
            ),
        )
    )
}

fn convergence(answer: &InvertAnswer) -> String {
    let Some(picture) = convergence::figure(answer) else {
        return String::new();
    };
    let share = answer.plan.effective / answer.plan.samples as f64;
    format!(
        "<h2>Error against samples</h2>\n{}",
        figure(
            3,
            &picture,
            &format!(
                "Error of the inverse from the first N samples of each copy. It falls as 1/√N until \
                 the board's own deviations show. One sample in {} ticks is kept, and a kept sample \
                 counts as {} independent ones.",
                answer.plan.decimation,
                digits(share)
            ),
        )
    )
}

fn spread(answer: &InvertAnswer) -> String {
    let (picture, shown) = entries::figure(answer);
    let n = answer.matrix.n;
    let all = n * (n + 1) / 2;
    let which = if shown == all {
        "All entries on and above the diagonal".to_owned()
    } else {
        format!("{shown} of the {all} entries on and above the diagonal")
    };
    format!(
        "<h2>Spread of the copies</h2>\n{}",
        figure(
            4,
            &picture,
            &format!(
                "{which}, largest first, with 95 % intervals{}. Above the values, below their \
                 difference from the reference.{}",
                if answer.calibrated { "" } else { " (statistical only)" },
                if answer.outliers.is_empty() {
                    ""
                } else {
                    " What an outlier has outside these ranges is not drawn."
                }
            ),
        )
    )
}

fn settings(answer: &InvertAnswer) -> String {
    let plan = &answer.plan;
    let mut programmed = vec![
        ("Scaling", plan.scaling_name().to_owned()),
        ("Quantisation of the matrix", percent(plan.quantisation)),
        ("Capacitance per unit", crate::text::si(plan.farads_per_unit, "F")),
    ];
    programmed.extend(tables::sampling(answer));
    format!(
        "<h2>Settings of the board</h2>\n<div class=\"columns\">\n<div><h3>Profile {}</h3>\n{}</div>\n\
         <div><h3>Run</h3>\n{}</div>\n</div>\n<div class=\"columns\">\n<div><h3>Codes</h3>\n{}\
         <p>Self terms on the diagonal, couplings beside it.</p></div>\n\
         <div><h3>Modes</h3>\n{}</div>\n</div>\n",
        escape(&answer.board.profile),
        tables::facts(&answer.nominal.facts()),
        tables::facts(&programmed),
        tables::codes(answer),
        tables::modes(answer),
    )
}

fn provenance(answer: &InvertAnswer) -> String {
    let work: String =
        answer.digital_work.iter().map(|work| format!("<br/>{}", capital(&escape(work)))).collect();
    format!(
        "<h2>Provenance</h2>\n{}<p>Computed digitally on the host:{work}</p>\n\
         <footer>Written by spu {}. No wall time or date is in this file: the same command gives the \
         same file on a simulator.</footer>\n",
        tables::provenance(answer),
        escape(answer.version)
    )
}
