//! The page of a calibration: what is off nominal, and how well the model fits.

use spu_driver::calibration::{Estimate, Record};

use super::chart::axes;
use super::scale::{Scale, label};
use super::svg::{Anchor, Svg, escape};
use crate::answer::Answer as _;
use crate::text::percent;
use crate::verb::calibrate_view::{CalibrateAnswer, Values};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 985.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 250.0;
/// Error bars are this many standard deviations long, each way.
const BAR: f64 = 2.0;

/// Renders the page; an empty one for an answer without values.
pub(crate) fn render(answer: &CalibrateAnswer) -> String {
    let body = answer.values.as_ref().map_or_else(String::new, |values| body(answer, values));
    super::page("Calibration", &body)
}

fn body(answer: &CalibrateAnswer, values: &Values) -> String {
    let record = &values.record;
    let figures = [
        (
            "Self-term elements",
            elements(&record.selves, record.nominal.self_lsb_farad, "cell"),
            "Deviation of each element from nominal, cell by cell and bit by bit.",
        ),
        (
            "Coupling elements",
            elements(&record.couplings, record.nominal.coupling_lsb_farad, "pair"),
            "The same of the coupling banks, by pairs (0,1), (0,2) … and bit by bit.",
        ),
        (
            "Cells",
            cells(record),
            "Deviation of R, L, drive and ADC gain of each cell from nominal.",
        ),
        (
            "Residual of each bank setting",
            residuals(record),
            "Standard deviation of a sample around the fitted responses, in codes. Rounding alone \
             makes 0.289.",
        ),
    ];
    let mut html = format!(
        "<h1>Calibration {}</h1>\n<p class=\"lead\">Board {}, profile {}; measured {}, holds until \
         {}.</p>\n",
        values.id,
        values.serial,
        escape(&record.board.profile),
        values.created,
        values.expires
    );
    for (title, figure, caption) in figures {
        html += &format!(
            "<h2>{title}</h2>\n<figure>\n{figure}<figcaption>{caption} Bars are two standard \
             deviations each way.</figcaption>\n</figure>\n"
        );
    }
    html + &format!(
        "<h2>Values</h2>\n<div class=\"scroll\"><pre>{}</pre></div>\n",
        escape(&answer.text())
    )
}

/// A point with its uncertainty and what it is.
struct Point {
    series: usize,
    value: f64,
    sigma: f64,
    tip: String,
}

fn relative(estimate: &Estimate, nominal: f64) -> (f64, f64) {
    (estimate.value / nominal - 1.0, estimate.sigma / nominal)
}

fn elements(banks: &[Vec<Estimate>], lsb: f64, what: &str) -> String {
    let points = banks.iter().enumerate().flat_map(|(index, bank)| {
        bank.iter().enumerate().map(move |(bit, element)| {
            let (value, sigma) = relative(element, lsb * f64::from(1_u32 << bit));
            let tip = format!("{what} {index}, bit {bit}: {} ± {}", percent(value), percent(sigma));
            Point { series: index, value, sigma, tip }
        })
    });
    let order = format!("bank elements, {what} by {what}, bit by bit");
    figure(&points.collect::<Vec<_>>(), true, &order, "Deviation of bank elements from nominal")
}

fn cells(record: &Record) -> String {
    let nominal = &record.nominal;
    let points = record.cells.iter().enumerate().flat_map(|(index, cell)| {
        [
            ("R", relative(&cell.r_ohm, nominal.r_ohm)),
            ("L", relative(&cell.l_henry, nominal.l_henry)),
            ("drive", relative(&cell.drive_ampere, nominal.drive_ampere)),
            ("ADC gain", relative(&cell.adc_gain, nominal.adc_gain)),
        ]
        .map(|(name, (value, sigma))| {
            let tip = format!("cell {index}, {name}: {} ± {}", percent(value), percent(sigma));
            Point { series: index, value, sigma, tip }
        })
    });
    let order = "R, L, drive and ADC gain, cell by cell";
    figure(&points.collect::<Vec<_>>(), true, order, "Deviation of the cells' values from nominal")
}

fn residuals(record: &Record) -> String {
    let points = record.fit.settings.iter().enumerate().map(|(setting, fit)| {
        let value = fit.sample_variance.sqrt();
        let tip = format!("setting {setting}: {value:.4} codes, χ² {:.1}", fit.chi_squared);
        Point { series: 0, value, sigma: 0.0, tip }
    });
    let points: Vec<_> = points.collect();
    figure(&points, false, "bank settings", "Residual of each bank setting")
}

fn figure(points: &[Point], share: bool, order: &str, description: &str) -> String {
    let ends = points.iter().flat_map(|point| {
        let bar = BAR * point.sigma;
        [point.value - bar, point.value + bar]
    });
    let (low, high) = ends.fold((0.0_f64, 0.0_f64), |(low, high), x| (low.min(x), high.max(x)));
    let room = 0.06 * (high - low);
    let y = Scale::linear((low - room, high + room), (BOTTOM, TOP));
    let x = Scale::linear((-1.0, points.len() as f64), (LEFT, RIGHT));
    let mut svg = Svg::new(WIDTH, HEIGHT);
    axes(&mut svg, None, &y, (LEFT, RIGHT), |tick| {
        if share { format!("{} %", label(100.0 * tick)) } else { label(tick) }
    });
    svg.line("zero", (LEFT, y.at(0.0)), (RIGHT, y.at(0.0)));
    for (index, point) in points.iter().enumerate() {
        let at = x.at(index as f64);
        let bar = BAR * point.sigma;
        svg.line("reference", (at, y.at(point.value - bar)), (at, y.at(point.value + bar)));
        svg.marker(point.series, (at, y.at(point.value)), &point.tip);
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    svg.text("label", (middle, HEIGHT - 20.0), Anchor::Middle, order);
    svg.finish(description)
}
