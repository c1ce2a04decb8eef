//! `cargo xtask netlist`: the analog boards in SPICE.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use spu_protocol::code::CouplingCode;
use spu_sim::analog::BankCodes;
use spu_sim::profile::Profile;
use spu_spice::compare::{self, STEPS};
use spu_spice::{Analysis, Circuit, Imperfections, Netlist, codes, ngspice};

use crate::regs::first_difference;
use crate::root;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the committed examples in hardware/circuit/ anew, all that are not as they would be
    #[arg(long, conflicts_with_all = ["check", "effects"])]
    examples: bool,
    /// Write nothing; fail where a committed example differs from what would be written
    #[arg(long, conflicts_with = "effects")]
    check: bool,
    /// Measure in ngspice how far the imperfections that the simulator does not have move a board
    #[arg(long)]
    effects: bool,
    /// Board profile, by name or as a .toml file
    #[arg(long, default_value = "rev-a")]
    profile: String,
    /// Seed of the parts' tolerances, as in a `sim` URI
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Copy of the board
    #[arg(long, default_value_t = 0)]
    copy: u32,
    /// Bank codes: a file of N rows of N integers, self terms on the diagonal and couplings above it; what
    /// is below it is not read [default: those of the committed example]
    #[arg(long)]
    codes: Option<PathBuf>,
    /// Ticks of noise that the DACs play
    #[arg(long, default_value_t = 1000)]
    ticks: usize,
    /// Seed of the noise
    #[arg(long, default_value_t = 1)]
    noise_seed: u64,
    /// Folder to write to
    #[arg(long, default_value = ".")]
    out: PathBuf,
    #[command(flatten)]
    imperfections: ImperfectionArgs,
}

/// What the profile does not have; 0 is without.
#[derive(clap::Args)]
struct ImperfectionArgs {
    /// On-resistance of a switch, in ohms
    #[arg(long, default_value_t = 0.0)]
    switch_ohm: f64,
    /// Capacitance over an open switch, in farads
    #[arg(long, default_value_t = 0.0)]
    switch_farad: f64,
    /// Series resistance of an inductor, in ohms
    #[arg(long, default_value_t = 0.0)]
    inductor_ohm: f64,
    /// Capacitance over an inductor, in farads
    #[arg(long, default_value_t = 0.0)]
    inductor_farad: f64,
    /// Bandwidth of the amplifiers at DAC and converter, in hertz
    #[arg(long, default_value_t = 0.0)]
    amplifier_hertz: f64,
}

/// Writes a netlist, or does what was asked for instead.
///
/// # Errors
/// For boards, codes and files that are not there, and with `--check` where an example is stale.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.effects {
        return effects();
    }
    if args.examples || args.check {
        return write(&root().join("hardware/circuit"), &examples()?, args.check);
    }
    let profile = Profile::find(&args.profile)?;
    let banks = match &args.codes {
        Some(file) => read_codes(file, profile.cell_count())?,
        None => codes::example(&profile),
    };
    let given = &args.imperfections;
    let circuit = Circuit::new(profile, args.seed, args.copy, banks)?.with(Imperfections {
        switch_ohm: given.switch_ohm,
        switch_farad: given.switch_farad,
        inductor_ohm: given.inductor_ohm,
        inductor_farad: given.inductor_farad,
        amplifier_hertz: given.amplifier_hertz,
    });
    let profile = &circuit.profile;
    let noise = codes::noise(profile, args.noise_seed, compare::NOISE_GAIN, args.ticks);
    let analysis = Analysis::Transient { codes: &noise, steps: STEPS };
    fs::create_dir_all(&args.out).with_context(|| format!("{}", args.out.display()))?;
    write(&args.out, &[circuit.netlist(&profile.name, &analysis)], false)
}

/// Committed netlists: a cell and a coupled pair by frequency, boards of each kind for a few ticks.
fn examples() -> Result<Vec<Netlist>> {
    let response = Analysis::Frequency { cell: 0, from: 20e3, to: 400e3, points: 400 };
    let mut netlists = Vec::new();
    for (name, cells, banks) in
        [("cell", 1, compare::lone(&[15], 0)), ("pair", 2, compare::lone(&[12, 9], 5))]
    {
        let mut profile = Profile::named("rev-a")?;
        profile.cells.value = cells;
        netlists.push(Circuit::new(profile, 1, 0, banks)?.netlist(name, &response));
    }
    for name in ["rev-a", "rev-b", "rc-8"] {
        let profile = Profile::named(name)?;
        let banks = codes::example(&profile);
        let held = codes::steps(&profile, 1, 50);
        let analysis = Analysis::Transient { codes: &held, steps: STEPS };
        netlists.push(Circuit::new(profile, 1, 0, banks)?.netlist(name, &analysis));
    }
    Ok(netlists)
}

