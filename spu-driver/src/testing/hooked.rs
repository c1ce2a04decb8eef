//! A device to whose calls a test adds something.

use crate::device::{
    AcquirePlan, Applied, BoardInfo, CancelHandle, Deadline, Device, Program, Report, ResetLevel,
    SelfTestReport, Sink,
};
use crate::error::Error;
use crate::link::LinkStats;

/// Whatever a URI opens.
pub(crate) type AnyDevice = dyn Device;

/// What a test adds; what it leaves alone goes to the device.
pub(crate) trait Hook<D: Device + ?Sized>: Send {
    /// Comes before every call that asks the device for something.
    fn before(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn load(
        &mut self,
        device: &mut D,
        program: &Program,
        deadline: Deadline,
    ) -> Result<Applied, Error> {
        device.load(program, deadline)
    }

    fn acquire(
        &mut self,
        device: &mut D,
        plan: &AcquirePlan,
        sink: &mut dyn Sink,
        deadline: Deadline,
    ) -> Result<Report, Error> {
        device.acquire(plan, sink, deadline)
    }
}

pub(crate) struct Hooked<D: ?Sized, H> {
    /// What the device says of itself: a test may change it.
    pub(crate) info: BoardInfo,
    pub(crate) hook: H,
    inner: Box<D>,
}

impl<D: Device + ?Sized, H: Hook<D>> Hooked<D, H> {
    pub(crate) fn new(inner: Box<D>, hook: H) -> Self {
        Self { info: inner.info().clone(), hook, inner }
    }
}

impl<D: Device + ?Sized, H: Hook<D>> Device for Hooked<D, H> {
    fn info(&self) -> &BoardInfo {
        &self.info
    }

    fn uri(&self) -> &str {
        self.inner.uri()
    }

    fn load(&mut self, program: &Program, deadline: Deadline) -> Result<Applied, Error> {
        self.hook.before()?;
        self.hook.load(&mut self.inner, program, deadline)
    }

    fn acquire(
        &mut self,
        plan: &AcquirePlan,
        sink: &mut dyn Sink,
        deadline: Deadline,
    ) -> Result<Report, Error> {
        self.hook.before()?;
        self.hook.acquire(&mut self.inner, plan, sink, deadline)
    }

    fn read_regs(&mut self, at: u16, out: &mut [u32], deadline: Deadline) -> Result<(), Error> {
        self.hook.before()?;
        self.inner.read_regs(at, out, deadline)
    }

    fn write_regs(&mut self, at: u16, words: &[u32], deadline: Deadline) -> Result<(), Error> {
        self.hook.before()?;
        self.inner.write_regs(at, words, deadline)
    }

    fn self_test(&mut self, level: u32, deadline: Deadline) -> Result<SelfTestReport, Error> {
        self.hook.before()?;
        self.inner.self_test(level, deadline)
    }

    fn reset(&mut self, level: ResetLevel, deadline: Deadline) -> Result<(), Error> {
        self.hook.before()?;
        self.inner.reset(level, deadline)
    }

    fn ping(&mut self, payload: &[u8], deadline: Deadline) -> Result<(), Error> {
        self.hook.before()?;
        self.inner.ping(payload, deadline)
    }

    fn link_stats(&self) -> LinkStats {
        self.inner.link_stats()
    }

    fn cancel_handle(&self) -> CancelHandle {
        self.inner.cancel_handle()
    }
}
