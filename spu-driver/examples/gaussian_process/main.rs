//! Gaussian-process regression of the Nile's annual flow, the inverses read from a board:
//!
//! ```console
//! cargo run --release -p spu-driver --example gaussian_process [URI]
//! ```
//!
//! See `docs/gaussian-process.md`.

mod markov;

use markov::{digital, nile, regress};
use spu_driver::invert::InvertOptions;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let uri = std::env::args().nth(1).unwrap_or_else(|| "sim:profile=ideal".into());
    let mut device = spu_driver::open(&uri)?;
    let (rows, prior) = nile();
    let y: Vec<f64> = rows.iter().map(|(_, flow)| *flow).collect();
    let found = regress(device.as_mut(), &y, &prior, &InvertOptions::default())?;
    let reference = digital(&y, &prior);
    println!("{uri}: {} inverses, {} samples; prior {prior:?}", found.reads, found.kept);
    println!();
    println!("| year | flow | mean | ± | digital | deviation | ± | digital |");
    println!("|---|---|---|---|---|---|---|---|");
    let (posterior, errors) = (&found.posterior, &found.errors);
    let (mut worst, mut sum, mut spread) = (0.0_f64, 0.0, 0.0_f64);
    for (i, (year, flow)) in rows.iter().enumerate() {
        let (deviation, exact) = (posterior.variance[i].sqrt(), reference.variance[i].sqrt());
        let off = (posterior.mean[i] - reference.mean[i]) / exact;
        worst = worst.max(off.abs());
        sum += off * off;
        spread = spread.max((deviation / exact - 1.0).abs());
        if i % 8 == 0 || i + 1 == rows.len() {
            println!(
                "| {year} | {flow} | {:.1} | {:.1} | {:.1} | {deviation:.2} | {:.2} | {exact:.2} |",
                posterior.mean[i],
                errors.mean[i],
                reference.mean[i],
                errors.variance[i] / (2.0 * deviation),
            );
        }
    }
    println!();
    println!(
        "posterior mean: off the digital one by {:.1} % of the posterior deviation (root mean square), \
         {:.1} % at most",
        100.0 * (sum / rows.len() as f64).sqrt(),
        100.0 * worst
    );
    println!("posterior deviation: off by {:.1} % at most", 100.0 * spread);
    println!(
        "log p(y): {:.3} ± {:.3}, digital {:.3}",
        posterior.log_likelihood, errors.log_likelihood, reference.log_likelihood
    );
    Ok(())
}
