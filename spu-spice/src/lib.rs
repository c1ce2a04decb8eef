//! The analog boards as SPICE netlists, and the simulator's analog half compared with ngspice.
//!
//! [`Circuit::netlist`] writes parts and wires of one board, each switch and each bank element on its own;
//! [`ngspice::run`] runs it; [`compare`] puts beside each other what comes out and what
//! [`spu_sim::Analog`] says: resonances, step responses sample by sample, covariances.

mod analysis;
pub mod codes;
pub mod compare;
mod deck;
mod error;
pub mod netlist;
pub mod ngspice;
mod poles;

pub use analysis::{Analysis, converter};
pub use deck::Netlist;
pub use error::SpiceError;
pub use netlist::{Circuit, Imperfections};
pub use poles::Mode;
