//! Bulk transfers that go on while the host does something else: libusb's asynchronous interface.
//!
//! libusb's blocking calls allow one transfer at a time in an order that is known; several at once
//! need the asynchronous interface, which is C. This is the driver's only code that the compiler
//! does not check. It rests on these rules:
//!
//! 1. A [`Transfer`] owns a `libusb_transfer`, a buffer and a flag, each in its own heap
//!    allocation that is reached by raw pointer or [`Arc`] only, so that moving a `Transfer` moves
//!    none of them and no Rust reference to them exists while the transfer is in flight.
//! 2. From a successful submission until the callback the transfer is in flight: libusb and the
//!    kernel alone touch the `libusb_transfer` and the buffer. Every method that touches them asks
//!    the flag first. libusb does not touch either after it has called the callback.
//! 3. The callback does nothing but clear the flag (`Release`; it is read with `Acquire`), so it
//!    cannot unwind, and it may run on any thread that handles the context's events.
//! 4. What is in flight is never freed. Dropping cancels and waits for the callback; if that does
//!    not come, all memory and the device handle are leaked.
//! 5. Each transfer holds its device handle, so the device is closed after the last transfer ended.
//!
//! Rules 2 and 4 are tested on a real kernel in the guest (`cargo xtask guest`, suite `transfers`),
//! where links are dropped and unplugged with transfers in flight.

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusb::ffi::{
    self, constants::LIBUSB_TRANSFER_COMPLETED, constants::LIBUSB_TRANSFER_NO_DEVICE,
    constants::LIBUSB_TRANSFER_STALL, libusb_transfer,
};
use rusb::{Context, DeviceHandle, UsbContext};

/// Longest wait for a cancelled transfer to end.
const CANCEL: Duration = Duration::from_secs(1);

/// How a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// As it should: all sent, or all received that the device had.
    Whole,
    /// The device is gone.
    Gone,
    /// The device refuses transfers on this endpoint until it is cleared.
    Stalled,
    /// Cancelled, or failed in another way.
    Failed,
}

/// A bulk transfer and its buffer, which can be used again and again.
pub(super) struct Transfer {
    raw: NonNull<libusb_transfer>,
    buffer: NonNull<u8>,
    capacity: usize,
    in_flight: Arc<AtomicBool>,
    handle: ManuallyDrop<Arc<DeviceHandle<Context>>>,
}

// SAFETY: libusb may be called from any thread, and `&mut self` or the flag orders every access to
// what the pointers lead to (rules 2 and 3).
unsafe impl Send for Transfer {}

/// Called by libusb when a transfer ends.
extern "system" fn ended(transfer: *mut libusb_transfer) {
    // SAFETY: libusb passes the transfer that was submitted; its `user_data` is the flag of the
    // `Transfer`, which lives until the flag is cleared (rule 4).
    unsafe {
        let flag = (*transfer).user_data.cast::<AtomicBool>();
        (*flag).store(false, Ordering::Release);
    }
}

impl Transfer {
    /// A transfer on this endpoint of at most `capacity` bytes. A capacity for receiving is a
    /// multiple of the endpoint's packet size.
    ///
    /// # Errors
    /// [`rusb::Error::NoMem`].
    pub(super) fn new(
        handle: &Arc<DeviceHandle<Context>>,
        endpoint: u8,
        capacity: usize,
    ) -> Result<Self, rusb::Error> {
        // SAFETY: no arguments that could be wrong; the result is checked.
        let raw = NonNull::new(unsafe { ffi::libusb_alloc_transfer(0) });
        let raw = raw.ok_or(rusb::Error::NoMem)?;
        let in_flight = Arc::new(AtomicBool::new(false));
        let buffer = Box::leak(vec![0; capacity].into_boxed_slice());
        let buffer = NonNull::from(buffer).cast::<u8>();
        // SAFETY: `raw` is a new transfer. Handle, flag and buffer live as long as it (rules 1, 5).
        unsafe {
            ffi::libusb_fill_bulk_transfer(
                raw.as_ptr(),
                handle.as_raw(),
                endpoint,
                buffer.as_ptr(),
                0,
                ended,
                Arc::as_ptr(&in_flight).cast_mut().cast::<c_void>(),
                0,
            );
        }
        let handle = ManuallyDrop::new(Arc::clone(handle));
        Ok(Self { raw, buffer, capacity, in_flight, handle })
    }

