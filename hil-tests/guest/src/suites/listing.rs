//! What `spu list` says of boards, with real device nodes.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use spu_driver::DeviceUri;

use super::plug::{self, Plug};
use super::program::soon;
use crate::report::Report;

/// A user who may open no device.
const USER: u32 = 1000;

pub(crate) fn run(report: &mut Report, serial_number: &str) -> anyhow::Result<()> {
    report.run("listing::nothing_is_plugged_in", || expect(0, &[]))?;
    let plug = Plug::new(&["--serial", serial_number])?;
    let usb = plug::usb_uri()?;
    let serial = plug::serial_uri()?;
    let both = |state: &'static str| [(usb.clone(), state), (serial.clone(), state)];
    report.run("listing::a_board_is_present", || expect(0, &both("present")))?;
    report.run("listing::without_rights_it_is_denied", || expect(USER, &both("denied")))?;
    for uri in [&usb, &serial] {
        let kind = uri.split(':').next().unwrap_or_default();
        report.run(&format!("listing::{kind}_in_use_is_busy"), || {
            let held = uri.parse::<DeviceUri>()?.link(soon())?;
            let state = |of: &String| if of == uri { "busy" } else { "present" };
            let expected = [(usb.clone(), state(&usb)), (serial.clone(), state(&serial))];
            expect(0, &expected)?;
            let error = spu_driver::open(uri).err().context("it opened twice")?;
            ensure!(matches!(error, spu_driver::Error::Busy { .. }), "not busy: {error}");
            ensure!(error.to_string().contains("this program"), "who has it? {error}");
            drop(held);
            expect(0, &both("present"))
        })?;
    }
    report.run("listing::opening_without_rights_names_the_remedy", || {
        for uri in [&usb, &serial] {
            let (_, complaint) = spu(USER, &["info", "--device", uri])?;
            ensure!(complaint.contains("denied"), "{uri}: {complaint}");
            ensure!(complaint.contains("udev"), "{uri}: {complaint}");
        }
        Ok(())
    })?;
    report.run("listing::other_serial_numbers_are_told", || {
        let error = spu_driver::open("usb:1209:0001:nobody").err().context("it opened")?;
        ensure!(matches!(error, spu_driver::Error::NotFound { .. }), "{error}");
        ensure!(error.to_string().contains(&usb), "what is there? {error}");
        Ok(())
    })?;
    plug.end()?;
    let plug = Plug::new(&["--serial", serial_number, "--boot-loader"])?;
    let usb = plug::usb_uri()?;
    let serial = plug::serial_uri()?;
    report.run("listing::a_boot_loader_is_told_from_a_board", || {
        expect(0, &[(usb, "boot-loader"), (serial, "boot-loader")])
    })?;
    plug.end()
}

/// Checks the boards that `spu list` shows to a user, without the simulator.
fn expect(user: u32, expected: &[(String, &str)]) -> anyhow::Result<()> {
    let (stdout, stderr) = spu(user, &["list", "--json"])?;
    let listing: Value = serde_json::from_str(&stdout).with_context(|| stderr)?;
    let devices = listing["devices"].as_array().context("no list of devices")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found: Vec<(String, String)> = devices
        .iter()
        .map(|device| (text(&device["uri"]), text(&device["state"])))
        .filter(|(uri, _)| !uri.starts_with("sim"))
        .collect();
    let mut expected: Vec<_> =
        expected.iter().map(|(uri, state)| (uri.clone(), (*state).to_owned())).collect();
    found.sort();
    expected.sort();
    ensure!(found == expected, "listed are {found:?}, expected {expected:?}");
    let helpless = devices.iter().find(|device| {
        device["state"] != "present" && device["remedy"].as_str().is_none_or(str::is_empty)
    });
    ensure!(helpless.is_none(), "no remedy: {helpless:?}");
    Ok(())
}

/// Runs `spu` as a user, and gives its standard output and error.
fn spu(user: u32, arguments: &[&str]) -> anyhow::Result<(String, String)> {
    let output = Command::new("/bin/spu").args(arguments).uid(user).gid(user).output()?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ok((text(&output.stdout), text(&output.stderr)))
}
