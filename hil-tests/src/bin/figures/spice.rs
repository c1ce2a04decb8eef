//! The simulated analog boards against ngspice.

use anyhow::Result;
use spu_sim::profile::Profile;
use spu_spice::compare::{self, EFFECTIVE, STEPS};
use spu_spice::{Circuit, codes, ngspice};

use crate::Figure;

fn board(name: &str) -> Result<Circuit> {
    let profile = Profile::named(name)?;
    let banks = codes::example(&profile);
    Ok(Circuit::new(profile, 3, 1, banks)?)
}

/// Largest relative difference of a mode's frequency, over cells and pairs.
pub(crate) fn resonance() -> Result<Figure> {
    let version = ngspice::version()?;
    let (mut hertz, mut q, mut splitting) = (0.0_f64, 0.0_f64, 0.0_f64);
    let cases = [
        ("rev-a", &[15][..], 0),
        ("rev-a", &[6], 0),
        ("rev-a", &[12, 9], 5),
        ("rev-a", &[12, 12], 1),
        ("rev-b", &[200, 120], 90),
        ("rev-b", &[200, 120], -90),
    ];
    for (name, self_codes, coupling) in cases {
        let banks = compare::lone(self_codes, coupling);
        let circuit = Circuit::new(Profile::named(name)?, 3, 1, banks)?;
        let found = compare::resonance(&circuit, self_codes.len())?;
        hertz = hertz.max(found.hertz_error());
        q = q.max(found.q_error());
        splitting = splitting.max(found.splitting_error());
    }
    let detail = format!(
        "{version}; {} cells and pairs of rev-a and rev-b; Q {q:.1e}, splitting {splitting:.1e}",
        cases.len()
    );
    Ok(Figure { value: hertz, detail })
}

/// Largest difference of a sample over full scale, over boards of three kinds.
pub(crate) fn step(quick: bool) -> Result<Figure> {
    let version = ngspice::version()?;
    let (mut value, mut boards) = (0.0_f64, Vec::new());
    for (name, ticks) in [("rev-a", 1000), ("rev-b", 300), ("rc-8", 300)] {
        let circuit = board(name)?;
        let ticks = if quick { ticks / 5 } else { ticks };
        let codes = codes::steps(&circuit.profile, 5, ticks);
        let samples = compare::samples(&circuit, &codes, STEPS)?;
        value = value.max(samples.error());
        boards.push(format!("{name} {:.1e} in {ticks} ticks", samples.error()));
    }
    Ok(Figure { value, detail: format!("{version}; {}", boards.join(", ")) })
}

/// Largest z of the elements of a covariance.
pub(crate) fn covariance(quick: bool) -> Result<Figure> {
    let version = ngspice::version()?;
    let ticks = if quick { 5_000 } else { 20_000 };
    let found = compare::stationary(&board("rev-a")?, 7, ticks, 1000)?;
    anyhow::ensure!(found.effective >= EFFECTIVE, "{found:?}: the record is too short");
    let detail = format!(
        "{version}; rev-a, {ticks} ticks, {:.0} independent samples; same codes: covariance {:.1e}, samples {:.1e}",
        found.effective, found.same_codes, found.sample_error
    );
    Ok(Figure { value: found.z, detail })
}
