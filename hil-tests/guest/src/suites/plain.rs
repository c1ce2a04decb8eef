//! The board by libusb alone, to compare the driver with.

use std::time::Duration;

use anyhow::Context as _;
use rusb::{Context, DeviceHandle, Direction, UsbContext};
use spu_driver::link::ids;

const WAIT: Duration = Duration::from_secs(10);
/// Silence after which nothing old is on its way.
const QUIET: Duration = Duration::from_millis(100);

/// The vendor-specific interface, claimed.
pub(super) struct Plain {
    handle: DeviceHandle<Context>,
    input: u8,
    output: u8,
}

impl Plain {
    pub(super) fn open() -> anyhow::Result<Self> {
        let context = Context::new()?;
        let handle = context
            .open_device_with_vid_pid(ids::VENDOR, ids::BOARD)
            .context("the board does not open")?;
        let config = handle.device().active_config_descriptor()?;
        let interface = config
            .interfaces()
            .flat_map(|interface| interface.descriptors())
            .find(|setting| setting.class_code() == 0xFF)
            .context("no vendor-specific interface")?;
        let endpoint = |direction| {
            let mut endpoints = interface.endpoint_descriptors();
            let found = endpoints.find(|endpoint| endpoint.direction() == direction);
            found.map(|endpoint| endpoint.address()).context("an endpoint is missing")
        };
        let (input, output) = (endpoint(Direction::In)?, endpoint(Direction::Out)?);
        handle.claim_interface(interface.interface_number())?;
        Ok(Self { handle, input, output })
    }

    /// Takes what an earlier user left.
    pub(super) fn drain(&self) {
        let mut buffer = vec![0; 16 * 1024];
        while self.handle.read_bulk(self.input, &mut buffer, QUIET).is_ok() {}
    }

    pub(super) fn write(&self, bytes: &[u8]) -> anyhow::Result<()> {
        self.handle.write_bulk(self.output, bytes, WAIT)?;
        Ok(())
    }

    pub(super) fn read(&self, buffer: &mut [u8]) -> anyhow::Result<usize> {
        Ok(self.handle.read_bulk(self.input, buffer, WAIT)?)
    }
}
