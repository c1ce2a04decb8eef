//! Power and cross spectra.

use spu_driver::characterise::PairSpectrum;

use super::super::panels::{Axes, Curve, Panel, figure};
use super::super::svg::escape;
use super::super::tables;
use super::Figures;
use crate::text::{count, digits, si};
use crate::verb::characterise::CharacteriseAnswer;

/// Pairs that are plotted.
const PAIRS: usize = 6;

pub(super) fn spectra(answer: &CharacteriseAnswer, figures: &mut Figures) -> String {
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

pub(super) fn pairs(answer: &CharacteriseAnswer, figures: &mut Figures) -> String {
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
