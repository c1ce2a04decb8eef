//! Messages of the driver and of an emulated board's firmware, on standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::exit::Failure;

/// Environment variable that says which messages are shown: levels by target, as in
/// `warn,firmware=debug`.
pub(crate) const VARIABLE: &str = "SPU_LOG";
/// Where it is not set.
const DEFAULT: &str = "warn";

/// Shows messages from now on.
///
/// # Errors
/// Where the variable is no filter.
pub(crate) fn install() -> Result<(), Failure> {
    let text = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    let text = text.as_deref().unwrap_or(DEFAULT);
    let filter = EnvFilter::try_new(text).map_err(|error| {
        Failure::usage(format!(
            "{VARIABLE}={text} is no filter of messages ({error}); write levels by target, as in \
             warn,firmware=debug"
        ))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(())
}
