//! Until the image is whole in its slot.

use std::time::Duration;

use spu_protocol::error::ErrorCode;
use spu_protocol::image::ImageError;
use spu_protocol::payload::update::{SlotState, UpdateState};
use spu_protocol::payload::{UpdateBegin, UpdateProgress, UpdateStatus, UpdateWrite};

use super::slots::has_none;
use super::{FlashError, Run, Stage, target_name, version_text};
use crate::device::Deadline;
use crate::error::Error;
use crate::time;

/// Wait between two looks at an update.
const POLL: Duration = Duration::from_millis(1);
/// Longest time for a single request: erasing a large page may come before its answer.
const CALL: Duration = Duration::from_secs(20);
/// Longest time to take an image back out of its slot.
const WITHDRAW: Duration = Duration::from_secs(30);

/// Where the image goes.
pub(super) struct Free {
    /// The slot, 0 or 1.
    pub(super) slot: usize,
    /// Version that runs.
    pub(super) previous: String,
    /// Octets of a piece.
    piece: usize,
}

impl Run<'_> {
    /// Fails for what the board would refuse, before anything is sent to it.
    pub(super) fn check(&mut self) -> Result<Free, FlashError> {
        let kind = self.kind();
        let status = match self.status() {
            Err(error) if has_none(&error) => {
                return Err(FlashError::NoUpdates { kind: kind.name() });
            }
            status => status.map_err(FlashError::Device)?,
        };
        let header = self.image.header();
        if header.target != status.target {
            return Err(FlashError::WrongTarget {
                image: target_name(header.kind, header.target),
                board: target_name(header.kind, status.target),
            });
        }
        if header.length == 0 {
            let error = ImageError::Length { length: 0, room: status.room };
            return Err(FlashError::Image(error.into()));
        }
        if header.length > status.room {
            return Err(FlashError::TooLarge { length: header.length, room: status.room });
        }
        let running = status.slots[status.running as usize];
        let previous = version_text(running.version);
        if running.state == SlotState::Trial as u8 {
            return Err(FlashError::OnTrial { kind: kind.name(), running: previous });
        }
        let older = running.state != SlotState::Empty as u8 && header.version < running.version;
        if older && !self.options.allow_downgrade {
            return Err(FlashError::Older {
                image: version_text(header.version),
                running: previous,
            });
        }
        let piece = (status.piece as usize).min(UpdateWrite::MAX_DATA) / UpdateWrite::ALIGN;
        if piece == 0 {
            let what = format!("the board takes pieces of {} octets", status.piece);
            return Err(FlashError::Device(Error::Corrupt { what }));
        }
        let slot = 1 - status.running as usize;
        Ok(Free { slot, previous, piece: piece * UpdateWrite::ALIGN })
    }

    /// Brings the image into its slot; the number of the update.
    pub(super) fn transfer(&mut self, free: &Free) -> Result<u32, FlashError> {
        if let Err(error) = self.receive(free.piece) {
            if !matches!(error, FlashError::Device(Error::Disconnected { .. })) {
                // Whether or not the board hears it, nothing of the slot can start.
                let _ = self.give_up(self.deadline.within(CALL));
            }
            return Err(error);
        }
        match self.verify(free.slot) {
            Ok(sequence) => Ok(sequence),
            // What failed on the board cannot start.
            Err(error @ FlashError::GaveUp(_)) => Err(error),
            Err(error) => Err(self.withdraw(error)),
        }
    }

    /// Erases the slot and sends the payload.
    fn receive(&mut self, piece: usize) -> Result<(), FlashError> {
        self.begin(self.deadline).map_err(|error| match error {
            Error::Device { code: ErrorCode::BadImage, detail: 2 } => {
                FlashError::WrongAddress(self.image.header().load_address)
            }
            error => FlashError::Device(error),
        })?;
        let payload = self.image.payload();
        self.progress.update(Stage::Erase, 0, payload.len() as u64);
        self.wait_until(UpdateState::Receiving, Stage::Erase, self.deadline, true)?;
        let mut done = 0;
        let mut resumed = 0;
        while done < payload.len() {
            if self.cancelled() {
                return Err(FlashError::Cancelled);
            }
            self.progress.update(Stage::Send, done as u64, payload.len() as u64);
            let octets = &payload[done..payload.len().min(done + piece)];
            let deadline = self.deadline.within(CALL);
            let written = self
                .device
                .updates()
                .and_then(|updates| updates.write(done as u32, octets, deadline));
            let progress = match written {
                // A piece that was taken although the answer said otherwise; it tells where to go
                // on.
                Err(Error::Device { code: ErrorCode::OutOfOrder, .. }) if resumed < 3 => {
                    resumed += 1;
                    self.status().map_err(FlashError::Device)?.progress
                }
                written => written.map_err(FlashError::Device)?,
            };
            if state(&progress)? != UpdateState::Receiving
                || progress.done as usize > payload.len()
                || resumed == 0 && progress.done as usize != done + octets.len()
            {
                let what = format!(
                    "octets {done} to {} were sent, it says that {} came",
                    done + octets.len(),
                    progress.done
                );
                return Err(FlashError::Device(Error::Corrupt { what }));
            }
            done = progress.done as usize;
        }
        self.progress.update(Stage::Send, done as u64, done as u64);
        Ok(())
    }

    /// Lets the board verify what is in its flash; the number of the update.
    fn verify(&mut self, slot: usize) -> Result<u32, FlashError> {
        let deadline = self.deadline.within(CALL);
        let finished = self.device.updates().and_then(|updates| updates.finish(deadline));
        finished.map_err(FlashError::Device)?;
        self.progress.update(Stage::Verify, 0, self.image.header().length.into());
        let status = self.wait_until(UpdateState::Ready, Stage::Verify, self.deadline, true)?;
        let found = status.slots[slot];
        if found.state != SlotState::Pending as u8 {
            let what = "it says that the image is ready, but no slot is to be tried";
            return Err(FlashError::Device(Error::Corrupt { what: what.into() }));
        }
        if self.cancelled() {
            return Err(FlashError::Cancelled);
        }
        Ok(found.sequence)
    }

    fn begin(&mut self, deadline: Deadline) -> Result<UpdateProgress, Error> {
        let flags = if self.options.allow_downgrade { UpdateBegin::ALLOW_DOWNGRADE } else { 0 };
        let begin = UpdateBegin { flags, reserved: 0, header: *self.image.header() };
        self.device.updates()?.begin(&begin, deadline.within(CALL))
    }

    pub(super) fn status(&mut self) -> Result<UpdateStatus, Error> {
        let (kind, deadline) = (self.image.kind(), self.deadline.within(CALL));
        self.device.updates()?.status(kind, deadline)
    }

    /// Looks at the update until it is in that state.
    fn wait_until(
        &mut self,
        wanted: UpdateState,
        stage: Stage,
        deadline: Deadline,
        cancellable: bool,
    ) -> Result<UpdateStatus, FlashError> {
        loop {
            if cancellable && self.cancelled() {
                return Err(FlashError::Cancelled);
            }
            let status = self.status().map_err(FlashError::Device)?;
            let now = state(&status.progress)?;
            if now == wanted {
                return Ok(status);
            }
            match now {
                UpdateState::Erasing | UpdateState::Verifying => {
                    let UpdateProgress { done, total, .. } = status.progress;
                    self.progress.update(stage, done.into(), total.into());
                }
                // Another session began, or the board restarted.
                _ => {
                    let error = Error::Device { code: ErrorCode::NoUpdate, detail: 0 };
                    return Err(FlashError::Device(error));
                }
            }
            if deadline.passed() {
                let op = if stage == Stage::Erase { "erasing the slot" } else { "verifying" };
                return Err(FlashError::Device(deadline.timeout(op)));
            }
            time::sleep(POLL);
        }
    }

    /// Gives the update up: what is in the slot does not start.
    fn give_up(&mut self, deadline: Deadline) -> Result<(), Error> {
        self.device.updates()?.reopen(deadline)
    }

    /// Takes the image, which may be whole, out of its slot again: erases it. The error to report.
    pub(super) fn withdraw(&mut self, error: FlashError) -> FlashError {
        let deadline = Deadline::after(WITHDRAW);
        let withdrawn = self
            .give_up(deadline)
            .and_then(|()| self.begin(deadline))
            .map_err(FlashError::Device)
            .and_then(|_| {
                let erase = Stage::Erase;
                let outer = std::mem::replace(&mut self.deadline, deadline);
                let erased = self.wait_until(UpdateState::Receiving, erase, deadline, false);
                self.deadline = outer;
                erased
            })
            .and_then(|_| self.give_up(deadline).map_err(FlashError::Device));
        match withdrawn {
            Ok(()) => error,
            Err(_) => FlashError::Undecided { why: why(&error) },
        }
    }
}

/// What went wrong, without what it means for what runs.
fn why(error: &FlashError) -> String {
    match error {
        FlashError::Device(error) => error.to_string(),
        FlashError::Cancelled => "cancelled".into(),
        error => error.to_string(),
    }
}

/// The state of an update that did not fail.
fn state(progress: &UpdateProgress) -> Result<UpdateState, FlashError> {
    let corrupt = |what: String| FlashError::Device(Error::Corrupt { what });
    match UpdateState::from_u16(progress.state) {
        Some(UpdateState::Failed) => Err(match ErrorCode::from_u16(progress.error) {
            Some(code) => FlashError::GaveUp(code),
            None => corrupt(format!("an update failed with error number {}", progress.error)),
        }),
        Some(state) => Ok(state),
        None => Err(corrupt(format!("an update in state {}", progress.state))),
    }
}
