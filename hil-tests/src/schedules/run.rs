//! Runs a schedule and checks what must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use spu_driver::link::faulty::LinkFault;
use spu_driver::{Client, Deadline, Device, Error, FaultyLink, Outcome, Report, time};
use spu_protocol::regs::{self, control};

use super::board::{Canceller, EventfulBoard};
use super::expect::{Keep, Truth, moments_of, plan, program};
use super::{Call, Plan, Sampling};

/// A register that nothing but the calls of a schedule writes: the bus test uses the scratch ones.
const REGISTER: u16 = regs::adc_offset(0);
/// Time within which a device must work again once nothing disturbs it any more.
const RECOVERY: Duration = Duration::from_secs(30);

/// What must hold and did not.
#[derive(Debug, thiserror::Error)]
#[error("call {call}: {what}")]
pub struct Violation {
    /// Number of the call; calls after the last are the recovery.
    pub call: usize,
    /// What was wrong.
    pub what: String,
}

/// Counts over runs.
#[derive(Debug, Default, Clone, serde::Serialize)]
pub struct Tally {
    /// Runs.
    pub schedules: u64,
    /// Calls.
    pub calls: u64,
    /// Calls by how they ended.
    pub endings: BTreeMap<&'static str, u64>,
    /// Faults of the link by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Frames delivered, each compared with a run without faults where its program was known.
    pub frames_delivered: u64,
    /// Frames whose codes were compared.
    pub frames_compared: u64,
    /// Frames reported lost.
    pub frames_lost: u64,
    /// Register writes that reached the FPGA.
    pub register_writes: u64,
    /// How long calls went beyond their deadline, in microseconds: each that did at all.
    #[serde(skip)]
    pub overshoots_us: Vec<u64>,
}

impl Tally {
    /// Adds another's counts.
    pub fn add(&mut self, other: Self) {
        self.schedules += other.schedules;
        self.calls += other.calls;
        for (name, count) in other.endings {
            *self.endings.entry(name).or_default() += count;
        }
        for (name, count) in other.faults {
            *self.faults.entry(name).or_default() += count;
        }
        self.frames_delivered += other.frames_delivered;
        self.frames_compared += other.frames_compared;
        self.frames_lost += other.frames_lost;
        self.register_writes += other.register_writes;
        self.overshoots_us.extend(other.overshoots_us);
    }

    /// The overshoot, in microseconds, that a part `quantile` of all calls stays under.
    pub fn overshoot_us(&self, quantile: f64) -> u64 {
        let mut all = self.overshoots_us.clone();
        all.sort_unstable();
        let beyond = ((1.0 - quantile) * self.calls as f64) as usize;
        all.len().checked_sub(beyond + 1).map_or(0, |at| all[at])
    }
}

type Board = Client<FaultyLink<EventfulBoard>>;

/// A run under way.
struct Run<'a> {
    device: Board,
    truth: &'a mut Truth,
    tally: Tally,
    /// Longest that a call may go beyond its deadline.
    slack: Duration,
    /// The last value that each write call sent, and whether it must have arrived.
    written: Vec<(u32, bool)>,
    /// Values that the register may hold.
    held: BTreeSet<u32>,
    /// Marks of loads, and whether each must have arrived.
    loaded: Vec<(u32, bool)>,
    /// Starts that were asked for, and those that must have happened.
    starts: (u64, u64),
    /// Self tests, each of which puts the program back that it found.
    self_tests: usize,
    number: usize,
}