/// Writes netlists that are not there as they should be; with `check` says which.
fn write(folder: &Path, netlists: &[Netlist], check: bool) -> Result<()> {
    let mut stale = Vec::new();
    for (name, new) in netlists.iter().flat_map(Netlist::files) {
        let file = folder.join(name);
        // A file that is not there yet differs from any text.
        let old = fs::read_to_string(&file).unwrap_or_default();
        match first_difference(&old, new) {
            None => {}
            Some(line) if check => stale.push(format!("{} (line {line})", file.display())),
            Some(_) => {
                fs::write(&file, new).with_context(|| format!("writing {}", file.display()))?;
                println!("wrote {}", file.display());
            }
        }
    }
    if !stale.is_empty() {
        bail!(
            "not what the profiles give: {}; run `cargo xtask netlist --examples` and commit",
            stale.join(", ")
        );
    }
    Ok(())
}

/// Bank codes from a file.
fn read_codes(file: &Path, cells: usize) -> Result<BankCodes> {
    let text = fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    parse_codes(&text, cells).with_context(|| format!("{}", file.display()))
}

fn parse_codes(text: &str, cells: usize) -> Result<BankCodes> {
    let rows = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            line.split([' ', ',', '\t'])
                .filter(|word| !word.is_empty())
                .map(|word| word.parse::<i16>().with_context(|| format!("{word:?} is no code")))
                .collect::<Result<Vec<_>>>()
        })
        .collect::<Result<Vec<_>>>()?;
    if rows.len() != cells || rows.iter().any(|row| row.len() != cells) {
        bail!("the board has {cells} cells: {cells} rows of {cells} codes are needed");
    }
    let mut banks = BankCodes::OPEN;
    let mut pair = 0;
    for i in 0..cells {
        banks.self_codes[i] = CouplingCode(rows[i][i]);
        for &code in &rows[i][i + 1..] {
            banks.coupling_codes[pair] = CouplingCode(code);
            pair += 1;
        }
    }
    Ok(banks)
}

/// Values that parts of such a board have, and what they move.
fn effects() -> Result<()> {
    if let Err(why) = ngspice::version() {
        println!("skipped: {why}");
        return Ok(());
    }
    let none = Imperfections::default();
    let cases = [
        ("switch 5 ohm", Imperfections { switch_ohm: 5.0, ..none }),
        ("switch 50 ohm", Imperfections { switch_ohm: 50.0, ..none }),
        ("open switch 5 pF", Imperfections { switch_farad: 5e-12, ..none }),
        ("inductor 4 ohm", Imperfections { inductor_ohm: 4.0, ..none }),
        ("inductor 20 pF", Imperfections { inductor_farad: 20e-12, ..none }),
        ("amplifiers 50 MHz", Imperfections { amplifier_hertz: 50e6, ..none }),
        ("amplifiers 5 MHz", Imperfections { amplifier_hertz: 5e6, ..none }),
    ];
    let profile = Profile::named("rev-a")?;
    let banks = codes::example(&profile);
    let circuit = Circuit::new(profile, 1, 0, banks)?;
    let found = compare::effects(&circuit, 15, 2000, &cases.map(|case| case.1))?;
    println!("| | frequency | Q | covariance | but for a factor |");
    println!("|---|---|---|---|---|");
    for ((name, _), effect) in cases.iter().zip(found) {
        println!(
            "| {name} | {:+.3} % | {:+.2} % | {:.2} % | {:.2} % |",
            100.0 * effect.hertz,
            100.0 * effect.q,
            100.0 * effect.covariance,
            100.0 * effect.shape
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_from_the_upper_triangle() {
        let banks = parse_codes("3, -1 2\n0 4 5\n\n0 0 6\n", 3).unwrap();
        assert_eq!(banks.self_codes[..3], [3, 4, 6].map(CouplingCode));
        assert_eq!(banks.coupling_codes[..3], [-1, 2, 5].map(CouplingCode));
        assert!(parse_codes("1 2\n3 4\n", 3).unwrap_err().to_string().contains("3 rows of 3"));
        assert!(parse_codes("1 x\n3 4\n", 2).unwrap_err().to_string().contains("\"x\""));
    }
}
