//! Runs an acquisition: start, credits, blocks, end.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use spu_protocol::code::Ticks;
use spu_protocol::error::ErrorCode;
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::acquire::{State, StatusView, product_count};
use spu_protocol::payload::{AcquireRequest, CreditRequest};

use super::blocks::Blocks;
use super::credit::Credit;
use super::session::{Events, Session};
use crate::device::{
    AcquirePlan, BoardInfo, CancelHandle, Deadline, Moments, Outcome, Phases, Report, Sink,
};
use crate::error::Error;
use crate::link::Link;
use crate::time::now;

/// Stream blocks granted ahead, unless told otherwise: about 256 KiB under way, enough to hide a
/// round trip of milliseconds at full rate.
pub(super) const WINDOW: NonZeroU64 = NonZeroU64::new(64).expect("not zero");
/// Longest wait before cancellation is looked at again.
const SLICE: Duration = Duration::from_millis(5);
/// Silence after which the device is asked where it is: events may be lost.
const SILENCE: Duration = Duration::from_millis(50);
/// Least time between two progress reports.
const PROGRESS: Duration = Duration::from_millis(50);

/// Runs `plan`; see [`Device::acquire`](crate::Device::acquire).
pub(super) fn acquire<L: Link>(
    session: &mut Session<L>,
    info: &BoardInfo,
    plan: &AcquirePlan,
    sink: &mut dyn Sink,
    deadline: Deadline,
    cancel: &CancelHandle,
    window: NonZeroU64,
) -> Result<Report, Error> {
    let reasons = plan_faults(plan, info);
    if !reasons.is_empty() {
        return Err(Error::Unsupported { reasons });
    }
    if cancel.is_cancelled() {
        return Ok(nothing(plan, info));
    }
    sink.begin(deadline);
    let blocks = Blocks::new(info, plan, sink)?;
    let mut run = Run {
        blocks,
        cells: info.raw.cells,
        credit: if plan.stream { Credit::new(window) } else { Credit::none() },
        done: None,
        started: false,
        damage: None,
        programming: Duration::ZERO,
    };
    let clock = Clock::start(session);
    match run.follow(session, plan, deadline, cancel) {
        Ok((status, outcome)) => {
            // Every block, and the end.
            session.events_ended(status.status.blocks + 1);
            let phases = clock.phases(session, &run);
            run.report(&status, outcome, info, plan, phases)
        }
        Err(error) => {
            if !matches!(error, Error::Disconnected { .. }) {
                session.abandon();
            }
            Err(match error {
                Error::Timeout { .. } => deadline.timeout("acquire"),
                error => error,
            })
        }
    }
}

fn plan_faults(plan: &AcquirePlan, info: &BoardInfo) -> Vec<String> {
    let raw = &info.raw;
    let mut reasons = Vec::new();
    if plan.settle.0 > u64::from(u32::MAX) {
        reasons.push(format!("it settles for at most 2^32 - 1 ticks, not {}", plan.settle.0));
    }
    let link_rate = raw.stream_frames_per_s;
    let least = raw.sample_clock_hz.div_ceil(link_rate.max(1));
    if plan.stream
        && link_rate > 0
        && plan.decimation.get() < least
        && plan.count.get() > raw.capture_frames
    {
        reasons.push(format!(
            "it streams at most {link_rate} frames/s and captures {} frames at full rate; use a \
             decimation of at least {least}, fewer samples, or moments",
            raw.capture_frames
        ));
    }
    reasons
}

/// Report of a plan that was cancelled before it started.
fn nothing(plan: &AcquirePlan, info: &BoardInfo) -> Report {
    let moments = Moments {
        count: 0,
        sums: vec![0; info.cells],
        products: vec![0; product_count(info.cells)],
    };
    Report {
        outcome: Outcome::Cancelled,
        kept: 0,
        lost: 0,
        ticks: Ticks(0),
        saturated: vec![0; info.cells],
        moments: plan.moments.then_some(moments),
        phases: Phases::default(),
    }
}

/// An acquisition under way.
struct Run<'a> {
    blocks: Blocks<'a>,
    cells: u16,
    credit: Credit,
    /// What the `AcquireDone` event said.
    done: Option<Box<StatusView>>,
    /// The device has confirmed the start; an end that it reports before is an earlier one's.
    started: bool,
    /// Why the acquisition cannot go on.
    damage: Option<Error>,
    /// Time spent waiting for the start to be confirmed.
    programming: Duration,
}

impl Events for Run<'_> {
    fn event(&mut self, opcode: Opcode, payload: &[u8]) {
        if self.damage.is_some() {
            return;
        }
        match opcode {
            Opcode::StreamBlock => self.damage = self.blocks.take(payload).err(),
            // One that makes no sense is not made better by asking again; the poll does ask.
            Opcode::AcquireDone if self.started => {
                self.done = parse_status(payload, self.cells).ok();
            }
            _ => {}
        }
    }
}

