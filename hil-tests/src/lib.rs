//! Runs that the property tests, the soak and the figures share: random schedules of requests and
//! faults on a simulated board behind a faulty link, and a plug that is pulled.

pub mod accuracy;
pub mod experiments;
#[cfg(unix)]
pub mod flashing;
#[cfg(unix)]
pub mod icount;
pub mod schedules;
pub mod unplug;

/// The median of measured values; of an even number of them, the upper one of the middle.
///
/// # Panics
/// Where there are none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
