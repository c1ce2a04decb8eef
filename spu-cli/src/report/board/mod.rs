//! The HTML report of a characterisation.

mod spectra;
mod statistics;

use spu_driver::device::Outcome;

use super::svg::escape;
use super::{capital, code, page, tables};
use crate::text::{count, digits, duration, probability, si};
use crate::verb::characterise::{CharacteriseAnswer, finding_line, stage_cells};
use crate::verb::info::identity;

/// Renders the report.
pub(crate) fn render(answer: &CharacteriseAnswer) -> String {
    let mut figures = Figures(0);
    let sections = [
        head(answer),
        statistics(answer),
        spectra::spectra(answer, &mut figures),
        spectra::pairs(answer, &mut figures),
        statistics::allan(answer, &mut figures),
        statistics::moments(answer, &mut figures),
        statistics::time(&answer.found.current, &mut figures),
        null(answer),
        statistics::floor(answer, &mut figures),
        statistics::converters(&answer.found, &mut figures),
        ledger(answer),
        provenance(answer),
    ];
    page(&format!("Characterisation of {}", answer.found.uri), &sections.concat())
}

/// Numbers figures.
struct Figures(usize);

impl Figures {
    fn add(&mut self, picture: Option<String>, caption: &str) -> String {
        let Some(picture) = picture else { return String::new() };
        self.0 += 1;
        super::figure(self.0, &picture, caption)
    }
}

fn head(answer: &CharacteriseAnswer) -> String {
    let found = &answer.found;
    let cancelled = found.outcome == Outcome::Cancelled;
    let class = match (found.findings.is_empty(), cancelled) {
        (true, false) => "good",
        _ => "warn",
    };
    let summary = if found.findings.is_empty() {
        "Nothing deviates from the law of the board".to_owned()
    } else {
        format!(
            "{} from the law of the board",
            crate::text::counted(found.findings.len(), "deviation", "deviations")
        )
    };
    let mut list: String = found
        .findings
        .iter()
        .map(|finding| format!("<br/>{}", capital(&code(&escape(&finding_line(finding))))))
        .collect();
    if cancelled {
        list += "<br/>The run was cancelled; the results are from the samples until then.";
    }
    format!(
        "<h1>Characterisation of {uri}</h1>\n<p class=\"lead\">Profile {profile}, {rung}; set to \
         {matrix}. The law that measurements are compared with is {law}.</p>\n\
         <div class=\"verdict {class}\"><strong>{summary}.</strong>\nEach check has a false-alarm \
         rate below 10⁻⁶.{list}</div>\n",
        uri = escape(&found.uri),
        profile = escape(&found.board.profile),
        rung = escape(answer.rung),
        matrix = escape(&answer.matrix.line()),
        law = escape(&answer.law),
    )
}

fn statistics(answer: &CharacteriseAnswer) -> String {
    let found = &answer.found;
    let moments = match found.moments_agree {
        Some(true) => "agree bit for bit with those of the frames",
        Some(false) => "differ from those of the frames",
        None => "not compared: cancelled",
    };
    let mut all = vec![
        (
            "raw record",
            format!(
                "{} samples of each cell at every tick, {}",
                count(found.samples),
                duration(found.samples as f64 * found.period_s)
            ),
        ),
        ("moments of the board", moments.to_owned()),
    ];
    all.extend(answer.statistics());
    format!("<h2>Summary</h2>\n{}", tables::facts(&all))
}

fn null(answer: &CharacteriseAnswer) -> String {
    let null = &answer.found.null;
    let row = |name: &str, test: &spu_driver::characterise::Extreme| {
        let cells: Vec<String> = test.cells.iter().map(ToString::to_string).collect();
        vec![
            name.to_owned(),
            digits(test.z),
            cells.join(", "),
            test.tests.to_string(),
            probability(test.p_value),
        ]
    };
    let rows = [
        row("Correlation of two channels", &null.worst_correlation),
        row("Power of their cross spectrum", &null.worst_cross_power),
        row("Fourth moments", &null.worst_fourth),
        row("Correlation, not shifted", &null.unshifted),
    ];
    format!(
        "<h2>Shifted channels</h2>\n{}<p>The channels of the record, each shifted in time by another part of \
         its length: spectra stay, everything between channels must vanish within error. Mean z² of the \
         correlations {}; power of the cross spectra {} of what noise leaves. The last row is the record \
         as it is.</p>\n",
        tables::table(&["Largest", "Standard errors", "Cells", "Of", "p"], &rows),
        digits(null.mean_square_z),
        digits(null.cross_power)
    )
}

fn ledger(answer: &CharacteriseAnswer) -> String {
    let rows: Vec<Vec<String>> = answer
        .found
        .stages
        .iter()
        .map(|stage| {
            let mut row = stage_cells(stage);
            let ticks = stage.settle_ticks + stage.sampled_ticks;
            row.insert(3, duration(ticks as f64 * answer.found.period_s));
            row
        })
        .collect();
    let header = [
        "Stage",
        "Ticks of settling",
        "Ticks of sampling",
        "Board time",
        "N_eff",
        "N_eff per second of board time",
    ];
    format!(
        "<h2>Time</h2>\n{}<p>N_eff per second counts settling. Wall time by phase (encode, program, settle, \
         acquire, transfer, decode) is in the text and JSON output: it differs from run to run, this file \
         does not.</p>\n",
        tables::table(&header, &rows)
    )
}

fn provenance(answer: &CharacteriseAnswer) -> String {
    let found = &answer.found;
    let mut all = vec![
        ("command", answer.command.clone()),
        ("device", found.uri.clone()),
        ("rung", answer.rung.to_owned()),
    ];
    all.extend(identity(&found.board));
    all.extend(answer.calibration.timeless_facts());
    all.extend([
        ("seed", found.seed.to_string()),
        ("noise gain", digits(found.programming.gain)),
        ("settling from rest", format!("{} ticks", count(found.programming.settle_ticks))),
        ("law", answer.law.clone()),
    ]);
    let rows: Vec<Vec<String>> = found
        .programming
        .modes
        .iter()
        .enumerate()
        .map(|(index, (farad, hertz, q))| {
            vec![index.to_string(), si(*farad, "F"), si(*hertz, "Hz"), digits(*q)]
        })
        .collect();
    format!(
        "<h2>Provenance</h2>\n<div class=\"columns\">\n<div>{}</div>\n<div><h3>Modes</h3>\n{}</div>\n</div>\n\
         <footer>Written by spu {}. Everything measured comes from ADC codes; every law is computed \
         digitally. No wall time or date is in this file: the same command gives the same file on a \
         simulator.</footer>\n",
        tables::facts(&all),
        tables::table(&["Mode", "Capacitance", "Frequency", "Q"], &rows),
        escape(answer.version)
    )
}
