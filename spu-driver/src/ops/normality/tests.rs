use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;

/// Box and Muller.
fn normal(rng: &mut Xoshiro256PlusPlus) -> f64 {
    let uniform =
        |rng: &mut Xoshiro256PlusPlus| (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let (a, b) = (1.0 - uniform(rng), uniform(rng));
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

/// Samples whose every component is an autoregression with this correlation.
fn draw(rng: &mut Xoshiro256PlusPlus, count: usize, n: usize, rho: f64) -> Array2<f64> {
    let mut state: Vec<f64> = (0..n).map(|_| normal(rng)).collect();
    let mut all = Array2::zeros((count, n));
    for mut row in all.rows_mut() {
        for (x, own) in state.iter_mut().zip(row.iter_mut()) {
            *x = rho * *x + (1.0 - rho * rho).sqrt() * normal(rng);
            *own = *x;
        }
    }
    all
}

fn test(samples: &Array2<f64>) -> Normality {
    let n = samples.ncols();
    normality(samples, &vec![0.0; n], &Array2::eye(n)).unwrap()
}

/// 400 sets at p < 0.01 each: the count of alarms is binomial with mean 4 if a test is exact, and 20 or
/// more then has probability 6e-9. Independent samples, then correlated ones, for which the effective
/// numbers are cautious. Fixed seed.
#[test]
fn false_alarms_are_as_rare_as_stated() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
    for rho in [0.0, 0.8] {
        let mut alarms = [0; 3];
        for _ in 0..400 {
            let found = test(&draw(&mut rng, 600, 3, rho));
            let marginal = found.marginals[0].p;
            for (count, p) in alarms.iter_mut().zip([found.skewness_p, found.kurtosis_p, marginal])
            {
                *count += i32::from(p < 0.01);
            }
        }
        println!("correlation {rho}: {alarms:?} alarms");
        assert!(alarms.iter().all(|count| *count < 20), "{rho}: {alarms:?}");
        // Neither test is blind.
        assert!(alarms.iter().sum::<i32>() > 0);
    }
}

#[test]
fn each_departure_is_seen_by_its_test() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(12);
    let plain = draw(&mut rng, 4000, 3, 0.0);
    let fine = test(&plain);
    assert!(fine.shape_p() > 1e-6 && fine.marginals_p() > 1e-6, "{fine:?}");
    // Skewed in one direction across coordinates.
    let mut skewed = plain.clone();
    for mut row in skewed.rows_mut() {
        let x = row[0] + row[1];
        row[2] += 0.2 * (x * x - 2.0);
    }
    assert!(test(&skewed).skewness_p < 1e-9);
    // A mixture of widths: symmetric, heavy tails.
    let mut heavy = plain.clone();
    for (index, mut row) in heavy.rows_mut().into_iter().enumerate() {
        row *= if index % 2 == 0 { 0.6 } else { 1.28 };
    }
    assert!(test(&heavy).kurtosis_p < 1e-9);
    // A wrong scale and a wrong mean are Gaussian in shape.
    for wrong in [&plain * 1.2, &plain + 0.15] {
        let found = test(&wrong);
        assert!(found.marginals_p() < 1e-6, "{found:?}");
        assert!((found.shape_p() - fine.shape_p()).abs() < 1e-6);
    }
}

/// `Σ_m ρ^|m| = (1 + ρ)/(1 − ρ)`, and with ρ³ and ρ⁴ in its place for the higher orders.
#[test]
fn effective_numbers_are_those_of_an_autoregression() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(13);
    let found = test(&draw(&mut rng, 50_000, 2, 0.7)).effective;
    let expected = |r: f64| 50_000.0 * (1.0 - r) / (1.0 + r);
    for (found, r) in [
        (found.marginals, 0.7),
        (found.skewness, 0.7_f64.powi(3)),
        (found.kurtosis, 0.7_f64.powi(4)),
    ] {
        assert!((found / expected(r) - 1.0).abs() < 0.1, "{found} {}", expected(r));
    }
}

#[test]
fn kolmogorov_has_the_tabulated_quantiles() {
    // Smirnov 1948: 1.3581 for 5 %, 1.6276 for 1 %; huge samples, where the correction vanishes.
    for (lambda, p) in [(1.3581, 0.05), (1.6276, 0.01)] {
        let found = kolmogorov_p(lambda / 1e6, 1e12);
        assert!((found / p - 1.0).abs() < 1e-3, "{found}");
    }
}

#[test]
fn what_cannot_be_tested_is_refused() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(14);
    let few = draw(&mut rng, 49, 2, 0.0);
    let refused = |samples: &Array2<f64>, n: usize| {
        normality(samples, &vec![0.0; n], &Array2::eye(n)).unwrap_err()
    };
    assert_eq!(refused(&few, 2), NormalityError::TooFew { samples: 49, n: 2, needed: 50 });
    let enough = draw(&mut rng, 100, 2, 0.0);
    assert_eq!(refused(&enough, 3), NormalityError::WrongLength { n: 2, law: 3 });
    let mut copied = enough.clone();
    let first = copied.column(0).to_owned();
    copied.column_mut(1).assign(&first);
    assert_eq!(refused(&copied, 2), NormalityError::Singular);
}
