//! Results as lines of JSON: what is printed, and what the page is made from.

use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::coverage::Coverage;
use super::errors::Errors;
use super::large::Large;
use super::refined::Refined;
use super::thermox::Comparison;

/// What is measured together.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Well-conditioned matrices: uncalibrated, calibrated, mitigated
    Calibrated,
    /// Coverage of the 95 % intervals
    Coverage,
    /// 8×8 matrices of mixed signs on unipolar couplings
    Any,
    /// Refinement to 1e-6
    Refine,
    /// 256×256 matrices in blocks
    Large,
    /// Side by side with thermox, where a Python that has it is given
    Thermox,
    /// Gain and cost of each mitigation, starts and decimations of runs: printed only, and only if named
    Mitigation,
}

impl Part {
    /// Those that make the page.
    pub const ALL: [Self; 6] =
        [Self::Calibrated, Self::Coverage, Self::Any, Self::Refine, Self::Large, Self::Thermox];
}

/// What a part measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measured {
    /// Of [`Part::Calibrated`].
    WellConditioned(Errors),
    /// Of [`Part::Coverage`].
    Coverage(Coverage),
    /// Of [`Part::Any`].
    AnySpd(Errors),
    /// Of [`Part::Refine`].
    Refined(Refined),
    /// Of [`Part::Large`].
    Large(Large),
    /// Of [`Part::Thermox`].
    Thermox(Comparison),
}

/// Where and when a part was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Commit of the sources; with `+` where files differ from it.
    pub commit: String,
    /// Day, as year-month-day.
    pub date: String,
    /// Processor and number of its cores.
    pub hardware: String,
    /// True for the small version.
    pub quick: bool,
    /// Wall time of the part in seconds.
    pub seconds: u64,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The part.
    pub part: Part,
    /// Where and when.
    pub origin: Origin,
    /// What came out.
    pub measured: Measured,
}

impl Origin {
    /// Here and now.
    pub fn here(quick: bool) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|p| p.1.trim()));
        Self {
            commit: commit().unwrap_or_else(|| "unknown".into()),
            date: date(SystemTime::now()),
            hardware: format!("{}, {cores} cores", model.unwrap_or(std::env::consts::ARCH)),
            quick,
            seconds: 0,
        }
    }
}

fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(arguments)
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok()
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(format!("{}{}", commit.trim(), if changed.is_empty() { "" } else { "+" }))
}

/// Year, month and day.
fn date(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.split_once('T').map_or(text.clone(), |(day, _)| day.into())
}

/// Reads lines of records; none where there is no such file.
///
/// # Errors
/// A file that cannot be read, or holds something else.
pub fn read(path: &Path) -> Result<Vec<Record>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(path)?;
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| {
            format!("{}, line {}: not a record; remove the file", path.display(), number + 1)
        })
    };
    text.lines().enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn records_are_read_as_they_were_written() {
        let origin = Origin::here(true);
        assert!(!origin.hardware.is_empty() && origin.date > "2020".into());
        let coverage = Coverage {
            profile: "rev-a".into(),
            boards: 2,
            matrices: 3,
            generator: "grounded".into(),
            effective: 12_000,
            seed: 918_273_000,
            coverage: 0.1 + 0.2,
            interval: (0.93, 0.97),
            width_ratio: 1.01,
            by_board: vec![0.25, 1.0 / 3.0],
        };
        let measured = Measured::Coverage(coverage);
        let record = Record { part: Part::Coverage, origin, measured };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        assert_eq!(read(&path).unwrap(), []);
        let line = serde_json::to_string(&record).unwrap();
        std::fs::write(&path, format!("{line}\n{line}\n")).unwrap();
        assert_eq!(read(&path).unwrap(), [record.clone(), record]);
        std::fs::write(&path, format!("{line}\nnonsense\n")).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("line 2"));
    }

    #[test]
    fn days_are_dates() {
        let day = |days: u64| date(UNIX_EPOCH + Duration::from_secs(86_400 * days));
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(11_016), "2000-02-29");
        assert_eq!(day(20_782), "2026-11-25");
    }
}
