//! What a recording holds, counted.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use spu_driver::recording::{Content, FrameRecord, opcode_name};
use spu_protocol::error::ErrorCode;
use spu_protocol::header::{Header, Kind};
use spu_protocol::payload::{ErrorReply, exact};

use crate::text::{count, si, table};

/// Counts over a recording.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    /// By operation number.
    operations: BTreeMap<u16, Operation>,
    /// Refusals by error.
    refusals: BTreeMap<String, u64>,
    /// Octet sequences that are no frame.
    bad_frames: u64,
    /// Failures of the link.
    link_failures: u64,
    reconnections: u64,
    #[serde(skip)]
    open: Option<(Header, Duration)>,
}

/// Counts of one operation.
#[derive(Debug, Default, Serialize)]
struct Operation {
    name: String,
    /// Requests, each counted once however often it was sent.
    requests: u64,
    /// Times that one was sent again.
    repeats: u64,
    replies: u64,
    refusals: u64,
    events: u64,
    /// Octets of payload, both ways.
    octets: u64,
    /// Longest time from a request to its reply, in seconds.
    longest_s: f64,
}

impl Summary {
    /// Counts a frame.
    pub(super) fn take(&mut self, frame: &FrameRecord) {
        let (header, payload) = match &frame.content {
            Content::Frame { header, payload } => (header, payload),
            Content::Bad { .. } => return self.bad_frames += 1,
            Content::Failed(_) => return self.link_failures += 1,
            Content::Reconnected => return self.reconnections += 1,
        };
        let operation = self.operations.entry(header.opcode).or_insert_with(|| Operation {
            name: opcode_name(header.opcode),
            ..Operation::default()
        });
        operation.octets += u64::from(header.length);
        let answered = |open: &mut Option<(Header, Duration)>| {
            open.take_if(|(request, _)| {
                (request.opcode, request.session, request.sequence)
                    == (header.opcode, header.session, header.sequence)
                    || request.session == 0 && request.opcode == header.opcode
            })
            .map_or(0.0, |(_, since)| frame.time.saturating_sub(since).as_secs_f64())
        };
        match Kind::from_u8(header.kind) {
            Some(Kind::Request) if self.open.is_some_and(|(open, _)| open == *header) => {
                operation.repeats += 1;
            }
            Some(Kind::Request) => {
                operation.requests += 1;
                self.open = Some((*header, frame.time));
            }
            Some(Kind::Reply) => {
                operation.replies += 1;
                operation.longest_s = operation.longest_s.max(answered(&mut self.open));
            }
            Some(Kind::Error) => {
                operation.refusals += 1;
                operation.longest_s = operation.longest_s.max(answered(&mut self.open));
                let name = exact::<ErrorReply>(payload).map_or_else(
                    || "malformed".into(),
                    |ErrorReply { code, .. }| {
                        ErrorCode::from_u16(code)
                            .map_or_else(|| format!("error {code}"), |code| format!("{code:?}"))
                    },
                );
                *self.refusals.entry(name).or_default() += 1;
            }
            Some(Kind::Event) => operation.events += 1,
            None => {}
        }
    }

    pub(super) fn text(&self) -> String {
        let header =
            ["", "requests", "repeats", "replies", "refused", "events", "octets", "longest"];
        let rows: Vec<Vec<String>> = self
            .operations
            .values()
            .map(|operation| {
                let longest = match operation.longest_s {
                    0.0 => "-".into(),
                    seconds => si(seconds, "s"),
                };
                let mut row = vec![operation.name.clone()];
                row.extend(
                    [
                        operation.requests,
                        operation.repeats,
                        operation.replies,
                        operation.refusals,
                        operation.events,
                        operation.octets,
                    ]
                    .map(count),
                );
                row.push(longest);
                row
            })
            .collect();
        let mut text = table(&header, &rows);
        for (name, number) in &self.refusals {
            text += &format!("refused with {name}: {number}\n");
        }
        for (what, number) in [
            ("frames damaged", self.bad_frames),
            ("failures of the link", self.link_failures),
            ("reconnections", self.reconnections),
        ] {
            if number > 0 {
                text += &format!("{what}: {number}\n");
            }
        }
        text
    }
}
