//! Random schedules of requests and faults, run on a simulated board behind a faulty link: shared
//! by the property tests, the soak and the figures.

pub mod schedules;
