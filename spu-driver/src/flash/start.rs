//! From the restart on: the new image proves itself, or the board goes back to the one before.

use std::time::Duration;

use spu_protocol::error::ErrorCode;
use spu_protocol::image::ImageKind;
use spu_protocol::payload::update::SlotState;

use super::{FlashError, Run, Stage, version_text};
use crate::device::Deadline;
use crate::error::Error;
use crate::time;

/// Longest time for a single request.
const CALL: Duration = Duration::from_secs(10);
/// Longest time to open a session once; a board that starts is asked again.
const OPEN: Duration = Duration::from_secs(4);
/// Wait before a board that is not there is looked for again.
const PAUSE: Duration = Duration::from_millis(50);
/// Time in which an FPGA may still be loading its gateware.
const LOADING: Duration = Duration::from_secs(5);
/// Times that a restart is asked for.
const RESTARTS: u32 = 3;
/// Time that is kept for going back, or a third of what is left.
const RESERVE: Duration = Duration::from_secs(30);

/// What came of a restart.
enum Outcome {
    /// The new image runs and is as its header says.
    Proved,
    /// The board did not restart.
    NotStarted,
    /// The one before runs again, already.
    RolledBack,
}

/// Why it is not known what came of it.
enum Trouble {
    /// The link: look again.
    Link(Error),
    /// The new image is no good.
    Bad(String),
    /// Something else answers.
    Other(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error {
            error if is_away(&error) => Self::Link(error),
            // The session ended with the restart.
            Error::Device { code: ErrorCode::BadSession, .. } => Self::Link(error),
            // That may be another board: it is left alone.
            Error::Corrupt { .. } => Self::Other(error.to_string()),
            error => Self::Bad(error.to_string()),
        }
    }
}

/// True for what a board that restarts looks like.
fn is_away(error: &Error) -> bool {
    matches!(
        error,
        Error::Timeout { .. }
            | Error::Disconnected { .. }
            | Error::NotFound { .. }
            | Error::Busy { .. }
            | Error::Denied { .. }
    )
}

