//! Update operations over a link.

use std::time::Duration;

use spu_protocol::image::ImageKind;
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::{
    ResetRequest, UpdateBegin, UpdateProgress, UpdateSelect, UpdateStatus, UpdateWrite, exact,
};

use super::{Client, empty};
use crate::device::{Deadline, ResetLevel};
use crate::error::Error;
use crate::link::Link;
use crate::updates::Updates;

/// Time in which the answer to a restart comes, if it comes.
const ANSWER: Duration = Duration::from_secs(1);

fn progress(reply: &[u8]) -> Result<UpdateProgress, Error> {
    exact(reply)
        .ok_or_else(|| Error::Corrupt { what: format!("progress of {} bytes", reply.len()) })
}

impl<L: Link> Updates for Client<L> {
    fn begin(&mut self, begin: &UpdateBegin, deadline: Deadline) -> Result<UpdateProgress, Error> {
        progress(self.request(Opcode::UpdateBegin, &[bytemuck::bytes_of(begin)], deadline)?)
    }

    fn write(
        &mut self,
        offset: u32,
        octets: &[u8],
        deadline: Deadline,
    ) -> Result<UpdateProgress, Error> {
        let piece = UpdateWrite { offset, reserved: 0 };
        let parts = [bytemuck::bytes_of(&piece), octets];
        progress(self.request(Opcode::UpdateWrite, &parts, deadline)?)
    }

    fn finish(&mut self, deadline: Deadline) -> Result<UpdateProgress, Error> {
        progress(self.request(Opcode::UpdateFinish, &[], deadline)?)
    }

    fn status(&mut self, kind: ImageKind, deadline: Deadline) -> Result<UpdateStatus, Error> {
        let select = UpdateSelect { kind: kind as u32 };
        let reply = self.request(Opcode::UpdateStatus, &[bytemuck::bytes_of(&select)], deadline)?;
        exact(reply)
            .filter(|status: &UpdateStatus| status.running < 2)
            .ok_or_else(|| Error::Corrupt { what: "the slots' state is malformed".into() })
    }

    fn confirm(&mut self, kind: ImageKind, deadline: Deadline) -> Result<(), Error> {
        let select = UpdateSelect { kind: kind as u32 };
        let parts = [bytemuck::bytes_of(&select)];
        empty(self.request(Opcode::UpdateConfirm, &parts, deadline)?, "a confirmation")
    }

    fn restart(&mut self, deadline: Deadline) -> Result<(), Error> {
        self.session.close();
        self.session.connect(deadline)?;
        let request = ResetRequest { level: ResetLevel::Controller as u32 };
        let parts = [bytemuck::bytes_of(&request)];
        let until = deadline.within(ANSWER);
        match self.session.once(Opcode::Reset, &parts, until, deadline) {
            // A board on USB goes away with the restart.
            Ok(_) | Err(Error::Disconnected { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn reopen(&mut self, deadline: Deadline) -> Result<(), Error> {
        self.session.close();
        self.reopen(deadline)
    }
}
