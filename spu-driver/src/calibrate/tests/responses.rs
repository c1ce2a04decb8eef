//! Responses against the law of the board model and against a board; bank settings.

use ndarray::Array2;

use crate::calibrate::design::programmings;
use crate::calibrate::global::Nominal;
use crate::calibrate::local::pair;
use crate::calibrate::measure::Bench;
use crate::calibrate::response::{Schedule, responses};
use crate::linalg::{product, symmetric_eigen};

/// Responses of all cells to a step of one by the board model, tick by tick, in codes.
fn by_law(nominal: &Nominal, setting: usize, input: usize, bias: f64, ticks: usize) -> Array2<f64> {
    let info = crate::open("sim:profile=ideal").unwrap().info().clone();
    let programming = &programmings(&info, 19)[setting];
    let model = &nominal.model;
    let law = model.law(&model.capacitance(&programming.selves, &programming.couplings));
    let n = model.cell_count();
    let current = Array2::from_shape_fn((n, 1), |(i, _)| {
        if i == input { bias * model.cells[i].drive_ampere } else { 0.0 }
    });
    let push = product(&law.gamma, &current);
    let mut state = Array2::zeros((2 * n, 1));
    let mut all = Array2::zeros((ticks, n));
    for tick in 0..ticks {
        state = product(&law.phi, &state) + &push;
        for i in 0..n {
            all[[tick, i]] = state[[i, 0]] * model.cells[i].adc_gain;
        }
    }
    all
}

#[test]
fn responses_are_those_of_the_law_and_blocks_are_means() {
    let info = crate::open("sim:profile=ideal").unwrap().info().clone();
    let nominal = Nominal::of(&info);
    let programming = &programmings(&info, 19)[2];
    let local = nominal.local(&nominal.model, programming);
    let (ticks, input) = (500, 3);
    let law = by_law(&nominal, 2, input, 100.0, ticks);
    let blocks = Schedule::new(ticks, |tick| if tick < 40 { 1 } else { tick / 20 });
    assert!(blocks.parts.len() > 3 && blocks.ticks() <= ticks, "{blocks:?}");
    for schedule in [Schedule::new(ticks, |_| 1), blocks] {
        let unit = responses(&local, &schedule).unwrap();
        let mut at = 0;
        for (block, length) in schedule.lengths().enumerate() {
            for i in 0..8 {
                let mean = (at..at + length).map(|tick| law[[tick, i]]).sum::<f64>();
                let found =
                    100.0 * local.drive[input] * unit[block * local.pairs() + pair(8, i, input)];
                let error = found - mean / length as f64;
                assert!(error.abs() < 1e-8, "block {block}, cell {i}: {error}");
            }
            at += length;
        }
    }
}

/// The sample of a tick is taken at its end: the first one shows a tick of the step.
#[test]
fn a_board_shows_the_rounded_law_from_the_first_tick_on() {
    let mut device = crate::open("sim:profile=ideal").unwrap();
    let info = device.info().clone();
    let nominal = Nominal::of(&info);
    let programming = &programmings(&info, 19)[4];
    let mut bench = Bench::new(device.as_mut(), None);
    let trace = bench.step_of(programming, 6, 2000, 800).unwrap();
    let law = by_law(&nominal, 4, 6, 2000.0, 800);
    for tick in 0..800 {
        for i in 0..8 {
            let error = f64::from(trace.codes[tick * 8 + i]) - law[[tick, i]];
            assert!(error.abs() < 0.5 + 1e-2, "tick {tick}, cell {i}: {error}");
        }
    }
    let moved = trace.codes[6].abs();
    assert!(moved > 10, "the first sample shows the step: {moved}");
}

#[test]
fn settings_switch_every_element_and_stay_definite() {
    for profile in ["rev-a", "rev-b", "ideal"] {
        let info = crate::open(&format!("sim:profile={profile}")).unwrap().info().clone();
        let bits = usize::from(info.raw.self_bits);
        for count in [bits + 4, 2 * bits + 4] {
            let all = programmings(&info, count);
            assert_eq!(all, programmings(&info, count));
            let on = |code: &dyn Fn(usize) -> i16, bit: usize| {
                (0..count).filter(|m| code(*m).unsigned_abs() >> bit & 1 == 1).count()
            };
            for bit in 0..bits {
                for cell in 0..info.cells {
                    let on = on(&|m| all[m].selves[cell], bit);
                    // Low codes of self terms are raised, which switches high bits on.
                    assert!(on >= count / 2 && on < count, "{profile}: cell {cell}, bit {bit}");
                }
                for pair in 0..info.couplings {
                    let on = on(&|m| all[m].couplings[pair], bit);
                    assert!(on == count / 2 || on == count.div_ceil(2), "{profile}: pair {pair}");
                }
            }
            let signed = info.raw.coupling_signed == 1;
            let crossed = all.iter().flat_map(|p| &p.couplings).filter(|code| **code < 0).count();
            let pairs = count * info.couplings;
            assert_eq!(crossed > pairs / 3 && crossed < pairs * 2 / 3, signed, "{crossed}");
            assert!(signed || crossed == 0);
            let model = Nominal::of(&info).model;
            for programming in &all {
                let c = model.capacitance(&programming.selves, &programming.couplings);
                let omega = 1.0 / (symmetric_eigen(&c).0[0] * model.cells[0].l_henry).sqrt();
                let ratio = omega * model.period_s / std::f64::consts::TAU;
                assert!(ratio < 1.0 / 24.0, "{profile}: a mode at {ratio} of the sample clock");
            }
        }
    }
}
