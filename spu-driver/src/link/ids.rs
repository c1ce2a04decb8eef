//! USB ids of the boards, for the USB link, serial ports and the udev rule.
//!
//! The ids are those that <https://pid.codes> sets aside for testing (`1209:0001` to `1209:0010`):
//! they may be used on a bench, never shipped, and devices of others may carry them too. A product
//! needs an id of its own; it changes here and in `hardware/udev/`.

/// Vendor id of pid.codes.
pub const VENDOR: u16 = 0x1209;
/// Product id of a board that runs its firmware.
pub const BOARD: u16 = 0x0001;
/// Product id of a board that waits in its boot loader.
pub const BOOT_LOADER: u16 = 0x0002;

/// How a user gets access to a board.
pub fn access_fix() -> String {
    if cfg!(target_os = "linux") {
        format!(
            "install the udev rule (`{}`) and plug the board in again",
            crate::discover::udev::INSTALL
        )
    } else {
        "run it as a user who may open USB devices, or see hardware/udev/README.md".into()
    }
}
