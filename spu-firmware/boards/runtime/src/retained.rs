//! What survives a reset: why it happened.
//!
//! Memory keeps its contents over a reset, but not over a loss of power. A checksum tells which it
//! was.

use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::ptr;

/// Octets of text about a panic: where and, if it is fixed, what.
const TEXT: usize = 112;

/// Why the microcontroller last started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, defmt::Format)]
#[repr(u32)]
pub enum Cause {
    /// The memory held nothing from before: power came on.
    PowerOn = 1,
    /// The host asked for it.
    Requested = 2,
    /// The firmware panicked.
    Panic = 3,
    /// The processor met a fault: a bad address or instruction, or the end of the stack.
    Fault = 4,
    /// Neither: the watchdog, the reset pin or a debugger.
    Watchdog = 5,
    /// The supply dipped; only microcontrollers that detect it tell.
    BrownOut = 6,
}

impl Cause {
    /// Its number in the register map.
    pub(crate) const fn number(self) -> u32 {
        self as u32
    }
}

/// What is kept.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Record {
    magic: u32,
    /// What is going to be the cause, unless something else is.
    next: u32,
    /// Starts since power came on.
    starts: u32,
    len: u32,
    text: [u8; TEXT],
    check: u32,
}

const MAGIC: u32 = 0x5350_5252;

#[unsafe(link_section = ".uninit.spu_retained")]
static mut RECORD: MaybeUninit<Record> = MaybeUninit::uninit();

impl Record {
    const fn sum(&self) -> u32 {
        let mut sum =
            self.magic ^ self.next.rotate_left(8) ^ self.starts.rotate_left(16) ^ self.len;
        let mut k = 0;
        while k < TEXT {
            sum = sum.rotate_left(5) ^ self.text[k] as u32;
            k += 1;
        }
        !sum
    }

    fn load() -> Option<Self> {
        // SAFETY: the record is plain numbers, for which every bit pattern is a value, and the
        // static is reached in this module only, with interrupts off or before they are on. The
        // read is volatile since the value comes from before the program's start.
        let record = unsafe { ptr::read_volatile(ptr::addr_of!(RECORD).cast::<Record>()) };
        (record.magic == MAGIC && record.check == record.sum()).then_some(record)
    }

    fn store(mut self) {
        self.check = self.sum();
        // SAFETY: as in `load`.
        unsafe { ptr::write_volatile(ptr::addr_of_mut!(RECORD).cast::<Record>(), self) }
    }
}

/// Why the microcontroller started, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// The cause; `None` before it is known.
    pub cause: Option<Cause>,
    /// Starts before this one since power came on.
    pub starts: u32,
    text: [u8; TEXT],
    len: usize,
}

impl Start {
    /// Nothing is known yet.
    pub(crate) const NONE: Self = Self { cause: None, starts: 0, text: [0; TEXT], len: 0 };

    fn say(&mut self, text: &[u8]) {
        for (to, from) in self.text.iter_mut().zip(text) {
            *to = *from;
        }
        self.len = text.len();
    }

    /// Forgets the text.
    pub(crate) const fn clear(&mut self) {
        self.len = 0;
    }

    /// Where it panicked or what kind of fault it was.
    pub fn text(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or_default()
    }
}

/// Takes what the last run left; called once, first of all. `dipped` says that the supply did: memory
/// may be kept over that or not.
#[inline(never)] // or the main loop keeps its records on the stack for ever
pub(crate) fn take(dipped: bool) -> Start {
    critical_section::with(|_| {
        let before = Record::load();
        let mut start = match before {
            None => Start { cause: Some(Cause::PowerOn), ..Start::NONE },
            Some(record) => Start {
                cause: Some(match record.next {
                    2 => Cause::Requested,
                    3 => Cause::Panic,
                    4 => Cause::Fault,
                    _ => Cause::Watchdog,
                }),
                starts: record.starts.wrapping_add(1),
                text: record.text,
                len: (record.len as usize).min(TEXT),
            },
        };
        if dipped {
            start.cause = Some(Cause::BrownOut);
            start.say(b"below the threshold of its monitor");
        } else if start.cause == Some(Cause::Watchdog) {
            start.say(b"no progress, the reset pin or a debugger");
        }
        Record {
            magic: MAGIC,
            next: Cause::Watchdog as u32,
            starts: start.starts,
            len: 0,
            text: [0; TEXT],
            check: 0,
        }
        .store();
        start
    })
}

/// Notes the cause of the reset that follows.
pub(crate) fn note(cause: Cause, pieces: &[&[u8]]) {
    critical_section::with(|_| {
        let starts = Record::load().map_or(0, |record| record.starts);
        let mut text = [0; TEXT];
        let mut len = 0;
        for (place, octet) in text.iter_mut().zip(pieces.iter().copied().flatten()) {
            *place = *octet;
            len += 1;
        }
        Record { magic: MAGIC, next: cause as u32, starts, len, text, check: 0 }.store();
    });
}

/// Notes a panic: its place, and its message where that needs no formatting, which would cost
/// several KiB of flash.
pub(crate) fn note_panic(info: &PanicInfo<'_>) {
    let (file, line) = info.location().map_or(("?", 0), |place| (place.file(), place.line()));
    let message = info.message().as_str().unwrap_or("");
    let mut digits = [b'0'; 6];
    let mut rest = line;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let significant = digits.iter().position(|digit| *digit != b'0').unwrap_or(5);
    // The end of a path says more than its beginning.
    let file = file.as_bytes();
    let file = file.get(file.len().saturating_sub(48)..).unwrap_or(file);
    let digits = digits.get(significant..).unwrap_or_default();
    note(Cause::Panic, &[file, b":", digits, b": ", message.as_bytes()]);
}
