//! The HTML report of a characterisation.

use spu_driver::characterise::{Characterisation, CurrentVoltage, PairSpectrum};
use spu_driver::device::Outcome;

use super::heat;
use super::panels::{Axes, Curve, Panel, figure};
use super::svg::escape;
use super::{capital, code, page, tables};
use crate::text::{count, digits, duration, percent, probability, si};
use crate::verb::characterise::{CharacteriseAnswer, finding_line, stage_cells};
use crate::verb::info::identity;

/// Pairs that are plotted.
const PAIRS: usize = 6;

/// Renders the report.
pub(crate) fn render(answer: &CharacteriseAnswer) -> String {
    let mut figures = Figures(0);
    let sections = [
        head(answer),
        statistics(answer),
        spectra(answer, &mut figures),
        pairs(answer, &mut figures),
        allan(answer, &mut figures),
        moments(answer, &mut figures),
        time(&answer.found.current, &mut figures),
        null(answer),
        floor(answer, &mut figures),
        converters(&answer.found, &mut figures),
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

fn spectra(answer: &CharacteriseAnswer, figures: &mut Figures) -> String {
    let spectra = &answer.found.spectra;
    let points = |values: &[f64]| -> Vec<(f64, f64)> {
        spectra.frequency_hz.iter().copied().zip(values.iter().copied()).collect()
    };
    let panels: Vec<Panel> = spectra
        .cells
        .iter()
        .map(|cell| Panel {
            title: format!("Cell {}, χ² {}", cell.cell, digits(cell.chi_squared)),
            curves: vec![
                Curve {
                    class: "curve k0",
                    points: points(&cell.density),
                    interval: cell.low.iter().copied().zip(cell.high.iter().copied()).collect(),
                    marker: None,
                },
                Curve::line("predicted", points(&cell.expected)),
            ],
        })
        .collect();
    let axes = Axes {
        x: "frequency in Hz",
        y: "PSD in V²/Hz",
        log: (true, true),
        across: 2,
        height: 190.0,
        decades: 6.0,
        key: &[("curve k0", "measured"), ("predicted", "law of the sampled board")],
    };
    let caption = format!(
        "One-sided power spectral density by Welch's method: {averages} half overlapping segments of \
         {segment} samples under a Hann window, resolution {resolution}; bands of 95 % by χ² with {dof} \
         degrees of freedom a bin, more where bins are grouped. The line is 2h·H diag(σ²) H* and 1/12 \
         LSB² of rounding, seen through the window ({law}).",
        averages = count(spectra.averages as u64),
        segment = count(spectra.segment as u64),
        resolution = si(spectra.resolution_hz, "Hz"),
        dof = digits(spectra.degrees_of_freedom),
        law = escape(&answer.law),
    );
    let ratios: Vec<Panel> = spectra
        .cells
        .iter()
        .map(|cell| {
            let over = |values: &[f64]| -> Vec<f64> {
                values.iter().zip(&cell.expected).map(|(value, law)| value / law).collect()
            };
            Panel {
                title: format!("Cell {}", cell.cell),
                curves: vec![
                    Curve {
                        class: "curve k0",
                        points: points(&over(&cell.density)),
                        interval: over(&cell.low).into_iter().zip(over(&cell.high)).collect(),
                        marker: None,
                    },
                    Curve::line("predicted", points(&vec![1.0; cell.density.len()])),
                ],
            }
        })
        .collect();
    let linear = Axes { y: "measured / law", log: (true, false), height: 110.0, ..axes };
    let rows: Vec<Vec<String>> = spectra
        .cells
        .iter()
        .map(|cell| {
            vec![
                cell.cell.to_string(),
                digits(cell.chi_squared),
                count(cell.bins as u64),
                digits(cell.chi_squared_z),
                cell.drive.map_or("–".into(), |drive| {
                    format!("{:.4} ± {:.4}", drive.value, drive.error)
                }),
            ]
        })
        .collect();
    format!(
        "<h2>Power spectra</h2>\n{}{}{}<p>Reduced χ² over every second bin, near 1 where the law holds. \
         The drive is the noise current of the cell's own DAC over the law's: the board's response is \
         taken off the measured cross spectra (H⁻¹ S H⁻*).</p>\n",
        figures.add(figure(&panels, axes, "Power spectra of the cells"), &caption),
        figures.add(
            figure(&ratios, linear, "Power spectra of the cells over the law"),
            "The same over what the law expects, with the 95 % bands.",
        ),
        tables::table(
            &["Cell", "χ²", "Bins", "Standard errors off 1", "Drive over the law's"],
            &rows
        )
    )
}

fn pairs(answer: &CharacteriseAnswer, figures: &mut Figures) -> String {
    let spectra = &answer.found.spectra;
    let mut all: Vec<&PairSpectrum> = spectra.pairs.iter().collect();
    all.sort_by(|a, b| b.strongest.total_cmp(&a.strongest));
    let points = |values: &[f64]| -> Vec<(f64, f64)> {
        spectra.frequency_hz.iter().copied().zip(values.iter().copied()).collect()
    };
    let panels: Vec<Panel> = all
        .iter()
        .take(PAIRS)
        .map(|pair| Panel {
            title: format!(
                "Cells {} and {}, χ² {}",
                pair.cells.0,
                pair.cells.1,
                digits(pair.chi_squared)
            ),
            curves: vec![
                Curve::line("curve k0", points(&pair.coherence)),
                Curve::line("predicted", points(&pair.expected)),
            ],
        })
        .collect();
    let axes = Axes {
        x: "frequency in Hz",
        y: "squared coherence",
        log: (true, false),
        across: 2,
        height: 150.0,
        decades: 0.0,
        key: &[("curve k0", "measured"), ("predicted", "law of the sampled board")],
    };
    let caption = format!(
        "Squared coherence |S_ij|²/(S_ii S_jj) of the {} strongest of {} pairs; all are in the JSON \
         output. χ² is the squared distance of the cross spectrum from the law's over its variance.",
        panels.len(),
        all.len()
    );
    let picture = figure(&panels, axes, "Coherence of pairs of cells");
    format!("<h2>Cross spectra</h2>\n{}", figures.add(picture, &caption))
}

fn allan(answer: &CharacteriseAnswer, figures: &mut Figures) -> String {
    let allan = &answer.found.allan;
    let measured = |of: fn(&spu_driver::characterise::AllanPoint) -> f64| -> Vec<(f64, f64)> {
        allan.points.iter().map(|point| (point.seconds, of(point))).collect()
    };
    let last = allan.points.iter().rev().nth(2).or(allan.points.last());
    let root = |seconds: f64| {
        last.map_or(f64::NAN, |last| last.expected * (last.seconds / seconds).sqrt())
    };
    let line = allan.points.iter().map(|point| (point.seconds, root(point.seconds))).collect();
    let interval = |point: &spu_driver::characterise::AllanPoint| {
        let half = 1.96 * point.relative_error;
        (point.deviation * (1.0 - half).max(0.01), point.deviation * (1.0 + half))
    };
    let panel = Panel {
        title: String::new(),
        curves: vec![
            Curve {
                class: "curve k0",
                points: measured(|point| point.deviation),
                interval: allan.points.iter().map(interval).collect(),
                marker: Some(0),
            },
            Curve::line("predicted", measured(|point| point.expected)),
            Curve::line("reference", line),
        ],
    };
    let axes = Axes {
        x: "length of a batch in seconds of board time",
        y: "relative Allan deviation",
        log: (true, true),
        across: 1,
        height: 300.0,
        decades: 6.0,
        key: &[
            ("curve k0", "measured, with 95 % intervals"),
            ("predicted", "law of the sampled board"),
            ("reference", "∝ 1/√T"),
        ],
    };
    let caption = format!(
        "Allan deviation of the covariance, relative by the Frobenius norm, from overlapping batches. \
         Beyond the correlation time it falls as 1/√T; drift would bend it upwards. One independent \
         sample takes {} ticks, {} by the law.",
        digits(allan.ticks_per_sample),
        digits(allan.expected_ticks_per_sample)
    );
    let picture = figure(&[panel], axes, "Allan deviation of the covariance");
    format!("<h2>Allan deviation</h2>\n{}", figures.add(picture, &caption))
}

fn moments(answer: &CharacteriseAnswer, figures: &mut Figures) -> String {
    let fourth = &answer.found.fourth;
    let points = fourth.moments.iter().map(|moment| (moment.gaussian, moment.z)).collect();
    let panel = Panel {
        title: String::new(),
        curves: vec![Curve { class: "", points, interval: Vec::new(), marker: Some(0) }],
    };
    let axes = Axes {
        x: "Σ_ij Σ_kl + Σ_ik Σ_jl + Σ_il Σ_jk, in units of the root mean squares",
        y: "standard errors off",
        log: (false, false),
        across: 1,
        height: 220.0,
        decades: 0.0,
        key: &[],
    };
    let caption = format!(
        "Deviation of {} fourth moments E[v_i v_j v_k v_l] from Isserlis' theorem, in standard errors by \
         the jackknife over {} batches. Moments that share cells move together.",
        count(fourth.moments.len() as u64),
        fourth.batches
    );
    let rows: Vec<Vec<String>> = fourth
        .excess_kurtosis
        .iter()
        .map(|(cell, excess)| {
            vec![cell.to_string(), format!("{:+.4}", excess.value), format!("{:.4}", excess.error)]
        })
        .collect();
    let picture = figure(&[panel], axes, "Fourth moments against Isserlis' theorem");
    format!(
        "<h2>Fourth moments</h2>\n{}{}",
        figures.add(picture, &caption),
        tables::table(&["Cell", "Excess kurtosis", "Standard error"], &rows)
    )
}

fn time(current: &CurrentVoltage, figures: &mut Figures) -> String {
    let line = |of: fn(&spu_driver::characterise::LagPoint) -> f64| -> Vec<(f64, f64)> {
        current.lags.iter().map(|lag| (lag.ticks as f64, of(lag))).collect()
    };
    let panel = Panel {
        title: String::new(),
        curves: vec![
            Curve {
                class: "curve k0",
                points: line(|lag| lag.antisymmetric),
                interval: Vec::new(),
                marker: Some(0),
            },
            Curve::line("reference", line(|lag| lag.noise)),
            Curve::line("predicted", line(|lag| lag.expected)),
        ],
    };
    let axes = Axes {
        x: "lag τ in ticks",
        y: "‖K − Kᵀ‖ / 2‖K(0)‖",
        log: (true, true),
        across: 1,
        height: 220.0,
        decades: 5.0,
        key: &[
            ("curve k0", "measured"),
            ("reference", "noise alone"),
            ("predicted", "law of the sampled board (absent where below the axis)"),
        ],
    };
    let caption = "Antisymmetric part of the lagged covariance K(τ) = E[v(t+τ) v(t)ᵀ]. It is zero at τ = 0 \
                   and stays within noise where time has no direction.";
    let values = |of: &dyn Fn(usize, usize) -> f64| -> Vec<Vec<f64>> {
        let n = current.correlation.len();
        (0..n).map(|i| (0..n).map(|j| of(i, j)).collect()).collect()
    };
    let heat_panel =
        |title: &str, values| heat::Panel { title: title.into(), values, outlier: false };
    let panels = vec![
        heat_panel("Measured", values(&|i, j| current.correlation[i][j].value)),
        heat_panel("Standard error", values(&|i, j| current.correlation[i][j].error)),
        heat_panel("Law", values(&|i, j| current.expected[i][j])),
    ];
    let description = "Equal-time correlation of currents and voltages";
    let map = heat::figure(&[panels], "E[i_i v_j] over root mean squares", description);
    format!(
        "<h2>Currents and voltages at one time</h2>\n<p>No converter samples the inductors. What the record \
         shows of cov(i, v) is its effect on v one tick later: K(h) − Φ_vv K(0) = Φ_vi E[i vᵀ] by one \
         step of the law. It is a small difference of large numbers, and as good as the values in Φ; in \
         equilibrium it is zero, but for the staircase of the drive. The largest deviation from the law \
         is {} standard errors among {} (p = {}).</p>\n{}{}",
        digits(current.worst_correlation.z),
        current.worst_correlation.tests,
        probability(current.worst_correlation.p_value),
        figures.add(figure(&[panel], axes, "Antisymmetric part of the lagged covariance"), caption),
        figures.add(
            Some(map),
            "Correlation of inductor currents (rows) and voltages (columns) at one time.",
        ),
    )
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

fn floor(answer: &CharacteriseAnswer, figures: &mut Figures) -> String {
    let Some(floor) = &answer.found.floor else {
        let why = answer.found.floor_missing.as_deref().unwrap_or("not measured");
        return format!("<h2>Error against time</h2>\n<p>None: {}.</p>\n", code(&escape(why)));
    };
    let points = floor.points.iter().map(|point| (point.seconds, point.error)).collect();
    let fit = floor.points.iter().map(|point| (point.seconds, point.fit)).collect();
    let noise = |seconds: f64| (floor.a_s.value.max(0.0) / seconds).sqrt();
    let falling = floor.points.iter().map(|point| (point.seconds, noise(point.seconds))).collect();
    let panel = Panel {
        title: String::new(),
        curves: vec![
            Curve { class: "curve k0", points, interval: Vec::new(), marker: Some(0) },
            Curve::line("reference", fit),
            Curve::line("predicted", falling),
        ],
    };
    let axes = Axes {
        x: "board time in seconds",
        y: "relative error",
        log: (true, true),
        across: 1,
        height: 280.0,
        decades: 6.0,
        key: &[
            ("curve k0", "measured against the digital reference"),
            ("reference", "fit ε² = a/T + ε_floor²"),
            ("predicted", "its part a/T"),
        ],
    };
    let all = [
        ("a", format!("{} ± {} s", digits(floor.a_s.value), digits(floor.a_s.error))),
        (
            "ε_floor²",
            format!(
                "{} ± {}",
                digits(floor.floor_squared.value),
                digits(floor.floor_squared.error)
            ),
        ),
        (
            "ε_floor",
            format!(
                "{}, 95 % interval {} to {}",
                percent(floor.floor),
                percent(floor.floor_interval.0),
                percent(floor.floor_interval.1)
            ),
        ),
        ("quantisation of the banks, by the plan", percent(floor.quantisation)),
        ("statistical error of the whole run", percent(floor.statistical)),
        ("effective samples by the scatter of batches", digits(floor.effective)),
    ];
    let caption = format!(
        "Relative Frobenius error of the inverse over cumulative time. The fit is by inner products of the \
         errors of {} batches: what they share is the floor, the rest falls as 1/√T.",
        floor.batches
    );
    format!(
        "<h2>Error against time</h2>\n{}{}",
        figures.add(figure(&[panel], axes, "Relative error of the inverse against time"), &caption),
        tables::facts(&all)
    )
}

fn converters(found: &Characterisation, figures: &mut Figures) -> String {
    let panels: Vec<Panel> = found
        .converters
        .iter()
        .map(|converter| {
            let width = f64::from(converter.bar_codes);
            let mut outline = Vec::new();
            for (code, count) in &converter.histogram {
                let from = f64::from(*code);
                outline
                    .extend([(from, *count as f64 / width), (from + width, *count as f64 / width)]);
            }
            Panel {
                title: format!("Cell {}", converter.cell),
                curves: vec![Curve::line("curve k0", outline)],
            }
        })
        .collect();
    let axes = Axes {
        x: "ADC code",
        y: "samples a code",
        log: (false, false),
        across: 4,
        height: 120.0,
        decades: 0.0,
        key: &[],
    };
    let rows: Vec<Vec<String>> = found
        .converters
        .iter()
        .map(|converter| {
            let bits: Vec<String> = converter.stuck_bits.iter().map(ToString::to_string).collect();
            vec![
                converter.cell.to_string(),
                format!("{:.3}", converter.offset_codes),
                si(converter.offset_v, "V"),
                digits(converter.floor_codes),
                digits(converter.rms_codes),
                format!("{} to {}", converter.range.0, converter.range.1),
                count(converter.saturated),
                format!("{} of {}", converter.missing_codes, converter.looked_for),
                if bits.is_empty() { "none".into() } else { bits.join(", ") },
            ]
        })
        .collect();
    let header = [
        "Cell",
        "Offset, LSB",
        "Offset",
        "Floor rms, LSB",
        "Driven rms, LSB",
        "Codes",
        "Saturated",
        "Missing codes",
        "Stuck bits",
    ];
    let picture = figure(&panels, axes, "Histograms of ADC codes");
    format!(
        "<h2>Converters</h2>\n{}{}<p>Offset and floor are from a run without drive. A floor of 0 is a code \
         that never changes: the noise before the converter is below its step.</p>\n",
        figures.add(picture, "Histograms of the codes with drive."),
        tables::table(&header, &rows)
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
