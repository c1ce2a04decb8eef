//! Statistics of the record: Allan deviation, moments, time, floor, converters.

use spu_driver::characterise::{Characterisation, CurrentVoltage};

use super::super::panels::{Axes, Curve, Panel, figure};
use super::super::svg::escape;
use super::super::{code, heat, tables};
use super::Figures;
use crate::text::{count, digits, p_value, percent, si};
use crate::verb::characterise::CharacteriseAnswer;

pub(super) fn allan(answer: &CharacteriseAnswer, figures: &mut Figures) -> String {
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

pub(super) fn moments(answer: &CharacteriseAnswer, figures: &mut Figures) -> String {
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

pub(super) fn time(current: &CurrentVoltage, figures: &mut Figures) -> String {
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
        decades: 3.0,
        key: &[
            ("curve k0", "measured"),
            ("reference", "noise alone"),
            ("predicted", "law of the sampled board (not drawn where it is below)"),
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
         is {} standard errors among {} ({}).</p>\n{}{}",
        digits(current.worst_correlation.z),
        current.worst_correlation.tests,
        p_value(current.worst_correlation.p_value),
        figures.add(figure(&[panel], axes, "Antisymmetric part of the lagged covariance"), caption),
        figures.add(
            Some(map),
            "Correlation of inductor currents (rows) and voltages (columns) at one time.",
        ),
    )
}

pub(super) fn floor(answer: &CharacteriseAnswer, figures: &mut Figures) -> String {
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

pub(super) fn converters(found: &Characterisation, figures: &mut Figures) -> String {
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
