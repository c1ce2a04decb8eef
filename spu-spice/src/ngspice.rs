//! Running ngspice and reading its raw files.

use std::io;
use std::process::Command;

use nalgebra::Complex;
use spu_sim::profile::Profile;

use crate::deck::Netlist;
use crate::error::SpiceError;

/// Environment variable that names another ngspice.
pub const PROGRAM: &str = "SPU_NGSPICE";

/// Columns of a run: the first is time or frequency.
#[derive(Debug, Clone)]
pub struct Run {
    names: Vec<String>,
    /// Rows of values; real ones have no imaginary part.
    rows: Vec<Vec<Complex<f64>>>,
}

fn program() -> String {
    std::env::var(PROGRAM).unwrap_or_else(|_| "ngspice".into())
}

/// The version, e.g. `ngspice-39`.
///
/// # Errors
/// [`SpiceError::Missing`] where there is no ngspice.
pub fn version() -> Result<String, SpiceError> {
    let said = Command::new(program()).arg("--version").output().map_err(missing)?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let version = said.split_whitespace().find(|word| word.starts_with("ngspice-"));
    version.map(str::to_owned).ok_or(SpiceError::Missing)
}

/// A failed start is a missing program; the rest stays what it is.
fn missing(error: io::Error) -> SpiceError {
    if error.kind() == io::ErrorKind::NotFound { SpiceError::Missing } else { error.into() }
}

/// Runs a netlist.
///
/// # Errors
/// [`SpiceError::Missing`] without ngspice, [`SpiceError::Failed`] with what it said where it fails,
/// [`SpiceError::Output`] where it wrote something else than a raw file.
pub fn run(netlist: &Netlist) -> Result<Run, SpiceError> {
    let folder = tempfile::tempdir()?;
    for (name, text) in netlist.files() {
        std::fs::write(folder.path().join(name), text)?;
    }
    let deck = format!("{}.cir", netlist.name);
    let raw = folder.path().join("board.raw");
    let done = Command::new(program())
        .current_dir(folder.path())
        // Without settings of the user's.
        .args(["-n", "-b", "-r"])
        .args([raw.as_os_str(), deck.as_ref()])
        .output()
        .map_err(missing)?;
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    let complaint = said.lines().find(|line| {
        let line = line.to_lowercase();
        line.contains("error") || line.contains("aborted") || line.contains("singular")
    });
    if !done.status.success() || complaint.is_some() || !raw.exists() {
        let said = complaint.or(said.lines().last()).unwrap_or("nothing").to_owned();
        let netlist = folder.keep().join(deck);
        return Err(SpiceError::Failed { said, netlist });
    }
    Run::parse(&std::fs::read(&raw)?)
}

impl Run {
    /// Reads a binary raw file of one plot.
    fn parse(bytes: &[u8]) -> Result<Self, SpiceError> {
        const BINARY: &[u8] = b"Binary:\n";
        let wrong = |why: &str| SpiceError::Output { why: why.to_owned() };
        let start = bytes
            .windows(BINARY.len())
            .position(|window| window == BINARY)
            .ok_or_else(|| wrong("no binary values"))?;
        let head = String::from_utf8_lossy(&bytes[..start]);
        let field = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim).ok_or_else(|| wrong(&format!("no field {name}")))
        };
        let count = |name: &str| {
            field(name)?.parse::<usize>().map_err(|_| wrong(&format!("{name} is no number")))
        };
        let (columns, points) = (count("No. Variables:")?, count("No. Points:")?);
        let complex = field("Flags:")?.starts_with("complex");
        let names: Vec<_> = head
            .lines()
            .skip_while(|line| !line.starts_with("Variables:"))
            .skip(1)
            .filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned))
            .collect();
        let parts = if complex { 2 } else { 1 };
        let values: Vec<f64> = bytes[start + BINARY.len()..]
            .chunks_exact(8)
            .map(|octets| f64::from_le_bytes(octets.try_into().unwrap_or_default()))
            .collect();
        if names.len() != columns || columns == 0 || values.len() != columns * points * parts {
            return Err(wrong("its length is not what its head says"));
        }
        let number = |part: &[f64]| Complex::new(part[0], part.get(1).copied().unwrap_or(0.0));
        let rows = values
            .chunks_exact(columns * parts)
            .map(|row| row.chunks_exact(parts).map(number).collect())
            .collect();
        Ok(Self { names, rows })
    }

    fn column(&self, name: &str) -> Result<usize, SpiceError> {
        let found = self.names.iter().position(|known| known == name);
        found.ok_or_else(|| SpiceError::Output { why: format!("no vector {name}") })
    }

    /// Frequencies in hertz and the values of a vector.
    ///
    /// # Errors
    /// [`SpiceError::Output`] where there is no such vector.
    pub fn spectrum(&self, name: &str) -> Result<Vec<(f64, Complex<f64>)>, SpiceError> {
        let column = self.column(name)?;
        Ok(self.rows.iter().map(|row| (row[0].re, row[column])).collect())
    }

    /// The values of vectors at the end of each of the first `ticks` sample periods of `profile`: at the
    /// last computed instant before the next code, or between two instants on a straight line.
    ///
    /// # Errors
    /// [`SpiceError::Output`] where there is no such vector, or the run is too short.
    pub fn samples(
        &self,
        names: &[String],
        profile: &Profile,
        ticks: usize,
    ) -> Result<Vec<Vec<f64>>, SpiceError> {
        let columns = names.iter().map(|name| self.column(name)).collect::<Result<Vec<_>, _>>()?;
        let period = profile.sample_period_s();
        let mut samples = Vec::with_capacity(ticks);
        let mut next = 1;
        for tick in 1..=ticks {
            // The last instant may be short of the end by rounding.
            let time = tick as f64 * period * (1.0 - 1e-12);
            while next < self.rows.len() && self.rows[next][0].re < time {
                next += 1;
            }
            let Some(after) = self.rows.get(next) else {
                return Err(SpiceError::Output { why: format!("it ends before tick {tick}") });
            };
            let before = &self.rows[next - 1];
            let part = (time - before[0].re) / (after[0].re - before[0].re);
            let value = |&k: &usize| before[k].re + part * (after[k].re - before[k].re);
            samples.push(columns.iter().map(value).collect());
        }
        Ok(samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(values: &[f64]) -> Vec<u8> {
        let mut bytes = b"Title: t\nFlags: real\nNo. Variables: 2\nNo. Points: 3     \nVariables:\n\t0\ttime\ttime\n\t1\tv(adc0)\tvoltage\nBinary:\n".to_vec();
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        bytes
    }

    #[test]
    fn samples_are_read_between_instants() {
        let profile = Profile::named("rev-a").unwrap();
        let t = profile.sample_period_s();
        let run = Run::parse(&raw(&[0.0, 0.0, 0.5 * t, 1.0, 2.0 * t, 4.0])).unwrap();
        let samples = run.samples(&["v(adc0)".into()], &profile, 2).unwrap();
        assert!((samples[0][0] - 2.0).abs() < 1e-9 && (samples[1][0] - 4.0).abs() < 1e-9);
        let short = run.samples(&["v(adc0)".into()], &profile, 3).unwrap_err();
        assert!(short.to_string().contains("before tick 3"), "{short}");
        assert!(run.samples(&["v(x)".into()], &profile, 1).is_err());
    }

    #[test]
    fn a_torn_raw_file_is_refused() {
        assert!(Run::parse(&raw(&[0.0; 5])).is_err());
        assert!(Run::parse(b"nothing").is_err());
    }
}
