//! How the errors of a read-out are made smaller, and where a run starts from.

use std::num::NonZeroU32;

use clap::Args;
use spu_driver::invert::InvertOptions;
use spu_driver::plan::Settle;

use crate::exit::Failure;

/// Programmings where `--mitigate` names no number.
const PROGRAMMINGS: &str = "16";
/// Most programmings.
const MOST: u32 = 4096;
/// Longest wait that the sequencer has, in ticks.
const LONGEST: u64 = u32::MAX as u64;

/// How an error of the board is made smaller.
#[derive(Debug, Args)]
pub(crate) struct MitigateArg {
    /// N: average N programmings of the matrix whose errors of quantisation make up for each other
    /// [default without a list: 16]; the samples are divided among them. `time`: extrapolate the covariance
    /// in measurement time. Several with commas: `16,time`
    #[arg(long, value_name = "N,time", num_args = 0..=1, value_delimiter = ',', default_missing_value = PROGRAMMINGS, value_parser = mitigation)]
    mitigate: Vec<Mitigation>,
    /// Start of a measurement: `reset`, from rest, waiting as long as makes the error least; `keep`, from
    /// where the run before left the cells; TICKS, from rest, waiting so long
    #[arg(long, value_name = "reset|keep|TICKS", default_value = "reset", value_parser = settle)]
    settle: Settle,
}

/// One mitigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mitigation {
    Programmings(NonZeroU32),
    Time,
}

fn mitigation(text: &str) -> Result<Mitigation, String> {
    if text == "time" {
        return Ok(Mitigation::Time);
    }
    let number = text.parse().ok().and_then(NonZeroU32::new);
    number
        .filter(|number| number.get() <= MOST)
        .map(Mitigation::Programmings)
        .ok_or_else(|| format!("give a number of programmings from 1 to {MOST}, or `time`"))
}

fn settle(text: &str) -> Result<Settle, String> {
    match text {
        "reset" => Ok(Settle::Reset),
        "keep" => Ok(Settle::Keep),
        _ => text
            .parse()
            .ok()
            .filter(|ticks| *ticks <= LONGEST)
            .map(Settle::Ticks)
            .ok_or_else(|| format!("give `reset`, `keep` or a number of ticks up to {LONGEST}")),
    }
}

impl MitigateArg {
    /// Refuses what contradicts itself.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.numbers().count() > 1 {
            return Err(Failure::usage("--mitigate takes one number of programmings"));
        }
        Ok(())
    }

    /// The options with what is to be done.
    pub(crate) fn apply(&self, options: InvertOptions) -> InvertOptions {
        InvertOptions {
            programmings: self.numbers().next().unwrap_or(NonZeroU32::MIN),
            extrapolate: self.mitigate.contains(&Mitigation::Time),
            settle: self.settle,
            ..options
        }
    }

    fn numbers(&self) -> impl Iterator<Item = NonZeroU32> {
        self.mitigate.iter().filter_map(|mitigation| match mitigation {
            Mitigation::Programmings(number) => Some(*number),
            Mitigation::Time => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_mitigation_is_told_what_is() {
        assert_eq!(mitigation("time"), Ok(Mitigation::Time));
        assert!(mitigation("16").is_ok());
        for wrong in ["0", "4097", "-1", "times", ""] {
            assert!(mitigation(wrong).unwrap_err().contains("1 to 4096"), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_start_is_told_what_is() {
        assert_eq!(settle("keep"), Ok(Settle::Keep));
        assert_eq!(settle("1200"), Ok(Settle::Ticks(1200)));
        for wrong in ["4294967296", "-1", "rest", ""] {
            assert!(settle(wrong).unwrap_err().contains("`reset`, `keep`"), "{wrong}");
        }
    }
}