impl Run<'_> {
    /// Starts the acquisition and follows it to its end.
    fn follow<L: Link>(
        &mut self,
        session: &mut Session<L>,
        plan: &AcquirePlan,
        deadline: Deadline,
        cancel: &CancelHandle,
    ) -> Result<(Box<StatusView>, Outcome), Error> {
        let start = request(plan, self.credit.granted());
        let waited = session.waited();
        session.request(Opcode::Acquire, &[bytemuck::bytes_of(&start)], deadline, self)?;
        self.programming = session.waited().saturating_sub(waited);
        self.started = true;
        let total = u64::from(plan.count.get());
        let mut heard = now();
        let mut shown = heard;
        loop {
            if let Some(error) = self.damage.take() {
                return Err(error);
            }
            if let Some(status) = self.done.take() {
                return ended(status, total, &mut self.blocks);
            }
            if cancel.is_cancelled() {
                let reply = session.request(Opcode::Cancel, &[], deadline, self)?;
                let status = parse_status(reply, self.cells)?;
                if let Some(error) = self.damage.take() {
                    return Err(error);
                }
                return ended(status, total, &mut self.blocks);
            }
            if deadline.passed() {
                return Err(deadline.timeout("acquire"));
            }
            self.credit.sent(self.blocks.next_block());
            if let Some(granted) = self.credit.grant() {
                let credit = CreditRequest { granted };
                session.request(Opcode::Credit, &[bytemuck::bytes_of(&credit)], deadline, self)?;
                continue;
            }
            if session.listen(deadline.within(SLICE), self)? {
                heard = now();
                if heard - shown >= PROGRESS {
                    shown = heard;
                    self.blocks.progress(None, total);
                }
            } else if now() - heard >= SILENCE {
                let reply = session.request(Opcode::AcquireStatus, &[], deadline, self)?;
                let status = parse_status(reply, self.cells)?;
                heard = now();
                shown = heard;
                self.credit.sent(status.status.blocks);
                self.blocks.progress(Some(status.status.kept), total);
                if State::from_u8(status.status.state).is_none_or(State::is_over)
                    && self.done.is_none()
                {
                    self.done = Some(status);
                }
            }
        }
    }

    /// The report, once all checks hold.
    fn report(
        &self,
        status: &StatusView,
        outcome: Outcome,
        info: &BoardInfo,
        plan: &AcquirePlan,
        phases: Phases,
    ) -> Result<Report, Error> {
        let n = info.cells;
        let fixed = &status.status;
        let lost = if plan.stream {
            self.blocks.lost(fixed, outcome == Outcome::Complete)?
        } else {
            fixed.lost
        };
        if plan.moments && fixed.moments != 1 {
            return Err(Error::Corrupt { what: "the moments are missing".into() });
        }
        let wide = |sums: &[i64]| sums.iter().map(|sum| i128::from(*sum)).collect();
        Ok(Report {
            outcome,
            kept: fixed.kept,
            lost,
            ticks: Ticks(fixed.ticks),
            saturated: status.saturated[..n].iter().map(|count| u64::from(*count)).collect(),
            moments: plan.moments.then(|| Moments {
                count: fixed.kept,
                sums: wide(&status.sums[..n]),
                products: wide(&status.products[..product_count(n)]),
            }),
            phases,
        })
    }
}

fn request(plan: &AcquirePlan, granted: u64) -> AcquireRequest {
    let flag = |on: bool, bit: u32| if on { bit } else { 0 };
    AcquireRequest {
        settle: plan.settle.0.min(u32::MAX.into()) as u32,
        decimation: plan.decimation.get(),
        count: plan.count.get(),
        flags: flag(plan.moments, AcquireRequest::MOMENTS)
            | flag(plan.stream, AcquireRequest::STREAM)
            | flag(plan.realtime, AcquireRequest::REALTIME),
        granted,
    }
}

fn parse_status(payload: &[u8], cells: u16) -> Result<Box<StatusView>, Error> {
    StatusView::parse(payload)
        .filter(|view| view.status.cells == cells)
        .map(Box::new)
        .ok_or_else(|| Error::Corrupt { what: "the acquisition's state is malformed".into() })
}

/// What an ended acquisition's state means.
fn ended(
    status: Box<StatusView>,
    total: u64,
    blocks: &mut Blocks<'_>,
) -> Result<(Box<StatusView>, Outcome), Error> {
    let kept = status.status.kept;
    let outcome = match State::from_u8(status.status.state) {
        Some(State::Done) if kept == total => Outcome::Complete,
        Some(State::Done) => {
            return Err(Error::Corrupt {
                what: format!("the acquisition ended with {kept} samples of {total}"),
            });
        }
        Some(State::Cancelled) if kept <= total => Outcome::Cancelled,
        Some(State::Failed) => {
            return Err(Error::Device { code: ErrorCode::Stalled, detail: 0 });
        }
        _ => {
            return Err(Error::Corrupt {
                what: format!(
                    "the acquisition is in state {} with {kept} samples of {total}",
                    status.status.state
                ),
            });
        }
    };
    blocks.progress(Some(kept), total);
    Ok((status, outcome))
}

/// Splits an acquisition's wall time into phases.
struct Clock {
    start: Instant,
    waited: Duration,
    encode: Duration,
    write: Duration,
}

impl Clock {
    fn start<L: Link>(session: &Session<L>) -> Self {
        Self {
            start: now(),
            waited: session.waited(),
            encode: session.sending.encode,
            write: session.sending.write,
        }
    }

    /// What is neither waiting, building nor sending is decoding, the sink's own time left out. A
    /// link that works while it is waited for moves its bytes in that time too.
    fn phases<L: Link>(&self, session: &Session<L>, run: &Run<'_>) -> Phases {
        let waited = session.waited().saturating_sub(self.waited);
        let encode = session.sending.encode.saturating_sub(self.encode);
        let transfer = session.sending.write.saturating_sub(self.write);
        let busy = waited + encode + transfer + run.blocks.sink_time();
        Phases {
            encode,
            program: run.programming,
            acquire: waited.saturating_sub(run.programming),
            transfer,
            decode: (now() - self.start).saturating_sub(busy),
        }
    }
}
