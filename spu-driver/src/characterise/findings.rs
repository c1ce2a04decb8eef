//! What does not follow the law.

use super::{ALARM, Characterisation, Extreme, Finding};

/// What deviates, each at a false-alarm rate below 1e-6.
pub(super) fn findings(found: &Characterisation) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut add = |check, cells: &[usize], detail: String| {
        all.push(Finding { check, cells: cells.to_vec(), detail });
    };
    if found.moments_agree == Some(false) {
        add("moments", &[], "moments of the board are not those of its frames".into());
    }
    for cell in &found.silent {
        add("converter", &[*cell], "no signal: the converter is stuck or the cell is dead".into());
    }
    for converter in &found.converters {
        let cell = [converter.cell];
        if converter.saturated > 0 {
            add("converter", &cell, format!("{} samples saturate it", converter.saturated));
        }
        if !converter.stuck_bits.is_empty() {
            add("converter", &cell, format!("bits {:?} never change", converter.stuck_bits));
        }
        if converter.missing_codes > 0 {
            add("converter", &cell, format!("{} codes never come", converter.missing_codes));
        }
    }
    for cell in found.spectra.cells.iter().filter(|cell| cell.deviates) {
        let drive = cell.drive.map_or(String::new(), |drive| {
            format!("; its drive is {:.3} ± {:.3} of the law's", drive.value, drive.error)
        });
        add("spectrum", &[cell.cell], format!("reduced χ² {:.3}{drive}", cell.chi_squared));
    }
    let extreme = |extreme: &Extreme, what: &str| {
        format!("{what}: {:.1} standard errors, p = {:.1e}", extreme.z, extreme.p_value)
    };
    if found.allan.drifts {
        let detail = "the longest batches differ more than noise explains".into();
        add("allan", &[], detail);
    }
    for (check, test, what) in [
        ("fourth", &found.fourth.worst, "a fourth moment is not that of a Gaussian"),
        ("time", &found.current.worst_antisymmetric, "the lagged covariance is not symmetric"),
        ("current", &found.current.worst_correlation, "cov(i, v) is not what the law expects"),
        ("null", &found.null.worst_correlation, "shifted channels are correlated"),
        ("null", &found.null.worst_cross_power, "shifted channels have a cross spectrum"),
        ("null", &found.null.worst_fourth, "a fourth moment of shifted channels is off"),
    ] {
        if test.alarm {
            add(check, &test.cells, extreme(test, what));
        }
    }
    if let Some(floor) = &found.floor
        && floor.floor_squared.value > ALARM * floor.floor_squared.error
    {
        let percent = 100.0 * floor.floor;
        add("floor", &[], format!("the inverse stays {percent:.1} % off, whatever the time"));
    }
    all
}
