//! What Linux tells of a serial line, and can be told, only by ioctl.

use std::ffi::{c_char, c_int, c_uint, c_ulong, c_ushort};
use std::os::fd::AsFd;
use std::ptr;

use rustix::io;
use rustix::ioctl::{Getter, Setter, ioctl};

const TIOCOUTQ: u32 = 0x5411;
const TIOCGSERIAL: u32 = 0x541E;
const TIOCSSERIAL: u32 = 0x541F;

/// Flag of [`SerialStruct`]: hand received bytes over at once.
const ASYNC_LOW_LATENCY: c_int = 1 << 13;

/// `struct serial_struct` of the kernel's `linux/serial.h`.
#[repr(C)]
struct SerialStruct {
    kind: c_int,
    line: c_int,
    port: c_uint,
    irq: c_int,
    flags: c_int,
    xmit_fifo_size: c_int,
    custom_divisor: c_int,
    baud_base: c_int,
    close_delay: c_ushort,
    io_type: c_char,
    reserved: [c_char; 1],
    hub6: c_int,
    closing_wait: c_ushort,
    closing_wait2: c_ushort,
    iomem_base: *mut u8,
    iomem_reg_shift: c_ushort,
    port_high: c_uint,
    iomap_base: c_ulong,
}

const _: () = assert!(size_of::<SerialStruct>() == if size_of::<usize>() == 8 { 72 } else { 60 });

/// The numbers above are those of most architectures, not of all.
const NUMBERS_HOLD: bool = cfg!(any(
    target_arch = "x86",
    target_arch = "x86_64",
    target_arch = "arm",
    target_arch = "aarch64",
    target_arch = "riscv64",
    target_arch = "loongarch64",
));

/// Asks for received bytes without delay: an FTDI bridge otherwise keeps them for up to 16 ms. A
/// port that has no such setting says so.
pub(super) fn low_latency(port: impl AsFd) -> io::Result<()> {
    if !NUMBERS_HOLD {
        return Err(io::Errno::NOTTY);
    }
    let port = port.as_fd();
    // SAFETY: TIOCGSERIAL writes one `serial_struct`, whose layout `SerialStruct` has; any bit
    // pattern is valid for its fields.
    let mut settings = unsafe { ioctl(port, Getter::<TIOCGSERIAL, SerialStruct>::new()) }?;
    if settings.flags & ASYNC_LOW_LATENCY != 0 {
        return Ok(());
    }
    settings.flags |= ASYNC_LOW_LATENCY;
    settings.iomem_base = ptr::null_mut();
    // SAFETY: TIOCSSERIAL reads one `serial_struct`; it does not keep the pointer, nor follow the
    // one in it, which is for the kernel's own use and null here.
    unsafe { ioctl(port, Setter::<TIOCSSERIAL, SerialStruct>::new(settings)) }
}

/// Bytes that were written but have not left yet.
pub(super) fn unsent(port: impl AsFd) -> io::Result<usize> {
    if !NUMBERS_HOLD {
        return Err(io::Errno::NOTTY);
    }
    // SAFETY: TIOCOUTQ writes one int.
    let count = unsafe { ioctl(port, Getter::<TIOCOUTQ, c_int>::new()) }?;
    Ok(usize::try_from(count).unwrap_or(0))
}
