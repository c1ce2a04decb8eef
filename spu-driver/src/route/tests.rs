use ndarray::array;

use super::*;
use crate::invert::Quiet;
use crate::linalg::relative_error;
use crate::open;
use crate::testing::{effective, random_spd};

#[test]
fn a_programmable_matrix_stays_as_it_is() {
    let a = SpdMatrix::new(&array![[2.0, -1.0], [-1.0, 2.0]], 0.0).unwrap();
    for uri in ["sim:profile=ideal", "sim:profile=rev-a", "sim:profile=rev-b"] {
        let device = open(uri).unwrap();
        let routes = plan_routes(&a, device.info(), &InvertOptions::default()).unwrap();
        let chosen = routes.choose(RouteChoice::Auto).unwrap();
        assert!(!chosen.basis.is_turned(), "{uri}: {:?}", chosen.route);
    }
}

#[test]
fn planning_is_counted_apart_from_the_transformation() {
    let mut device = open("sim:profile=rev-a").unwrap();
    let a = random_spd(8, 10.0, 3);
    let options = effective(2000, 1);
    let routes = plan_routes(&a, device.info(), &options).unwrap();
    let each: u64 = routes.usable.iter().map(|plan| plan.planning_flops).sum();
    // What is impossible by its signs takes no algebra.
    assert!(each > 0 && routes.planning_flops >= each, "{each} {}", routes.planning_flops);
    let result =
        invert_any(device.as_mut(), &a, &options, RouteChoice::Auto, &Quiet).unwrap().route;
    assert_eq!(result.route, Route::Tridiagonal);
    assert!(result.planning_flops > result.flops && result.flops > 0 && result.read_out_flops > 0);
    // Without splitting, which this choice leaves out.
    assert!(result.planning_flops < routes.planning_flops);
}

#[test]
fn the_tridiagonal_route_takes_what_no_scaling_does() {
    // Without stray capacitance, which would hide a matrix that rounding makes singular.
    for (uri, factor) in
        [("sim:profile=rev-b,without=stray", 1.0), ("sim:profile=rev-a,without=stray", 16.0)]
    {
        let device = open(uri).unwrap();
        for (condition, worst) in [(10.0, 0.005), (30.0, 0.012), (100.0, 0.03)] {
            for seed in 0..8 {
                let a = random_spd(8, condition, seed);
                let plan =
                    plan_route(Route::Tridiagonal, &a, device.info(), &InvertOptions::default())
                        .unwrap();
                let error = plan.quantisation_error;
                assert!(error < worst * factor, "{uri} {condition} {seed}: {error}");
                let codes = &plan.plans[0].program.coupling_codes;
                assert!(codes.iter().all(|code| code.0 >= 0));
                assert!(plan.contraction < 1.0 || factor > 1.0, "{}", plan.contraction);
            }
        }
    }
}

#[test]
fn what_a_route_cannot_take_is_refused_with_its_reason() {
    let device = open("sim:profile=rev-a").unwrap();
    let a = random_spd(8, 10.0, 3);
    let routes = plan_routes(&a, device.info(), &InvertOptions::default()).unwrap();
    let refused = routes.choose(RouteChoice::Only(Route::Direct)).unwrap_err().to_string();
    assert!(refused.contains("couplings of profile rev-a have no sign"), "{refused}");
    let large = random_spd(9, 10.0, 3);
    let routes = plan_routes(&large, device.info(), &InvertOptions::default()).unwrap();
    assert!(routes.usable.is_empty());
    let refused = routes.choose(RouteChoice::Auto).unwrap_err().to_string();
    assert_eq!(refused.matches("the board has 8 cells").count(), 1, "{refused}");
}

/// Entries of the inverse against its own 95 % intervals on the ideal board: 40 matrices of 36
/// entries. Entries of one matrix share their noise, so only matrices count as independent: the
/// share of entries outside has mean 5 % and standard deviation at most √(0.05 · 0.95 / 40) = 3.4 %,
/// and 22 % is five of them (a false alarm below 1e-6). Fixed seeds.
#[test]
fn intervals_hold_in_the_coordinates_of_the_matrix() {
    let mut device = open("sim:profile=ideal").unwrap();
    let (mut outside, mut entries) = (0, 0);
    for seed in 0..40 {
        let a = random_spd(8, 30.0, 100 + seed);
        let options = effective(2000, 500 + seed);
        let choice = RouteChoice::Only(Route::Tridiagonal);
        let result = invert_any(device.as_mut(), &a, &options, choice, &Quiet).unwrap();
        let exact = exact_inverse(&a);
        for i in 0..8 {
            for j in i..8 {
                let error = (result.inverse[[i, j]] - exact[[i, j]]).abs();
                outside += i32::from(error > result.half_widths[[i, j]]);
                entries += 1;
            }
        }
        assert!(result.statistical_error < 2.0 * result.predicted_error);
        assert!(result.route.flops > 0);
    }
    let share = f64::from(outside) / f64::from(entries);
    assert!((0.005..0.22).contains(&share), "{share}");
}

/// The squared error is a weighted sum of χ² variables; its tail beyond 36 times its mean is at most that
/// of a single one, 2e-9, for each of the three routes. Fixed seed.
#[test]
fn every_usable_route_gives_the_same_inverse() {
    let mut device = open("sim:profile=ideal").unwrap();
    let a =
        SpdMatrix::new(&array![[2.0, -0.5, 0.3], [-0.5, 1.5, 0.2], [0.3, 0.2, 1.0]], 0.0).unwrap();
    let exact = exact_inverse(&a);
    for route in [Route::Direct, Route::Scaled, Route::Tridiagonal] {
        let choice = RouteChoice::Only(route);
        let result =
            invert_any(device.as_mut(), &a, &effective(20_000, 9), choice, &Quiet).unwrap();
        assert_eq!(result.route.route, route);
        let error = relative_error(&result.inverse, &exact);
        assert!(error < 6.0 * result.predicted_error, "{route:?}: {error}");
    }
}
