//! The bus over a UART.

use core::marker::PhantomData;

use super::Stream;
use crate::Uart;
use crate::time::{self, Timer};

/// Longest wait for an octet, or for room for one.
const PATIENCE_MS: u32 = 1_000;

/// Cycles between two looks at the UART: an emulator delivers octets while nobody looks.
const PAUSE: u32 = 1000;

/// A UART that is polled: the firmware has nothing else to do until the FPGA has answered.
#[derive(Debug)]
pub struct Tunnel<U, T>(PhantomData<(U, T)>);

impl<U: Uart, T: Timer> Tunnel<U, T> {
    /// The bus over this UART.
    pub const fn new() -> Self {
        Self(PhantomData)
    }

    fn wait<V>(mut step: impl FnMut() -> Option<V>) -> Result<V, TooLate> {
        let mut until = None;
        loop {
            if let Some(value) = step() {
                return Ok(value);
            }
            cortex_m::asm::delay(PAUSE);
            let now = time::now::<T>();
            let patience = u64::from(T::HZ / 1_000).saturating_mul(u64::from(PATIENCE_MS));
            if now >= *until.get_or_insert(now.saturating_add(patience)) {
                return Err(TooLate);
            }
        }
    }
}

impl<U: Uart, T: Timer> Default for Tunnel<U, T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The other end did nothing for a second.
#[derive(Debug, Clone, Copy)]
pub struct TooLate;

impl<U: Uart, T: Timer> Stream for Tunnel<U, T> {
    type Error = TooLate;

    fn send(&mut self, octets: &[u8]) -> Result<(), TooLate> {
        octets.iter().try_for_each(|octet| Self::wait(|| U::write(*octet).then_some(())))
    }

    fn flush(&mut self) -> Result<(), TooLate> {
        Ok(())
    }

    fn receive(&mut self, octets: &mut [u8]) -> Result<(), TooLate> {
        for octet in octets {
            *octet = Self::wait(U::read)?;
        }
        Ok(())
    }
}
