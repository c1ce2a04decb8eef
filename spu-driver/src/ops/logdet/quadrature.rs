//! Gauss–Legendre quadrature.

/// Nodes and weights of the Gauss–Legendre rule on 0 to 1, by Newton's method on the recurrence of the
/// Legendre polynomials.
pub(super) fn gauss_legendre(nodes: u32) -> Vec<(f64, f64)> {
    let m = f64::from(nodes);
    (0..nodes)
        .map(|k| {
            let mut x = libm::cos(std::f64::consts::PI * (f64::from(k) + 0.75) / (m + 0.5));
            let mut slope = 1.0;
            for _ in 0..100 {
                let (mut before, mut value) = (1.0, x);
                for degree in 2..=nodes {
                    let d = f64::from(degree);
                    let next = ((2.0 * d - 1.0) * x * value - (d - 1.0) * before) / d;
                    (before, value) = (value, next);
                }
                slope = m * (x * value - before) / (x * x - 1.0);
                let change = value / slope;
                x -= change;
                if change.abs() < 1e-16 {
                    break;
                }
            }
            (0.5 * (1.0 - x), 1.0 / ((1.0 - x * x) * slope * slope))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_up_to_degree_2m_minus_1_are_exact() {
        for nodes in 1..=20 {
            let rule = gauss_legendre(nodes);
            for degree in 0..2 * nodes as i32 {
                let sum: f64 = rule.iter().map(|(t, weight)| weight * t.powi(degree)).sum();
                let error = sum - 1.0 / f64::from(degree + 1);
                assert!(error.abs() < 1e-14, "{nodes} {degree}: {error}");
            }
        }
    }
}
