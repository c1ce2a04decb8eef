//! The driver on simulated arrays.

use std::time::Duration;

use super::*;
use crate::open::open;

const TIMEOUT: Duration = Duration::from_secs(20);

fn options(damping: f64, time: f64) -> RelaxOptions {
    RelaxOptions { damping, time, noise: 0.0, seed: 3, timeout: TIMEOUT }
}

fn wave(k: usize) -> f64 {
    (k as f64 * 0.739 + (k * k % 89) as f64).sin()
}

/// x after t by small steps of the law, in f64.
fn law(j: &[Vec<f32>], h: &[f64], g: &[f64], x0: &[f64], damping: f64, time: f64) -> Vec<f64> {
    let rows = j.len();
    let drift = |x: &[f64]| -> Vec<f64> {
        let dot = |row: &Vec<f32>| row.iter().zip(x).map(|(a, b)| f64::from(*a) * b).sum::<f64>();
        let jx: Vec<f64> = j.iter().map(dot).collect();
        let hjx: Vec<f64> =
            (0..rows).map(|r| (0..rows).map(|s| h[r * rows + s] * jx[s]).sum()).collect();
        (0..x.len())
            .map(|n| {
                let back: f64 = (0..rows).map(|r| f64::from(j[r][n]) * hjx[r]).sum();
                g[n] - back - damping * x[n]
            })
            .collect()
    };
    let steps = 4000;
    let dt = time / f64::from(steps);
    let mut x = x0.to_vec();
    for _ in 0..steps {
        // Midpoint rule: errors of (dt F)².
        let k = drift(&x);
        let middle: Vec<f64> = x.iter().zip(&k).map(|(x, k)| x + 0.5 * dt * k).collect();
        let k = drift(&middle);
        x.iter_mut().zip(&k).for_each(|(x, k)| *x += dt * k);
    }
    x
}

struct Case {
    j: Vec<Vec<f32>>,
    h: Vec<f64>,
    g: Vec<f64>,
    x0: Vec<f64>,
}

fn case(rows: usize, columns: usize) -> Case {
    let j = (0..rows)
        .map(|r| {
            (0..columns).map(|n| 0.3 * wave(r * columns + n) as f32 * (r + 1) as f32).collect()
        })
        .collect();
    // diag(p) − p pᵀ, the softmax's own.
    let p = 1.0 / rows as f64;
    let h = (0..rows * rows)
        .map(|at| if at / rows == at % rows { p - p * p } else { -p * p })
        .collect();
    let g = (0..columns).map(|n| 0.1 * wave(1000 + n)).collect();
    let x0 = (0..columns).map(|n| 0.2 * wave(2000 + n)).collect();
    Case { j, h, g, x0 }
}

fn measured(uri: &str, case: &Case, options: &RelaxOptions) -> Result<(Relaxation, Loaded), Error> {
    let mut device = open(uri)?;
    let factored = Factored::new(device.as_mut(), TIMEOUT)?;
    let shape = (case.j.len(), case.g.len());
    let loaded = factored.load(
        device.as_mut(),
        shape,
        &mut |r, row| row.copy_from_slice(&case.j[r]),
        Some(&case.h),
        (true, TIMEOUT),
    )?;
    Ok((factored.relax(device.as_mut(), &loaded, &case.g, &case.x0, options)?, loaded))
}

fn error(x: &[f64], expected: &[f64]) -> f64 {
    let difference: f64 = x.iter().zip(expected).map(|(a, b)| (a - b) * (a - b)).sum();
    (difference / expected.iter().map(|x| x * x).sum::<f64>()).sqrt()
}

#[test]
fn the_ideal_array_runs_the_law_with_a_full_h() {
    let case = case(4, 31);
    for (damping, time) in [(0.1, 0.7), (0.5, 9.0)] {
        let uri = "sim:profile=rc-factored,without=bank_tolerance";
        let (read, loaded) = measured(uri, &case, &options(damping, time)).unwrap();
        let expected = law(&case.j, &case.h, &case.g, &case.x0, damping, time);
        assert!(error(&read.x, &expected) < 2e-4, "{}", error(&read.x, &expected));
        assert!(read.used > 0.2 && loaded.is_stable(damping));
    }
}

#[test]
fn fewer_bits_and_tolerances_cost_what_they_should() {
    let case = case(4, 31);
    let expected = law(&case.j, &case.h, &case.g, &case.x0, 0.1, 2.0);
    let of = |uri: &str| error(&measured(uri, &case, &options(0.1, 2.0)).unwrap().0.x, &expected);
    let errors = [4, 8, 12, 16]
        .map(|bits| of(&format!("sim:profile=rc-factored-{bits},without=bank_tolerance")));
    // Rounding falls by 16 with each four bits; the converters' own is below it until 16.
    assert!(errors[0] > 4.0 * errors[1] && errors[1] > 4.0 * errors[2], "{errors:?}");
    assert!(errors[3] < 2e-4, "{errors:?}");
    let tolerant = of("sim:profile=rc-factored");
    assert!(tolerant > 10.0 * errors[3] && tolerant < 0.05, "{tolerant}");
}

