//! The frames of a recording, as text and JSON.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use spu_driver::recording::{
    Content, Field, FrameRecord, Frames, Reader, RecordingError, Value, fields, opcode_name,
};
use spu_protocol::header::{Header, Kind};

use super::summary::Summary;
use crate::text::{duration, facts};

/// Elements of an array that the text shows.
const SHOWN: usize = 8;

/// A recording, decoded.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    file: PathBuf,
    /// Device that was recorded.
    uri: String,
    /// Version of the driver that recorded it.
    host: String,
    /// RFC 3339.
    start: String,
    /// Time of the last record, in seconds.
    duration_s: f64,
    /// False where the recording process was killed or its disk was full.
    closed: bool,
    /// Why not all of it could be read.
    pub(super) damage: Option<String>,
    summary: Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    frames: Option<Vec<Json>>,
    #[serde(skip)]
    lines: String,
}

impl Shown {
    /// Reads a recording, up to its end or damage.
    pub(super) fn read(file: &Path, each: bool) -> Result<Self, RecordingError> {
        let mut frames = Frames::new(Reader::open(file)?);
        let origin = frames.reader().origin().clone();
        let start = UNIX_EPOCH + origin.start;
        let mut summary = Summary::default();
        let mut list = Vec::new();
        let mut lines = String::new();
        let mut last = Duration::ZERO;
        let damage = loop {
            match frames.next_frame() {
                Ok(None) => break None,
                Err(error) => break Some(error.to_string()),
                Ok(Some(frame)) => {
                    last = frame.time;
                    summary.take(&frame);
                    if each {
                        lines += &line(&frame);
                        list.push(object(&frame));
                    }
                }
            }
        };
        Ok(Self {
            file: file.into(),
            uri: origin.uri,
            host: origin.host,
            start: humantime::format_rfc3339_micros(start).to_string(),
            duration_s: last.as_secs_f64(),
            closed: frames.reader().closed(),
            damage,
            summary,
            frames: each.then_some(list),
            lines,
        })
    }

    pub(super) fn text(&self) -> String {
        let end = match (&self.damage, self.closed) {
            (Some(_), _) => "damaged, see below",
            (None, true) => "closed in order",
            (None, false) => "not closed: the recording process was killed, or its disk was full",
        };
        let about = facts(&[
            ("device", self.uri.clone()),
            ("recorded by", format!("spu-driver {}", self.host)),
            ("start", self.start.clone()),
            ("length", duration(self.duration_s)),
            ("end", end.into()),
        ]);
        let mut text = format!("{}\n{about}\n", self.file.display());
        text += &self.lines;
        if !self.lines.is_empty() {
            text.push('\n');
        }
        text += &self.summary.text();
        if let Some(damage) = &self.damage {
            text += &format!("\nerror: {damage}\n");
        }
        text
    }
}

/// `request`, `reply` …
fn kind_name(kind: u8) -> String {
    Kind::from_u8(kind)
        .map_or_else(|| format!("kind {kind}"), |kind| format!("{kind:?}").to_lowercase())
}

/// A frame in a line.
fn line(frame: &FrameRecord) -> String {
    let arrow = if frame.to_device { "->" } else { "<-" };
    let what = match &frame.content {
        Content::Frame { header, payload } => {
            let Header { kind, opcode, session, sequence, .. } = *header;
            let list: Vec<String> =
                grouped(&fields(header, payload)).iter().map(Group::text).collect();
            let name = format!("{} {}", opcode_name(opcode), kind_name(kind));
            format!("{name:<22} {session:08x}:{sequence:<4} {}", list.join("  "))
        }
        Content::Bad { error, octets } => format!("{error}: {} octets", octets.len()),
        Content::Failed(failure) => format!("link failed: {}", failure.message),
        Content::Reconnected => "link came back".into(),
    };
    format!("{:>12.6} {arrow} {}\n", frame.time.as_secs_f64(), what.trim_end())
}

/// A frame as JSON.
fn object(frame: &FrameRecord) -> Json {
    let mut object = json!({
        "time_s": frame.time.as_secs_f64(),
        "direction": if frame.to_device { "to-device" } else { "from-device" },
    });
    let more = match &frame.content {
        Content::Frame { header, payload } => {
            let groups = grouped(&fields(header, payload))
                .into_iter()
                .map(|group| (group.name.to_owned(), group.json()))
                .collect::<Map<_, _>>();
            json!({
                "kind": kind_name(header.kind),
                "opcode": header.opcode,
                "operation": opcode_name(header.opcode),
                "session": header.session,
                "sequence": header.sequence,
                "length": header.length,
                "fields": groups,
            })
        }
        Content::Bad { error, octets } => {
            json!({ "kind": "bad", "error": error.to_string(), "octets": octets.len() })
        }
        Content::Failed(failure) => json!({ "kind": "link-failed", "error": failure.message }),
        Content::Reconnected => json!({ "kind": "reconnected" }),
    };
    if let (Json::Object(object), Json::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

/// A field, or the elements of an array.
struct Group {
    name: &'static str,
    is_array: bool,
    values: Vec<Value>,
}

fn grouped(fields: &[Field]) -> Vec<Group> {
    fields
        .chunk_by(|a, b| a.index.is_some() && a.name == b.name)
        .map(|fields| Group {
            name: fields[0].name,
            is_array: fields[0].index.is_some(),
            values: fields.iter().map(|field| field.value.clone()).collect(),
        })
        .collect()
}

impl Group {
    fn text(&self) -> String {
        let shown: Vec<String> = self.values.iter().take(SHOWN).map(Value::to_string).collect();
        let shown = shown.join(" ");
        match self.values.len() {
            _ if !self.is_array => format!("{} {shown}", self.name),
            0..=SHOWN => format!("{} [{shown}]", self.name),
            more => format!("{} [{shown} … {more} in all]", self.name),
        }
    }

    fn json(&self) -> Json {
        match &self.values[..] {
            [value] if !self.is_array => json!(value),
            values => json!(values),
        }
    }
}
