//! `spu selftest`: the tests that a board has on it.

use clap::Args;
use serde::Serialize;
use spu_driver::SelfTestReport;

use super::{DeviceArg, TimeoutArg, rung};
use crate::answer::Answer;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;

/// Run the on-board self tests
#[derive(Debug, Args)]
pub(crate) struct SelfTest {
    #[command(flatten)]
    device: DeviceArg,
    /// How deep: 0 bus and registers, 1 digital path, 2 analog path
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=2))]
    level: u32,
    #[command(flatten)]
    timeout: TimeoutArg,
}

#[derive(Debug, Serialize)]
pub(crate) struct SelfTestAnswer {
    uri: String,
    rung: &'static str,
    level: u32,
    passed: bool,
    #[serde(flatten)]
    report: SelfTestReport,
}

impl SelfTest {
    pub(crate) fn run(&self, interrupt: &Interrupt) -> Result<SelfTestAnswer, Failure> {
        let mut devices = [self.device.open()?];
        interrupt.watch(&devices);
        let [device] = &mut devices;
        let report = device.self_test(self.level, self.timeout.deadline())?;
        Ok(SelfTestAnswer {
            uri: device.uri().to_owned(),
            rung: rung(device.uri(), Some(device.info())),
            level: self.level,
            passed: report.passed(),
            report,
        })
    }
}

impl Answer for SelfTestAnswer {
    fn text(&self) -> String {
        let mut text = format!("{}, {}\n", self.uri, self.rung);
        for (name, passed) in &self.report.tests {
            text += &format!("  {}  {name}\n", if *passed { "pass" } else { "FAIL" });
        }
        if let Some((expected, found)) = self.report.first_failure {
            text += &format!("first failure: expected {expected:#010x}, found {found:#010x}\n");
        }
        let failed = self.report.tests.iter().filter(|(_, passed)| !passed).count();
        text += &format!("{} passed, {failed} failed\n", self.report.tests.len() - failed);
        text
    }

    fn exit(&self) -> Exit {
        if self.passed { Exit::Success } else { Exit::SelfTest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_test_is_shown_and_has_its_exit_code() {
        let report = SelfTestReport {
            tests: vec![("identity".into(), true), ("scratch register".into(), false)],
            first_failure: Some((0x55, 0x54)),
        };
        let answer = SelfTestAnswer {
            uri: "sim".into(),
            rung: "sim",
            level: 0,
            passed: report.passed(),
            report,
        };
        assert_eq!(answer.exit(), Exit::SelfTest);
        assert_eq!(
            answer.text(),
            "sim, sim\n  pass  identity\n  FAIL  scratch register\n\
             first failure: expected 0x00000055, found 0x00000054\n1 passed, 1 failed\n"
        );
    }
}