#[test]
fn what_tolerances_may_do_is_told() {
    let case = case(4, 31);
    let (_, loaded) = measured("sim:profile=rc-factored", &case, &options(0.1, 1.0)).unwrap();
    // 1 % of a curvature far above λ: not symmetric, and no promise of stability.
    assert!(loaded.drift_bound() > 0.1 && !loaded.is_stable(0.1), "{}", loaded.drift_bound());
    assert!(loaded.is_stable(100.0));
}

/// `1 − e^{−F t}` column by column against the two runs of [`Factored::asymmetry`].
#[test]
fn the_asymmetry_that_tolerances_make_is_measured() {
    let case = case(4, 31);
    let of = |uri: &str, whole: bool| {
        let mut device = open(uri).unwrap();
        let device = device.as_mut();
        let factored = Factored::new(device, TIMEOUT).unwrap();
        let mut row = |r: usize, out: &mut [f32]| out.copy_from_slice(&case.j[r]);
        let loaded =
            factored.load(device, (4, 31), &mut row, Some(&case.h), (true, TIMEOUT)).unwrap();
        let options = options(0.1, 0.5 / (loaded.curvature_bound() + 0.1));
        let found = factored.asymmetry(device, &loaded, &case.g, &options).unwrap();
        if !whole {
            return (found, 0.0);
        }
        let unit = |k: usize| (0..31).map(|i| f64::from(u8::from(i == k))).collect::<Vec<f64>>();
        let columns: Vec<Vec<f64>> = (0..31)
            .map(|k| {
                let start = unit(k);
                let read = factored.relax(device, &loaded, &[0.0; 31], &start, &options).unwrap();
                start.iter().zip(&read.x).map(|(e, x)| e - x).collect()
            })
            .collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let apply = |x: &[f64]| -> Vec<f64> {
            (0..31).map(|i| (0..31).map(|k| columns[k][i] * x[k]).sum()).collect()
        };
        let scaled = |x: &[f64], by: f64| x.iter().map(|x| x * by).collect::<Vec<f64>>();
        let u = scaled(&case.g, dot(&case.g, &case.g).sqrt().recip());
        let forth = apply(&u);
        let along = dot(&u, &forth);
        let new: Vec<f64> = forth.iter().zip(&u).map(|(x, u)| x - along * u).collect();
        let v = scaled(&new, dot(&new, &new).sqrt().recip());
        let (one, other) = (dot(&v, &forth), dot(&u, &apply(&v)));
        (found, 2.0 * (one - other).abs() / (one.abs() + other.abs()))
    };
    let (exact, _) = of("sim:profile=rc-factored,without=bank_tolerance", false);
    assert!(exact < 5e-4, "{exact}");
    for seed in 1..4 {
        let (found, expected) = of(&format!("sim:profile=rc-factored,seed={seed}"), true);
        assert!((found - expected).abs() < 1e-3, "{found} {expected}");
        assert!(found < 0.05, "{found}");
    }
}

#[test]
fn an_unstable_drift_is_reported() {
    let mut case = case(4, 31);
    case.h.iter_mut().for_each(|x| *x = -*x);
    let error = measured("sim:profile=rc-factored", &case, &options(0.1, 50.0)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("unstable") && text.contains("raise λ"), "{text}");
}

#[test]
fn bad_requests_are_refused_with_reasons() {
    let good = case(2, 5);
    let refused = |uri: &str, case: &Case, options: &RelaxOptions| {
        measured(uri, case, options).unwrap_err().to_string()
    };
    let array = "sim:profile=rc-factored";
    assert!(refused("sim", &good, &options(0.1, 1.0)).contains("not a factored board"));
    assert!(refused(array, &good, &options(0.0, 1.0)).contains("damping 0"));
    assert!(refused(array, &good, &options(0.1, f64::NAN)).contains("time NaN"));
    let mut bad = case(2, 5);
    bad.j[1][3] = f32::NAN;
    assert!(refused(array, &bad, &options(0.1, 1.0)).contains("entry (1, 3)"));
    let mut bad = case(2, 5);
    bad.g[0] = f64::INFINITY;
    assert!(refused(array, &bad, &options(0.1, 1.0)).contains("gradient is not finite"));
    let mut bad = case(2, 5);
    bad.h.pop();
    assert!(refused(array, &bad, &options(0.1, 1.0)).contains("H has 3 entries"));
    let large = Case { j: vec![vec![0.0; 3]; 2000], h: vec![0.0], ..case(1, 3) };
    let text = refused(array, &large, &options(0.1, 1.0));
    assert!(text.contains("2000 rows") && text.contains("smaller"), "{text}");
}

#[test]
fn banks_are_not_of_this_board() {
    let mut device = open("sim:profile=rc-factored").unwrap();
    let program = crate::Program::open(device.info());
    let error = device.load(&program, Deadline::after(TIMEOUT)).unwrap_err().to_string();
    assert!(error.contains("arrays in place of banks"), "{error}");
}
