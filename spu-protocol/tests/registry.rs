//! Numbers that stand for something stand for one thing.

use std::collections::BTreeSet;

use spu_protocol::error::ErrorCode;
use spu_protocol::opcode::Opcode;

/// Each number of the type is that of one value, the list of all values is complete, and every
/// other number is none.
fn check<T: PartialEq + std::fmt::Debug + Copy>(
    all: &[T],
    number: impl Fn(T) -> u16,
    from: impl Fn(u16) -> Option<T>,
) {
    let numbers: BTreeSet<u16> = all.iter().map(|value| number(*value)).collect();
    assert_eq!(numbers.len(), all.len(), "two values share a number");
    assert!(!numbers.contains(&0), "0 means nothing");
    for n in 0..=u16::MAX {
        let value = from(n);
        assert_eq!(value.is_some(), numbers.contains(&n), "{n}");
        assert!(value.is_none_or(|value| number(value) == n), "{n}");
    }
}

/// The values of a type by a match without a wildcard: a value that is added to the type and not
/// here fails to compile, and one that is not in `ALL` fails the test.
macro_rules! complete {
    ($type:ident: $($value:ident),+ $(,)?) => {{
        const fn listed(value: $type) { match value { $($type::$value => (),)+ } }
        let values = [$($type::$value),+];
        values.into_iter().for_each(listed);
        assert_eq!(values, $type::ALL);
    }};
}

#[test]
fn errors_are_unique_and_listed() {
    check(&ErrorCode::ALL, |error| error as u16, ErrorCode::from_u16);
    complete!(ErrorCode: UnknownOpcode, BadPayload, BadSession, BadVersion, BadAddress, OutOfRange,
        WrongBoard, Busy, Bus, NoGateware, Stalled, Unsupported, ReplyGone, WrongGateware,
        InUse, BadImage, WrongTarget, BadHash, BadSignature, UnknownKey, Downgrade, TooLarge, OutOfOrder, Flash, NotConfirmed, Incomplete, NoUpdate);
    let texts: BTreeSet<String> = ErrorCode::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), ErrorCode::ALL.len(), "two errors read the same");
}

#[test]
fn operations_are_unique_and_listed() {
    check(&Opcode::ALL, |opcode| opcode as u16, Opcode::from_u16);
    complete!(Opcode: Hello, Reset, EnterBootloader, Info, Ping, ReadRegs, WriteRegs, Load, Acquire,
        AcquireStatus, Cancel, Credit, StreamBlock, AcquireDone, SelfTest,
        UpdateBegin, UpdateWrite, UpdateFinish, UpdateStatus, UpdateConfirm, BulkWrite, BulkRead);
}
