//! What a refusal means, and whether both sides speak the same versions.

use spu_protocol::error::ErrorCode;
use spu_protocol::payload::{ErrorReply, HelloReply};
use spu_protocol::{regs, version};

use crate::error::Error;

/// Command that installs the newest host.
const INSTALL_NEWEST: &str = "`git pull && cargo install --locked --path spu-cli`";

/// The error that an error reply stands for.
pub(super) fn refusal(reply: Option<ErrorReply>, device_version: u8) -> Error {
    let Some(ErrorReply { code, detail }) = reply else {
        return Error::Corrupt { what: "an error reply of the wrong length".into() };
    };
    match ErrorCode::from_u16(code) {
        Some(ErrorCode::BadVersion) => {
            version_error(format!("protocol {device_version}"), None, device_version)
        }
        Some(ErrorCode::WrongGateware) => gateware_error(detail),
        Some(code) => Error::Device { code, detail },
        None => Error::Corrupt { what: format!("error number {code}, unknown to this driver") },
    }
}

/// Fails if no protocol version is spoken by both sides.
pub(super) fn check_version(hello: &HelloReply) -> Result<(), Error> {
    if hello.version_min <= version::CURRENT && version::MIN <= hello.version_max {
        return Ok(());
    }
    let [major, minor, patch] = hello.firmware;
    let device = format!(
        "protocol {} (firmware {major}.{minor}.{patch})",
        range(hello.version_min, hello.version_max)
    );
    Err(version_error(device, Some(hello.firmware), hello.version_max))
}

fn version_error(device: String, firmware: Option<[u16; 3]>, newest: u8) -> Error {
    let fix = match firmware {
        _ if newest > version::CURRENT => {
            format!("update the host: {INSTALL_NEWEST}")
        }
        Some([major, minor, patch]) => format!(
            "use the host of the firmware's release: `git checkout v{major}.{minor}.{patch} && \
             cargo install --locked --path spu-cli`, or flash this host's firmware: `spu flash \
             --probe FIRMWARE.elf`"
        ),
        None => "use the host of the firmware's release: `git checkout v<firmware> && \
                 cargo install --locked --path spu-cli`"
            .into(),
    };
    let host = format!(
        "protocol {} (driver {})",
        range(version::MIN, version::CURRENT),
        env!("CARGO_PKG_VERSION")
    );
    Error::Version { host, device, fix }
}

/// The gateware's register map, of major version `map`, is not the one that this release drives.
fn gateware_error(map: u16) -> Error {
    let ours = (regs::MAP_VERSION_VALUE >> regs::map_version::MAJOR_SHIFT) as u16;
    let release = env!("CARGO_PKG_VERSION");
    let fix = if map > ours {
        format!("update the host and the firmware to the gateware's release; {INSTALL_NEWEST}")
    } else {
        format!(
            "power the board off and on, which goes back from gateware on trial, or flash the \
             firmware of the gateware's release: `spu flash --probe FIRMWARE.elf`; or load the \
             gateware of release {release} as hardware/README.md says"
        )
    };
    Error::Version {
        host: format!("register map {ours} (driver {release})"),
        device: format!("register map {map} (gateware)"),
        fix,
    }
}

fn range(min: u8, max: u8) -> String {
    if min == max { min.to_string() } else { format!("{min} to {max}") }
}
