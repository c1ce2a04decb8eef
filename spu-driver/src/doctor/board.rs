//! Checks of the board itself.

use spu_protocol::regs::{self, map_version};
use spu_protocol::version;

use super::Check;
use crate::device::{Deadline, Device, Report};
use crate::error::Error;

/// Share of a cell's samples at the end of its converter's range that is noted.
const SATURATED: f64 = 0.01;

/// Versions of host, firmware, gateware and register map. What does not fit at all does not open.
pub(super) fn versions(name: &'static str, device: &mut dyn Device) -> Result<Vec<Check>, Error> {
    let mut map = [0];
    device.read_regs(regs::MAP_VERSION, &mut map, Deadline::after_secs(5))?;
    let host = env!("CARGO_PKG_VERSION");
    let info = device.info();
    let map_of = |word: u32| {
        format!(
            "{}.{}",
            word >> map_version::MAJOR_SHIFT,
            word & ((1 << map_version::MAJOR_SHIFT) - 1)
        )
    };
    let found = format!(
        "host {host}, firmware {}, gateware {:08x}, register map {} (host {}), wire {}",
        info.firmware,
        info.gateware_id,
        map_of(map[0]),
        map_of(regs::MAP_VERSION_VALUE),
        version::CURRENT,
    );
    Ok(vec![if info.firmware == host && map[0] == regs::MAP_VERSION_VALUE {
        Check::ok(name, found)
    } else {
        Check::warning(
            name,
            found,
            format!(
                "they work together, but bring all to one release: host {host} comes with \
                 firmware {host} and register map {}; `spu flash FIRMWARE.img` and `spu flash \
                 GATEWARE.img` bring them onto the board",
                map_of(regs::MAP_VERSION_VALUE)
            ),
        )
    }])
}

/// Bus and registers. Deeper levels move the noise generators on: `spu selftest` has them.
pub(super) fn self_test(name: &'static str, device: &mut dyn Device) -> Result<Vec<Check>, Error> {
    let report = device.self_test(0, Deadline::after_secs(10))?;
    let failed: Vec<_> =
        report.tests.iter().filter(|(_, passed)| !passed).map(|(name, _)| name.as_str()).collect();
    Ok(vec![if failed.is_empty() {
        Check::ok(name, format!("bus and registers: {} tests pass", report.tests.len()))
    } else {
        Check::failed(
            name,
            format!("failed: {}", failed.join(", ")),
            "power the board off and on; if it fails again, flash gateware and firmware anew \
             (`spu flash GATEWARE.img`, `spu flash FIRMWARE.img`) and run `spu selftest`",
        )
    }])
}

/// Cells whose converter was at the end of its range.
pub(super) fn saturation(report: &Report) -> Check {
    const NAME: &str = "saturation";
    let share = |count: u64| count as f64 / report.kept.max(1) as f64;
    let cells: Vec<_> = report
        .saturated
        .iter()
        .enumerate()
        .filter(|(_, count)| share(**count) > SATURATED)
        .map(|(cell, count)| format!("cell {cell} ({:.0} %)", 100.0 * share(*count)))
        .collect();
    if cells.is_empty() {
        return Check::ok(NAME, "no converter is at the end of its range, as the board is set now");
    }
    Check::warning(
        NAME,
        format!("at the end of the converter's range: {}", cells.join(", ")),
        "lower the noise gain or the bias; `spu plan` chooses gains that fit. If it stays, run \
         `spu selftest --level 2`: a converter may be stuck",
    )
}
