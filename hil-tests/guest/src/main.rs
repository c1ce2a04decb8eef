//! What runs in the virtual machine of `cargo xtask guest`.
//!
//! One program with several roles, since the machine's disk is an archive in memory: the gadget
//! (the board's side of the cable), the suites (the host's side), and small helpers of theirs.

#[cfg(target_os = "linux")]
mod gadget;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod suites;

#[cfg(target_os = "linux")]
#[derive(clap::Parser)]
enum Role {
    /// Be a USB gadget with a simulated board
    Gadget(gadget::Args),
    /// Run the suites and report on a port
    Suites(suites::Args),
}

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    match clap::Parser::parse() {
        Role::Gadget(args) => gadget::run(&args),
        Role::Suites(args) => suites::run(&args),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> anyhow::Result<()> {
    anyhow::bail!("this runs in the virtual machine of `cargo xtask guest`")
}
