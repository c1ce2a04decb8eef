//! Unpacks stream blocks and accounts for every frame.

use std::time::Duration;

use spu_protocol::code::{AdcCode, Ticks};
use spu_protocol::header::MAX_PAYLOAD;
use spu_protocol::packing::FrameFormat;
use spu_protocol::payload::{AcquireStatus, StreamHeader, split};

use crate::device::{AcquirePlan, BoardInfo, FrameBlock, Sink};
use crate::error::Error;
use crate::time::now;

/// The stream of one acquisition.
pub(super) struct Blocks<'a> {
    sink: &'a mut dyn Sink,
    format: FrameFormat,
    cells: usize,
    /// Frames that the plan keeps; 0 if it does not stream.
    planned: u64,
    /// Tick of the first kept frame, and ticks from one to the next.
    settle: u64,
    decimation: u64,
    codes: Vec<AdcCode>,
    next_block: u64,
    next_frame: u64,
    received: u64,
    delivered: u64,
    sink_time: Duration,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(
        info: &BoardInfo,
        plan: &AcquirePlan,
        sink: &'a mut dyn Sink,
    ) -> Result<Self, Error> {
        let format = FrameFormat::try_from(&info.raw)
            .map_err(|error| Error::Corrupt { what: error.to_string() })?;
        let most = (MAX_PAYLOAD - size_of::<StreamHeader>()) / format.frame_octets();
        Ok(Self {
            sink,
            format,
            cells: info.cells,
            planned: if plan.stream { plan.count.get().into() } else { 0 },
            settle: plan.settle.0,
            decimation: plan.decimation.get().into(),
            codes: vec![AdcCode(0); if plan.stream { most * info.cells } else { 0 }],
            next_block: 0,
            next_frame: 0,
            received: 0,
            delivered: 0,
            sink_time: Duration::ZERO,
        })
    }

    /// Number of the block after the last one that came.
    pub(super) fn next_block(&self) -> u64 {
        self.next_block
    }

    /// Time that the sink took.
    pub(super) fn sink_time(&self) -> Duration {
        self.sink_time
    }

    /// Takes a block. One that was not asked for, or came before, is passed over.
    pub(super) fn take(&mut self, payload: &[u8]) -> Result<(), Error> {
        let corrupt = |what: String| Error::Corrupt { what: format!("stream block: {what}") };
        let Some((header, octets)) = split::<StreamHeader>(payload) else {
            return Err(corrupt(format!("{} bytes", payload.len())));
        };
        if self.planned == 0 || header.block < self.next_block {
            return Ok(());
        }
        let frames = header.frames as usize;
        let frame_octets = self.format.frame_octets();
        let codes = frames.checked_mul(self.cells).and_then(|count| self.codes.get_mut(..count));
        let (Some(codes), true) = (codes, frames > 0) else {
            return Err(corrupt(format!("{frames} frames in {} octets", octets.len())));
        };
        if header.frame_octets as usize != frame_octets || octets.len() != frames * frame_octets {
            return Err(corrupt(format!(
                "{frames} frames of {} octets in {}, where a frame has {frame_octets}",
                header.frame_octets,
                octets.len()
            )));
        }
        // Where blocks are missing, what they held is lost too.
        let missing_blocks = header.block - self.next_block;
        let gap = header.first_frame.checked_sub(self.next_frame).filter(|gap| {
            if missing_blocks == 0 {
                *gap == header.lost_before
            } else {
                *gap >= header.lost_before.saturating_add(missing_blocks)
            }
        });
        let end = header.first_frame.saturating_add(frames as u64);
        let (Some(lost_before), true) = (gap, end <= self.planned) else {
            return Err(corrupt(format!(
                "number {} starts at frame {} with {} lost before, after number {} up to frame {} \
                 of {}",
                header.block,
                header.first_frame,
                header.lost_before,
                self.next_block,
                self.next_frame,
                self.planned
            )));
        };
        if missing_blocks > 0 {
            tracing::warn!(missing_blocks, lost_before, "stream blocks were lost on the link");
        }
        self.format.unpack(octets, codes).map_err(|error| corrupt(error.to_string()))?;
        self.next_block = header.block + 1;
        self.next_frame = end;
        self.received += 1;
        let before = now();
        // No more than 2^64 - 2^32: both are below 2^32, as the plan's check and `planned` say.
        let tick = Ticks(self.settle + header.first_frame * self.decimation);
        let block = FrameBlock { first_frame: header.first_frame, tick, lost_before, codes };
        let taken = self.sink.frames(&block);
        self.sink_time += now() - before;
        let stored = || self.sink.stored().unwrap_or(self.delivered);
        taken.map_err(|error| Error::Sink(error, stored()))?;
        self.delivered += frames as u64;
        Ok(())
    }

    /// Tells the sink how far the acquisition is, by the board's word or by the last block.
    pub(super) fn progress(&mut self, kept: Option<u64>, total: u64) {
        let before = now();
        self.sink.progress(kept.unwrap_or(self.next_frame), total);
        self.sink_time += now() - before;
    }

    /// Frames that were kept but not delivered.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if frames are missing that neither the board reports as lost nor a
    /// missing block accounts for. A cancelled stream leaves frames in the capture memory.
    pub(super) fn lost(&self, status: &AcquireStatus, complete: bool) -> Result<u64, Error> {
        let lost = status.kept.checked_sub(self.delivered);
        let missing_blocks = status.blocks.checked_sub(self.received);
        match (lost, missing_blocks) {
            (Some(lost), Some(missing))
                if lost == status.lost || lost > status.lost && (missing > 0 || !complete) =>
            {
                Ok(lost)
            }
            _ => Err(Error::Corrupt {
                what: format!(
                    "{} frames were kept and {} lost, but {} came in {} of {} blocks",
                    status.kept, status.lost, self.delivered, self.received, status.blocks
                ),
            }),
        }
    }
}
