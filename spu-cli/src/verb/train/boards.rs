//! What a run takes of a board: its kind decides how.

use std::num::{NonZeroU64, NonZeroUsize};

use clap::Args;
use spu_driver::Device;
use spu_driver::invert::InvertOptions;
use spu_driver::rc::RcCalibrateOptions;
use spu_protocol::payload::info::BoardKind;
use tngd::backend::{Inverter, Kfac, KfacSettings, NaturalGradient, RcBoard, Relaxer, RlcBoard};

use super::{DeviceArg, refused_by};
use crate::exit::Failure;
use crate::verb::calibrated::CalibrationArg;

#[derive(Debug, Args)]
pub(super) struct BoardArgs {
    #[command(flatten)]
    pub(super) device: DeviceArg,
    #[command(flatten)]
    calibration: CalibrationArg,
    /// Independent samples of each read of an RLC board
    #[arg(long, value_name = "N", default_value_t = effective())]
    effective: NonZeroU64,
    /// Steps from one inversion of the Kronecker factors to the next (kfac, kfac-board)
    #[arg(long, value_name = "STEPS", default_value_t = KfacSettings::default().refresh)]
    refresh: NonZeroU64,
    /// Rows up to which a Kronecker factor is inverted whole; of a larger one only blocks of so many rows
    /// along its diagonal are kept (kfac, kfac-board)
    #[arg(long, value_name = "ROWS", default_value_t = KfacSettings::default().block)]
    block: NonZeroUsize,
}

fn effective() -> NonZeroU64 {
    NonZeroU64::new(RlcBoard::EFFECTIVE).expect("not 0")
}

/// A board, ready for its part.
enum Ready {
    Rc(Box<RcBoard>),
    Rlc(RlcBoard),
}

impl BoardArgs {
    /// What relaxes. `equilibrium_only` refuses finite times, which a board of RLC cells cannot do.
    pub(super) fn relaxer(
        &self,
        equilibrium_only: impl FnOnce(String) -> Result<(), Failure>,
    ) -> Result<Box<dyn Relaxer>, Failure> {
        let device = self.device.open()?;
        if device.info().kind() == BoardKind::Rlc {
            equilibrium_only(format!("a {} board, of RLC cells,", device.info().profile))?;
        }
        Ok(match self.ready(device)? {
            Ready::Rc(board) => board,
            Ready::Rlc(board) => Box::new(board),
        })
    }

    /// What inverts.
    pub(super) fn inverter(&self) -> Result<Box<dyn Inverter>, Failure> {
        Ok(match self.ready(self.device.open()?)? {
            Ready::Rc(board) => board,
            Ready::Rlc(board) => Box::new(board),
        })
    }

    pub(super) fn kfac(
        &self,
        inverter: Box<dyn Inverter>,
    ) -> Result<Box<dyn NaturalGradient>, Failure> {
        let &Self { refresh, block, .. } = self;
        let settings = KfacSettings { refresh, block, ..KfacSettings::default() };
        Ok(Box::new(Kfac::new(inverter, settings).map_err(|error| refused_by(&error))?))
    }

    /// An RC board is measured; the calibration of an RLC board is looked for and checked.
    fn ready(&self, mut device: Box<dyn Device>) -> Result<Ready, Failure> {
        if device.info().kind() == BoardKind::Rc {
            let board = RcBoard::calibrate(device, &RcCalibrateOptions::default())?;
            return Ok(Ready::Rc(Box::new(board)));
        }
        let (prepared, _) = self.calibration.prepare(std::slice::from_mut(&mut device), None)?;
        let options = InvertOptions { measured: prepared.measured, ..InvertOptions::default() };
        Ok(Ready::Rlc(RlcBoard::new(device, &options)?.effective(self.effective)))
    }
}