    /// True from submission until the transfer has ended.
    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Starts to send `bytes`, at most the capacity; none is a packet of no length.
    ///
    /// # Errors
    /// [`rusb::Error::Busy`] if the transfer is in flight; those of libusb.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), rusb::Error> {
        if self.is_in_flight() {
            return Err(rusb::Error::Busy);
        }
        if bytes.len() > self.capacity {
            return Err(rusb::Error::Overflow);
        }
        // SAFETY: not in flight, so the buffer is this transfer's alone (rule 2); it holds
        // `capacity` bytes, and `bytes` cannot overlap it, since no reference to it is handed out
        // beside `&mut self`.
        unsafe {
            self.buffer.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        self.submit(bytes.len())
    }

    /// Starts to receive.
    ///
    /// # Errors
    /// [`rusb::Error::Busy`] if the transfer is in flight; those of libusb.
    pub(super) fn receive(&mut self) -> Result<(), rusb::Error> {
        if self.is_in_flight() {
            return Err(rusb::Error::Busy);
        }
        self.submit(self.capacity)
    }

    /// Submits; the caller has checked that the transfer is not in flight and `length` fits.
    fn submit(&mut self, length: usize) -> Result<(), rusb::Error> {
        // Before the submission, since the callback may come before it returns.
        self.in_flight.store(true, Ordering::Relaxed);
        // SAFETY: the transfer was filled in `new` and is not in flight, so its fields may be set.
        let result = unsafe {
            (*self.raw.as_ptr()).length = length as i32;
            (*self.raw.as_ptr()).actual_length = 0;
            ffi::libusb_submit_transfer(self.raw.as_ptr())
        };
        if result == 0 {
            return Ok(());
        }
        self.in_flight.store(false, Ordering::Relaxed);
        Err(match result {
            ffi::constants::LIBUSB_ERROR_NO_DEVICE => rusb::Error::NoDevice,
            ffi::constants::LIBUSB_ERROR_BUSY => rusb::Error::Busy,
            ffi::constants::LIBUSB_ERROR_NO_MEM => rusb::Error::NoMem,
            ffi::constants::LIBUSB_ERROR_NOT_SUPPORTED => rusb::Error::NotSupported,
            _ => rusb::Error::Io,
        })
    }

    /// How the transfer ended; `None` while it is in flight.
    pub(super) fn end(&self) -> Option<End> {
        if self.is_in_flight() {
            return None;
        }
        // SAFETY: not in flight, so nobody else touches the transfer (rule 2).
        Some(match unsafe { (*self.raw.as_ptr()).status } {
            LIBUSB_TRANSFER_COMPLETED => End::Whole,
            LIBUSB_TRANSFER_NO_DEVICE => End::Gone,
            LIBUSB_TRANSFER_STALL => End::Stalled,
            _ => End::Failed,
        })
    }

    /// The bytes that were moved, as far as the transfer has come; none while it is in flight.
    pub(super) fn moved(&self) -> &[u8] {
        if self.is_in_flight() {
            return &[];
        }
        // SAFETY: not in flight (rule 2), and submitting needs `&mut self`, so nobody writes while
        // this borrow lasts. The buffer is initialised, and the length is at most its capacity.
        unsafe {
            let length = usize::try_from((*self.raw.as_ptr()).actual_length).unwrap_or(0);
            slice::from_raw_parts(self.buffer.as_ptr(), length.min(self.capacity))
        }
    }

    /// Asks a transfer in flight to end early; it ends when events are handled.
    pub(super) fn cancel(&mut self) {
        if self.is_in_flight() {
            // SAFETY: libusb takes a transfer that was submitted and not freed. If it ends just
            // now the call says so, which is no error here.
            unsafe { ffi::libusb_cancel_transfer(self.raw.as_ptr()) };
        }
    }

    /// Cancels and handles events until the transfer has ended; false if it did not end in time.
    pub(super) fn stop(&mut self) -> bool {
        self.cancel();
        let start = Instant::now();
        while self.is_in_flight() && start.elapsed() < CANCEL {
            match self.handle.context().handle_events(Some(Duration::from_millis(10))) {
                Ok(()) | Err(rusb::Error::Interrupted) => {}
                Err(error) => {
                    tracing::warn!(%error, "a cancelled USB transfer cannot be waited for");
                    break;
                }
            }
        }
        !self.is_in_flight()
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if !self.stop() {
            tracing::warn!("a USB transfer does not end; its memory stays allocated");
            std::mem::forget(Arc::clone(&self.in_flight));
            return;
        }
        // SAFETY: not in flight, so libusb holds none of this (rule 2); each was allocated in
        // `new`, the buffer as a boxed slice of `capacity` bytes, and is freed here once. Nothing
        // uses `handle` after this.
        unsafe {
            ffi::libusb_free_transfer(self.raw.as_ptr());
            drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(
                self.buffer.as_ptr(),
                self.capacity,
            )));
            ManuallyDrop::drop(&mut self.handle);
        }
    }
}
