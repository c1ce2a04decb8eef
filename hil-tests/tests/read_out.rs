//! The read-out of boards whose values are known exactly, taken from the simulator's own draw: what a
//! perfect calibration gives. It shows the law of the read-out without that of the calibration.

use std::sync::Arc;

use hil_tests::accuracy::bound;
use hil_tests::accuracy::matrices::programmable;
use spu_driver::BoardInfo;
use spu_driver::board_model::{BoardModel, CellValues, MeasuredBoard, MeasuredBoards};
use spu_driver::invert::{InvertOptions, Quiet, invert};
use spu_driver::linalg::{frobenius, relative_error};
use spu_driver::plan::Budget;
use spu_sim::Profile;
use spu_sim::analog::Parts;

/// The values of a board as the simulator drew them.
fn known(info: &BoardInfo, profile: &str, seed: u64) -> BoardModel {
    let parts = Parts::draw(&Profile::named(profile).unwrap(), seed, 0);
    let cells = (0..info.cells).map(|i| CellValues {
        r_ohm: parts.r_ohm[i],
        l_henry: parts.l_henry[i],
        stray_farad: parts.stray_farad[i],
        drive_ampere: parts.drive_ampere[i],
        adc_gain: parts.adc_gain[i],
        adc_offset: parts.adc_offset[i],
    });
    let bank = |elements: &[f64], bits: u8| elements[..usize::from(bits)].to_vec();
    BoardModel {
        cells: cells.collect(),
        selves: parts.self_elements[..info.cells]
            .iter()
            .map(|e| bank(e, info.raw.self_bits))
            .collect(),
        couplings: parts.coupling_elements[..info.couplings]
            .iter()
            .map(|e| bank(e, info.raw.coupling_bits))
            .collect(),
        period_s: info.sample_period_s(),
    }
}

/// Options with the board's values known.
fn options(info: &BoardInfo, profile: &str, seed: u64, effective: u64) -> InvertOptions {
    let model = known(info, profile, seed);
    let board = MeasuredBoard { id: 1, model, draws: Vec::new() };
    let measured: MeasuredBoards = [(info.serial, Arc::new(board))].into();
    let budget = Budget { effective: Some(effective), ..Budget::default() };
    InvertOptions { budget, seed, measured: Arc::new(measured), ..InvertOptions::default() }
}

struct Seen {
    /// Squared relative error of the inverse of what was programmed, over what the samples leave.
    over_bound: f64,
    /// Relative error of quantisation.
    quantisation: f64,
    /// Entries whose interval holds the truth, of 36.
    inside: usize,
}

fn run(profile: &str, seed: u64, effective: u64) -> Seen {
    let mut device = spu_driver::open(&format!("sim:profile={profile},seed={seed}")).unwrap();
    let info = device.info().clone();
    let options = options(&info, profile, seed, effective);
    let a = programmable(seed).unwrap();
    let truth = a.digital_inverse();
    let result = invert(device.as_mut(), &a, &options, &Quiet).unwrap();
    assert_eq!(result.calibration, Some(1));
    // To second order, what was programmed.
    let x = &result.inverse;
    let here = x - &result.systematic.quantisation;
    let bound = bound(&truth, result.effective_planned);
    let intervals = result.intervals();
    let pairs = (0..8).flat_map(|i| (i..8).map(move |j| [i, j]));
    Seen {
        over_bound: (relative_error(&here, &truth) / bound).powi(2),
        quantisation: frobenius(&result.systematic.quantisation) / frobenius(&truth),
        inside: pairs.filter(|at| (x[*at] - truth[*at]).abs() <= intervals[*at]).count(),
    }
}

/// `count` boards: root mean square error over the bound, largest quantisation error, part of the
/// entries inside their intervals.
fn boards(profile: &str, count: u64, effective: u64) -> (f64, f64, f64) {
    let seen: Vec<Seen> = (1000..1000 + count).map(|seed| run(profile, seed, effective)).collect();
    let mean = seen.iter().map(|seen| seen.over_bound).sum::<f64>() / count as f64;
    let quantisation = seen.iter().map(|seen| seen.quantisation).fold(0.0, f64::max);
    let inside = seen.iter().map(|seen| seen.inside).sum::<usize>() as f64 / (36 * count) as f64;
    (mean.sqrt(), quantisation, inside)
}

/// On 24 boards the mean of the squared ratio is 1 with a standard deviation of 0.06 (36 entries, fewer
/// than that independent: at least 24 effective ones, so at most 0.06 x 1.3): 0.3 is more than 5 of them.
#[test]
fn known_boards_reach_the_statistical_bound() {
    for profile in ["rev-a", "rev-b"] {
        let (over, quantisation, inside) = boards(profile, 24, 20_000);
        println!(
            "{profile}: {over:.3} of the bound, quantisation {quantisation:.4}, inside {inside:.3}"
        );
        assert!((0.7..1.3).contains(&over), "{profile}: {over}");
        assert!((0.90..0.99).contains(&inside), "{profile}: {inside}");
    }
}

/// Banks of four bits: sixteen programmings that make up for each other leave a third of one's
/// error of quantisation at most; what the samples leave is far below it here.
#[test]
fn programmings_that_make_up_for_each_other() {
    let mut sums = [0.0; 2];
    for seed in 2000..2002 {
        let mut device = spu_driver::open(&format!("sim:profile=rev-a,seed={seed}")).unwrap();
        let info = device.info().clone();
        let a = programmable(seed).unwrap();
        let truth = a.digital_inverse();
        for (sum, programmings) in sums.iter_mut().zip([1, 16]) {
            let programmings = std::num::NonZeroU32::new(programmings).unwrap();
            let options = InvertOptions { programmings, ..options(&info, "rev-a", seed, 150_000) };
            let result = invert(device.as_mut(), &a, &options, &Quiet).unwrap();
            assert_eq!(result.programmings, programmings.get() as usize);
            assert!(result.effective_measured > 50_000.0, "{}", result.effective_measured);
            let error = relative_error(&result.inverse, &truth);
            println!(
                "{seed}: {programmings} programmings, error {error:.4}, statistical {:.4}, known {:.4}",
                result.statistical_error,
                frobenius(&result.systematic.quantisation) / frobenius(&truth)
            );
            *sum += error * error;
        }
    }
    assert!(sums[1] < sums[0] / 9.0, "{sums:?}");
}