/// Runs `plan`. On a paused clock ([`time::pause`]) time is virtual and the run repeats exactly.
///
/// # Errors
/// The first [`Violation`].
pub fn run(schedule: &Plan, slack: Duration, cache: &mut Cache) -> Result<Tally, Violation> {
    let canceller = Canceller::default();
    let board = EventfulBoard::new(schedule.events.clone(), Arc::clone(&canceller));
    let link = FaultyLink::new(board, schedule.faults.clone());
    // Every other board is powered by its cable.
    let link = if schedule.seed.is_multiple_of(2) {
        link
    } else {
        link.on_unplug(EventfulBoard::power_cycle)
    };
    let started = Deadline::after(RECOVERY);
    let mut tally = Tally { schedules: 1, ..Tally::default() };
    let device = match Client::open(link, "schedule", started) {
        Ok(device) => device,
        Err(error) => {
            check_error(&error).map_err(|what| Violation { call: 0, what })?;
            *tally.endings.entry("not opened").or_default() += 1;
            return Ok(tally);
        }
    };
    let cancel = device.cancel_handle();
    *canceller.lock().unwrap_or_else(PoisonError::into_inner) = Some(cancel.clone());
    let mut run = Run {
        device,
        truth: &mut cache.0,
        tally,
        slack,
        written: Vec::new(),
        held: BTreeSet::from([0]),
        loaded: Vec::new(),
        starts: (0, 0),
        self_tests: 0,
        number: 0,
    };
    for (call, allowed) in &schedule.calls {
        run.call(*call, *allowed, schedule.seed)
            .map_err(|what| Violation { call: run.number, what })?;
        cancel.clear();
        run.number += 1;
    }
    run.recover().map_err(|what| Violation { call: run.number, what })?;
    let faults = run.device.link().counts();
    for (kind, count) in LinkFault::KINDS.into_iter().zip(faults) {
        *run.tally.faults.entry(kind).or_default() += count;
    }
    Ok(run.tally)
}

/// Runs without faults that were already made.
#[derive(Default)]
pub struct Cache(Truth);

/// An error that no fault excuses.
fn check_error(error: &Error) -> Result<&'static str, String> {
    match error {
        Error::Timeout { .. } => Ok("timeout"),
        Error::Disconnected { .. } => Ok("disconnected"),
        Error::Device { .. } => Ok("refused"),
        other => Err(format!("an error that no fault excuses: {other}")),
    }
}

