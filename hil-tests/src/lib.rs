//! Runs that the property tests, the soak and the figures share: random schedules of requests and
//! faults on a simulated board behind a faulty link, and a plug that is pulled.

#[cfg(unix)]
pub mod flashing;
#[cfg(unix)]
pub mod icount;
pub mod schedules;
pub mod unplug;
