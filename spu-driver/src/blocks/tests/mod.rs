mod errors;
mod midway;

use std::num::NonZeroUsize;

use ndarray::s;
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;
use crate::error::Error;
use crate::invert::Quiet;
use crate::linalg::relative_error;
use crate::open_copies;
use crate::route::{RouteChoice, exact_inverse};
use crate::testing::{effective, random_spd, uniform};

#[test]
fn exact_leaves_give_the_exact_inverse_for_every_size() {
    for n in [1, 7, 8, 9, 16, 17, 23, 40] {
        let a = random_spd(n.max(2), 50.0, n as u64);
        let (mut leaves, mut flops) = (Vec::new(), 0);
        let x = schur::invert::<BlockError>(a.entries(), 8, 0, &mut flops, &mut |first, block| {
            leaves.push((first, block.nrows()));
            Ok(exact_inverse(&SpdMatrix::new(block, 0.0).unwrap()))
        })
        .unwrap();
        assert!(relative_error(&x, &exact_inverse(&a)) < 1e-12);
        assert_eq!(leaves.len(), leaf_count(a.n(), 8));
        assert_eq!(leaves.iter().map(|leaf| leaf.1).sum::<usize>(), a.n());
        assert!(leaves.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0));
        assert_eq!(flops == 0, a.n() <= 8);
    }
}

/// The inverse of `A + Δ`, Δ block diagonal, whatever the leaves' errors are.
#[test]
fn errors_of_leaves_are_a_block_diagonal_backward_error() {
    let a = random_spd(20, 10.0, 3);
    let mut shifted = a.entries().to_owned();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
    let x = schur::invert::<BlockError>(a.entries(), 8, 0, &mut 0, &mut |first, block| {
        let m = block.nrows();
        let mut inverse = exact_inverse(&SpdMatrix::new(block, 0.0).unwrap());
        for i in 0..m {
            inverse[[i, i]] *= 1.0 + 0.2 * uniform(&mut rng);
        }
        let delta = exact_inverse(&SpdMatrix::new(&inverse, 0.0).unwrap()) - block;
        let mut part = shifted.slice_mut(s![first..first + m, first..first + m]);
        part += &delta;
        Ok(inverse)
    })
    .unwrap();
    let expected = exact_inverse(&SpdMatrix::new(&shifted, 0.0).unwrap());
    assert!(relative_error(&x, &expected) < 1e-12);
    assert!(relative_error(&x, &exact_inverse(&a)) > 0.01);
}

/// What is planned holds for what is measured: the squared statistical error, from three leaves of 2 · 62
/// degrees of freedom and more, has a relative standard deviation of at most √(2 / 124) = 0.13 where one
/// leaf dominates, and five of them are 0.64. Fixed seeds.
#[test]
fn plans_predict_the_error_and_the_ticks() {
    let mut devices = open_copies("sim:profile=rev-b,without=drive_mismatch", 2).unwrap();
    let a = random_spd(20, 30.0, 140);
    let options = effective(20_000, 170);
    let copies = NonZeroUsize::new(2).unwrap();
    let choice = RouteChoice::Auto;
    let plan = plan_blocks(&a, devices[0].info(), &options, choice, copies).unwrap();
    let result = invert_blocks(&mut Boards::new(&mut devices, options), &a, &Quiet).unwrap();
    assert_eq!(plan.leaves.len(), result.leaves.len());
    let squared = (result.statistical_error / plan.statistical_error).powi(2);
    assert!((0.36..1.64).contains(&squared), "{squared}");
    // The probes of the noise gain come on top.
    let ticks = result.ticks.0 as f64 / plan.ticks as f64;
    assert!((0.9..1.2).contains(&ticks), "{ticks}");
    assert_eq!(plan.elimination_flops, result.flops.elimination);
}

/// Quantisation is known from the codes: without spread and with little noise it is all of the error.
#[test]
fn the_quantisation_of_the_leaves_tells_the_rest() {
    let uri = "sim:profile=rev-a,\
               without=bank_tolerance+drive_mismatch+r_tolerance+l_tolerance+stray+adc_gain";
    let mut devices = open_copies(uri, 1).unwrap();
    let a = random_spd(16, 20.0, 8);
    let mut boards = Boards::new(&mut devices, effective(200_000, 5));
    let result = invert_blocks(&mut boards, &a, &Quiet).unwrap();
    let error = relative_error(&result.inverse, &exact_inverse(&a));
    let (noise, bias) = (result.statistical_error, result.quantisation_error);
    assert!(noise < 0.6 * bias, "{noise} {bias}");
    // To first order, of an error of some per cent.
    let ratio = error / noise.hypot(bias);
    assert!((0.5..1.7).contains(&ratio), "{ratio}: {error}");
}

#[test]
fn a_silent_cell_names_the_rows() {
    let mut devices = open_copies("sim:profile=ideal,fault=stuck-adc.2.100", 1).unwrap();
    let a = random_spd(12, 5.0, 8);
    let mut boards = Boards::new(&mut devices, effective(2000, 5));
    let error = invert_blocks(&mut boards, &a, &Quiet).unwrap_err();
    assert!(error.to_string().starts_with("rows 0 to 7: no independent signal"), "{error}");
}

#[test]
fn a_copy_apart_from_the_others_is_left_out_from_the_start() {
    let mut devices = open_copies("sim:profile=ideal", 2).unwrap();
    devices.extend(open_copies("sim:profile=ideal,fault=drive-gain.2.3", 1).unwrap());
    let a = random_spd(12, 5.0, 8);
    let result =
        invert_blocks(&mut Boards::new(&mut devices, effective(6000, 5)), &a, &Quiet).unwrap();
    let [left_out] = &result.left_out[..] else { panic!("{:?}", result.left_out) };
    assert_eq!((left_out.copy, left_out.first, result.copies), (2, 0, 3));
    assert_eq!(result.leaves.iter().map(|leaf| leaf.copies).collect::<Vec<_>>(), [2, 2]);
    let error = relative_error(&result.inverse, &exact_inverse(&a));
    assert!(error < 6.0 * result.stated_error(), "{error}");
}

#[test]
fn without_boards_there_is_nothing_to_run_on() {
    let mut none: Vec<Box<dyn crate::Device>> = Vec::new();
    let a = random_spd(12, 5.0, 8);
    let error = invert_blocks(&mut Boards::new(&mut none, effective(2000, 5)), &a, &Quiet);
    assert!(matches!(error, Err(BlockError::NoBoards)));
}

/// What no copy can do is no fault of one.
#[test]
fn too_few_samples_leave_no_copy_out() {
    let mut devices = open_copies("sim:profile=ideal", 2).unwrap();
    let a = random_spd(12, 5.0, 8);
    let mut boards = Boards::new(&mut devices, effective(20, 5));
    let error = invert_blocks(&mut boards, &a, &Quiet).unwrap_err();
    assert!(error.to_string().contains("too few for an error bar"), "{error}");
    assert!(boards.left_out().is_empty());
}