impl Run<'_> {
    /// Makes a call, and checks its end, its result and its time.
    fn call(&mut self, call: Call, allowed: Duration, seed: u64) -> Result<(), String> {
        let deadline = Deadline::after(allowed);
        let before = time::now();
        let result = self.make(call, deadline, seed)?;
        let took = time::now() - before;
        if let Some(over) = took.checked_sub(allowed) {
            self.tally.overshoots_us.push(over.as_micros() as u64);
            if over > self.slack {
                return Err(format!("{call:?} took {took:?}, allowed {allowed:?}"));
            }
        }
        let ending = match &result {
            Ok(()) => "completed",
            Err(error) => check_error(error).map_err(|what| format!("{call:?}: {what}"))?,
        };
        self.tally.calls += 1;
        *self.tally.endings.entry(ending).or_default() += 1;
        Ok(())
    }

    /// Makes a call. The outer result is a violation, the inner the call's own.
    fn make(
        &mut self,
        call: Call,
        deadline: Deadline,
        seed: u64,
    ) -> Result<Result<(), Error>, String> {
        let number = self.number as u32 + 1;
        let variant = seed % 7;
        Ok(match call {
            Call::Ping(len) => {
                let payload: Vec<u8> =
                    (0..u32::from(len)).map(|at| (at ^ number.wrapping_mul(37)) as u8).collect();
                self.device.ping(&payload, deadline)
            }
            Call::Write => {
                let value = 0x500 | number;
                let result = self.device.write_regs(REGISTER, &[value], deadline);
                if result.is_ok() {
                    self.held.clear();
                }
                self.held.insert(value);
                self.written.push((value, result.is_ok()));
                result
            }
            Call::Read => {
                let mut word = [0];
                let result = self.device.read_regs(REGISTER, &mut word, deadline);
                if result.is_ok() && !self.held.contains(&word[0]) && word[0] != 0 {
                    return Err(format!(
                        "the register reads {:#x}, not one of {:x?}",
                        word[0], self.held
                    ));
                }
                result
            }
            Call::Load => {
                let mark = number as i16;
                let program = program(self.device.info(), variant, mark);
                let result = self.device.load(&program, deadline);
                let right = result.as_ref().is_ok_and(|applied| applied.program == program);
                if result.is_ok() && !right {
                    return Err("the program applied is another".into());
                }
                self.loaded.push((u32::from(mark.cast_unsigned()), result.is_ok()));
                result.map(|_| ())
            }
            Call::Acquire(sampling) => self.acquire(sampling, deadline)?.map(|_| ()),
            Call::LoadAndAcquire(sampling) => {
                let program = program(self.device.info(), variant, 0);
                match self.device.load(&program, deadline) {
                    Ok(_) => match self.acquire(sampling, deadline)? {
                        Ok((report, keep)) => {
                            self.compare(variant, sampling, &report, &keep)?;
                            Ok(())
                        }
                        Err(error) => Err(error),
                    },
                    Err(error) => Err(error),
                }
            }
            Call::SelfTest => {
                self.self_tests += 1;
                match self.device.self_test(0, deadline) {
                    Ok(report) if !report.passed() => {
                        return Err(format!("the bus test failed: {report:?}"));
                    }
                    result => result.map(|_| ()),
                }
            }
            Call::Reset(level) => self.device.reset(level, deadline),
        })
    }

    fn acquire(
        &mut self,
        sampling: Sampling,
        deadline: Deadline,
    ) -> Result<Result<(Report, Keep), Error>, String> {
        let mut keep = Keep::default();
        let cancelled = self.device.cancel_handle().is_cancelled();
        let result = self.device.acquire(&plan(sampling), &mut keep, deadline);
        self.starts.0 += 1;
        let delivered = keep.frames.len() as u64;
        self.tally.frames_delivered += delivered;
        let report = match result {
            Ok(report) => report,
            Err(error) => return Ok(Err(error)),
        };
        self.starts.1 += u64::from(!cancelled && report.outcome == Outcome::Complete);
        self.tally.frames_lost += report.lost;
        let planned = u64::from(plan(sampling).count.get());
        let accounted = if sampling.stream { delivered + report.lost } else { report.kept };
        if accounted != report.kept || report.outcome == Outcome::Complete && report.kept != planned
        {
            return Err(format!(
                "{delivered} frames were delivered and {} lost of {}, {planned} planned",
                report.lost, report.kept
            ));
        }
        Ok(Ok((report, keep)))
    }

    /// Compares what was delivered with a run without faults.
    fn compare(
        &mut self,
        variant: u64,
        sampling: Sampling,
        report: &Report,
        keep: &Keep,
    ) -> Result<(), String> {
        let codes = self.truth.of(variant, sampling).map_err(|error| error.to_string())?;
        for (index, frame) in &keep.frames {
            if codes.get(*index as usize) != Some(frame) {
                return Err(format!("frame {index} is not that of a run without faults"));
            }
        }
        self.tally.frames_compared += keep.frames.len() as u64;
        let expected = moments_of(&codes[..report.kept as usize]);
        match &report.moments {
            Some(moments) if *moments != expected => {
                Err(format!("the moments of {} frames are wrong", report.kept))
            }
            _ => Ok(()),
        }
    }

    /// Nothing is wrong any more: the device must work, and what it did must be what was asked.
    fn recover(&mut self) -> Result<(), String> {
        self.device.link_mut().inner_mut().settle();
        let end = Deadline::after(RECOVERY);
        let mut payload = 0_u64;
        loop {
            payload += 1;
            match self.device.ping(&payload.to_le_bytes(), Deadline::after(RECOVERY / 10)) {
                Ok(()) => break,
                Err(error) => {
                    check_error(&error)?;
                    if end.passed() {
                        return Err(format!("the device does not recover: {error}"));
                    }
                }
            }
        }
        let writes = self.device.link_mut().inner_mut().writes();
        self.tally.register_writes += writes.len() as u64;
        let count =
            |address, value| writes.iter().filter(|write| **write == (address, value)).count();
        let asked =
            [(REGISTER, &self.written, 1), (regs::bias(0), &self.loaded, 1 + self.self_tests)];
        for (address, calls, most) in asked {
            for (value, succeeded) in calls {
                let times = count(address, *value);
                if times > most || *succeeded && times == 0 {
                    return Err(format!(
                        "{value:#x} was written {times} times to {address:#x}, the call having \
                         {}",
                        if *succeeded { "succeeded" } else { "failed" }
                    ));
                }
            }
        }
        let starts = writes
            .iter()
            .filter(|(address, value)| *address == regs::CONTROL && value & control::START != 0)
            .count() as u64;
        if starts > self.starts.0 || starts < self.starts.1 {
            return Err(format!(
                "{starts} starts, where {} were asked for and {} completed",
                self.starts.0, self.starts.1
            ));
        }
        Ok(())
    }
}