impl Run<'_> {
    /// Restarts the board, and confirms the image in `slot` if it proves itself and that was asked
    /// for.
    pub(super) fn start(&mut self, slot: usize, sequence: u32) -> Result<bool, FlashError> {
        let left = self.deadline.left();
        let waiting = Deadline::after(left.saturating_sub(RESERVE.min(left / 3)));
        let mut restarts = 0;
        let mut restart = true;
        let why = loop {
            if restart {
                restarts += 1;
                self.progress.update(Stage::Restart, 0, 0);
                match self
                    .device
                    .updates()
                    .and_then(|updates| updates.restart(waiting.within(CALL)))
                {
                    Ok(()) => {}
                    Err(error) if is_away(&error) => {}
                    Err(error) if restarts == 1 => {
                        return Err(self.withdraw(FlashError::Device(error)));
                    }
                    Err(error) => return Err(FlashError::Undecided { why: error.to_string() }),
                }
            }
            restart = false;
            match self.prove(slot, sequence, waiting) {
                Ok(Outcome::Proved) if !self.options.confirm => return Ok(false),
                Ok(Outcome::Proved) => return Ok(true),
                Ok(Outcome::NotStarted) if restarts < RESTARTS => restart = true,
                Ok(Outcome::NotStarted) => {
                    let error = Error::Device { code: ErrorCode::Flash, detail: 0 };
                    return Err(self.withdraw(FlashError::Device(error)));
                }
                Ok(Outcome::RolledBack) => {
                    let why = "the boot loader refused the new image, or it restarted by itself \
                               before it was confirmed; see `spu info` and build it again";
                    return Err(self.rolled_back(why.into()));
                }
                Err(Trouble::Link(_)) if waiting.left() > PAUSE => time::sleep(PAUSE),
                Err(Trouble::Link(error)) => break format!("no answer in time ({error})"),
                Err(Trouble::Bad(why)) => break why,
                Err(Trouble::Other(why)) => return Err(FlashError::Lost { why }),
            }
        };
        Err(self.roll_back(slot, why))
    }

    /// Waits for the board, looks at what runs, and confirms it if that was asked for.
    fn prove(
        &mut self,
        slot: usize,
        sequence: u32,
        deadline: Deadline,
    ) -> Result<Outcome, Trouble> {
        self.wait_for_board(deadline)?;
        self.progress.update(Stage::Check, 0, 0);
        let status = self.status()?;
        let found = status.slots[slot];
        if found.sequence != sequence {
            return Err(Trouble::Other("the slot holds another image".into()));
        }
        match SlotState::from_u8(found.state) {
            Some(SlotState::Pending) => return Ok(Outcome::NotStarted),
            // Confirmed: the answer to a confirmation was lost.
            Some(SlotState::Trial | SlotState::Confirmed) => {}
            _ => return Ok(Outcome::RolledBack),
        }
        self.compare()?;
        if self.options.confirm {
            let kind = self.kind();
            self.device.updates()?.confirm(kind, self.deadline.within(CALL))?;
            let status = self.status()?;
            if status.slots[slot].state != SlotState::Confirmed as u8 {
                return Err(Trouble::Bad("it could not be confirmed".into()));
            }
        }
        Ok(Outcome::Proved)
    }

    /// Fails unless the board says of itself what the image's header does, and passes the tests of
    /// bus and registers.
    fn compare(&mut self) -> Result<(), Trouble> {
        let header = *self.image.header();
        let raw = self.device.info().raw;
        match self.kind() {
            ImageKind::Firmware if raw.firmware != header.version => {
                return Err(Trouble::Bad(format!(
                    "the new firmware says that it is version {}, its image's header {}; pack it \
                     with the version that it was built with",
                    version_text(raw.firmware),
                    version_text(header.version)
                )));
            }
            ImageKind::Gateware if raw.gateware_id != header.build_id => {
                return Err(Trouble::Bad(format!(
                    "the new gateware says that it is build {:08x}, its image's header {:08x}; \
                     pack it with the build number that its register GATEWARE_ID has",
                    raw.gateware_id, header.build_id
                )));
            }
            _ => {}
        }
        let report = self.device.self_test(0, self.deadline.within(CALL))?;
        let failed: Vec<_> = report.tests.iter().filter(|(_, passed)| !passed).collect();
        match failed.first() {
            None => Ok(()),
            Some((name, _)) => Err(Trouble::Bad(format!(
                "the self test `{name}` fails with the new {}; run `spu selftest` with the one \
                 before to tell the image from the board",
                self.kind().name()
            ))),
        }
    }

    /// Opens a session with the same board as soon as it answers.
    fn wait_for_board(&mut self, deadline: Deadline) -> Result<(), Error> {
        let started = time::now();
        loop {
            let opened = self.device.updates()?.reopen(deadline.within(OPEN));
            let again = match &opened {
                Err(Error::Device { code: ErrorCode::NoGateware | ErrorCode::Bus, .. }) => {
                    time::now() - started < LOADING
                }
                Err(error) => is_away(error),
                Ok(()) => false,
            };
            if !again || deadline.left() <= PAUSE {
                return opened;
            }
            time::sleep(PAUSE);
        }
    }

    /// Restarts the board so that it goes back to the one before; the error to report.
    fn roll_back(&mut self, slot: usize, why: String) -> FlashError {
        for _ in 0..RESTARTS {
            self.progress.update(Stage::RollBack, 0, 0);
            // A board that cannot be told may come back by itself.
            let deadline = self.deadline.within(CALL);
            let _ = self.device.updates().and_then(|updates| updates.restart(deadline));
            if self.wait_for_board(self.deadline).is_err() {
                return FlashError::Lost { why };
            }
            match self.status() {
                Ok(status) if status.running as usize != slot => return self.rolled_back(why),
                // It did not restart.
                Ok(_) => {}
                Err(_) => return FlashError::Lost { why },
            }
        }
        FlashError::Lost { why }
    }

    /// The one before runs.
    fn rolled_back(&mut self, why: String) -> FlashError {
        let running = match self.status() {
            Ok(status) => version_text(status.slots[status.running as usize].version),
            Err(_) => "the one before".into(),
        };
        FlashError::RolledBack { why, running }
    }
}
