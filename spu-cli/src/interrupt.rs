//! Ctrl-C: the first press stops the boards and keeps what was measured, the second one quits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spu_driver::{CancelHandle, Device};

use crate::exit::{Exit, Failure};

/// What the shell reports for a command that SIGINT ended.
const KILLED: i32 = 130;

#[derive(Debug, Default)]
struct State {
    pressed: bool,
    /// What the first press says.
    saying: Option<&'static str>,
    handles: Vec<CancelHandle>,
}

/// Passes Ctrl-C on to devices.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<Mutex<State>>);

impl Interrupt {
    /// Takes over Ctrl-C (and SIGTERM, SIGHUP).
    pub(crate) fn install() -> Result<Self, Failure> {
        let interrupt = Self(Arc::default());
        let handler = interrupt.clone();
        ctrlc::set_handler(move || handler.press())
            .map_err(|error| Failure::new(Exit::Unexpected, error.to_string()))?;
        Ok(interrupt)
    }

    /// What the first press says, where it is something else than usual.
    pub(crate) fn says(&self, saying: &'static str) {
        self.state().saying = Some(saying);
    }

    /// As [`watch`](Self::watch), where the first press says something else.
    pub(crate) fn watch_saying(&self, devices: &[Box<dyn Device>], saying: &'static str) {
        self.says(saying);
        self.watch(devices);
    }

    /// Cancels these devices on Ctrl-C, at once if it was pressed before.
    pub(crate) fn watch(&self, devices: &[Box<dyn Device>]) {
        let mut state = self.state();
        state.handles.extend(devices.iter().map(|device| device.cancel_handle()));
        if state.pressed {
            state.handles.iter().for_each(CancelHandle::cancel);
        }
    }

    /// Cancels this handle on Ctrl-C.
    pub(crate) fn watch_handle(&self, handle: CancelHandle) {
        let mut state = self.state();
        if state.pressed {
            handle.cancel();
        }
        state.handles.push(handle);
    }

    fn press(&self) {
        let mut state = self.state();
        if state.pressed || state.handles.is_empty() {
            std::process::exit(KILLED);
        }
        state.pressed = true;
        state.handles.iter().for_each(CancelHandle::cancel);
        let usual = "stopping the board and keeping what was measured; press again to quit";
        eprintln!("\n{}", state.saying.unwrap_or(usual));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every update is complete before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
