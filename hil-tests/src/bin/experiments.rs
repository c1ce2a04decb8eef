//! Experiments on training, each written to a page with its table and plots.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use hil_tests::experiments::{Scope, curves, goals, page::Page, scaling, sweeps};

/// Runs experiments on training with simulated boards and writes a page for each. Progress is on standard error.
#[derive(Debug, Parser)]
struct Arguments {
    /// Few steps, seeds and trials: shows that it runs
    #[arg(long)]
    quick: bool,
    /// Folder of the MNIST files; `cargo xtask data mnist` fetches them
    #[arg(long, value_name = "FOLDER", default_value = ".cache/mnist")]
    data: PathBuf,
    /// Folder for NAME.md and its plots; without it the page is printed
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Seeds, 1 to N, instead of the experiment's own number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// Which
    #[arg(required = true)]
    names: Vec<Name>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Name {
    /// Loss and accuracy against steps and time, by optimizer and backend
    Optimizers,
    /// Every backend on a network that fits the simulated factored array
    Backends,
    /// TNGD and Adam, both tuned for ten epochs
    Epochs,
    /// The analog time between SGD and NGD
    Interpolation,
    /// Delay as momentum
    Delay,
    /// Noise of the cells
    Noise,
    /// Bits of DAC, banks and ADC
    Bits,
    /// Number of cells
    Cells,
    /// Cost of a step against the number of parameters
    Scaling,
    /// The goals, with the trials that chose the settings
    Goals,
}

impl Name {
    fn run(self, scope: &Scope) -> Result<Page> {
        match self {
            Self::Optimizers => curves::optimizers(scope),
            Self::Backends => curves::backends(scope),
            Self::Epochs => curves::epochs(scope),
            Self::Interpolation => sweeps::interpolation(scope),
            Self::Delay => sweeps::delay(scope),
            Self::Noise => sweeps::noise(scope),
            Self::Bits => sweeps::bits(scope),
            Self::Cells => sweeps::cells(scope),
            Self::Scaling => scaling::scaling(scope),
            Self::Goals => goals::goals(scope),
        }
    }
}

fn main() -> Result<()> {
    let Arguments { quick, data, out, seeds, names } = Arguments::parse();
    let scope = Scope { quick, data, seeds };
    for name in names {
        let value = name.to_possible_value().context("a name")?;
        let begun = Instant::now();
        let page = name.run(&scope).with_context(|| value.get_name().to_owned())?;
        match &out {
            Some(folder) => {
                page.write(folder, value.get_name(), &scope, begun.elapsed().as_secs_f64())?;
            }
            None => println!("# {}\n\n{}", page.title, page.body),
        }
    }
    Ok(())
}
