//! Which of a board's links the dispatcher listens to.
//!
//! One has the board: its octets are passed on, and answers and streams go to it. Another takes over
//! by what ends the session anyway: a request that needs none (`Hello`, `Reset`,
//! `EnterBootloader`). All else on the other links is ignored, so that noise on a line where nothing
//! is plugged in disturbs nobody.

use spu_protocol::codec::DELIMITER;
use spu_protocol::header::{CRC_LEN, Header, Kind, MAGIC};
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::split;

/// Octets of a frame that may take over; longer ones do not.
const LONGEST: usize = 48;

/// What came on a link that has not got the board, since the last delimiter.
#[derive(Debug, Clone, Copy)]
struct Knock {
    octets: [u8; LONGEST],
    /// Octets that came, those that did not fit included.
    len: usize,
}

impl Knock {
    const NEW: Self = Self { octets: [0; LONGEST], len: 0 };

    fn frame(&self) -> Option<&[u8]> {
        self.octets.get(..self.len)
    }

    /// Takes an octet; true if it completes a frame that takes over.
    fn hear(&mut self, octet: u8) -> bool {
        if octet == DELIMITER {
            return self.frame().is_some_and(takes_over);
        }
        if let Some(place) = self.octets.get_mut(self.len) {
            *place = octet;
        }
        self.len = self.len.saturating_add(1);
        false
    }
}

/// True if a frame looks like a request that needs no session. The dispatcher checks its CRC.
fn takes_over(frame: &[u8]) -> bool {
    let mut decoded = [0; LONGEST];
    let Some(decoded) = unstuff(frame, &mut decoded) else { return false };
    let Some((header, rest)) = split::<Header>(decoded) else { return false };
    let opcode = Opcode::from_u16(header.opcode);
    header.magic == MAGIC
        && header.kind == Kind::Request as u8
        && usize::from(header.length).saturating_add(CRC_LEN) == rest.len()
        && matches!(opcode, Some(Opcode::Hello | Opcode::Reset | Opcode::EnterBootloader))
}

/// Undoes COBS on a frame shorter than its longest block.
fn unstuff<'a>(frame: &[u8], decoded: &'a mut [u8; LONGEST]) -> Option<&'a [u8]> {
    let (mut rest, mut len) = (frame, 0_usize);
    while let Some((&code, after)) = rest.split_first() {
        let (block, after) = after.split_at_checked(usize::from(code).checked_sub(1)?)?;
        decoded.get_mut(len..)?.get_mut(..block.len())?.copy_from_slice(block);
        len = len.saturating_add(block.len());
        if !after.is_empty() {
            *decoded.get_mut(len)? = 0;
            len = len.saturating_add(1);
        }
        rest = after;
    }
    decoded.get(..len)
}

/// The links, by number, and the one that has the board: at first the one with number 0.
#[derive(Debug)]
pub struct Turns<const LINKS: usize> {
    holder: usize,
    knocks: [Knock; LINKS],
    /// The part of the frame that took over which was passed on.
    passed: Option<usize>,
}

impl<const LINKS: usize> Turns<LINKS> {
    /// Nothing was heard yet.
    pub const fn new() -> Self {
        Self { holder: 0, knocks: [Knock::NEW; LINKS], passed: None }
    }

    /// The link that has the board.
    pub const fn holder(&self) -> usize {
        self.holder
    }

    /// Hears what came on the other links; true if one of them took over. `read` gives the next
    /// octet of a link.
    pub fn listen(&mut self, mut read: impl FnMut(usize) -> Option<u8>) -> bool {
        for (link, knock) in self.knocks.iter_mut().enumerate() {
            if link == self.holder {
                continue;
            }
            while let Some(octet) = read(link) {
                // While one that took over is still being passed on, others are heard in vain:
                // their hosts ask again.
                if knock.hear(octet) && self.passed.is_none() {
                    self.holder = link;
                    self.passed = Some(0);
                    return true;
                }
                if octet == DELIMITER {
                    *knock = Knock::NEW;
                }
            }
        }
        false
    }

    /// The next octet for the dispatcher.
    pub fn next(&mut self, mut read: impl FnMut(usize) -> Option<u8>) -> Option<u8> {
        let Some(passed) = self.passed else { return read(self.holder) };
        let Some(knock) = self.knocks.get_mut(self.holder) else { return read(self.holder) };
        self.passed = Some(passed.saturating_add(1));
        // A delimiter first, since the one before may have stopped within a frame.
        let Some(at) = passed.checked_sub(1) else { return Some(DELIMITER) };
        let octet = knock.frame().and_then(|frame| frame.get(at)).copied();
        if octet.is_none() {
            *knock = Knock::NEW;
            self.passed = None;
        }
        Some(octet.unwrap_or(DELIMITER))
    }
}

impl<const LINKS: usize> Default for Turns<LINKS> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::vec::Vec;

    use proptest::prelude::*;
    use spu_protocol::codec::{Decoder, encode, max_encoded};

    use super::*;

    fn frame(kind: Kind, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        let header = Header::new(kind, opcode as u16, 7, 9, payload.len() as u16);
        let mut wire = std::vec![0; max_encoded(payload.len())];
        let len = encode(&header, &[payload], &mut wire).unwrap();
        wire.truncate(len);
        wire
    }

    struct Links {
        turns: Turns<3>,
        queues: [VecDeque<u8>; 3],
    }

    impl Links {
        fn new() -> Self {
            Self { turns: Turns::new(), queues: Default::default() }
        }

        /// What the dispatcher gets after these octets came on a link.
        fn come(&mut self, link: usize, octets: &[u8]) -> Vec<u8> {
            self.queues[link].extend(octets);
            let queues = &mut self.queues;
            self.turns.listen(|link| queues[link].pop_front());
            core::iter::from_fn(|| self.turns.next(|link| queues[link].pop_front())).collect()
        }
    }

    #[test]
    fn the_first_link_has_the_board_at_first() {
        let mut links = Links::new();
        assert_eq!(links.come(0, b"anything"), b"anything");
        assert_eq!(links.come(1, b"anything\0"), b"");
        assert_eq!(links.turns.holder(), 0);
    }

    #[test]
    fn requests_without_session_take_over() {
        for opcode in [Opcode::Hello, Opcode::Reset, Opcode::EnterBootloader] {
            let mut links = Links::new();
            let knock = frame(Kind::Request, opcode, &[0; 16]);
            let ping = frame(Kind::Request, Opcode::Ping, b"ping");
            let (first, last) = knock.split_at(11);
            assert_eq!(links.come(0, b"half a fra"), b"half a fra");
            assert_eq!(links.come(2, &ping), b"");
            assert_eq!(links.come(2, first), b"");
            assert_eq!(links.turns.holder(), 0);
            let wanted = [&[DELIMITER], &knock[..], &ping].concat();
            assert_eq!(links.come(2, &[last, &ping].concat()), wanted);
            assert_eq!(links.turns.holder(), 2);
            assert_eq!(links.come(0, b"me"), b"");
            assert_eq!(links.come(2, &knock), knock);
            let mut decoder = Decoder::new();
            let mut rest = &wanted[..];
            assert!(decoder.push(&mut rest).is_some_and(|frame| frame.is_ok()));
        }
    }

    #[test]
    fn nothing_else_takes_over() {
        let mut long = frame(Kind::Request, Opcode::Hello, &[1; 80]);
        let mut cut = frame(Kind::Request, Opcode::Hello, &[1; 16]);
        cut.remove(25);
        let others = [
            frame(Kind::Request, Opcode::Ping, &[1; 16]),
            frame(Kind::Reply, Opcode::Hello, &[1; 16]),
            core::mem::take(&mut long),
            cut,
            std::vec![0; 20],
            std::vec![1; 200],
            std::vec![0xFF; 70],
        ];
        let mut links = Links::new();
        for octets in others {
            assert_eq!(links.come(1, &octets), b"");
            assert_eq!(links.come(1, &[DELIMITER]), b"");
            assert_eq!(links.turns.holder(), 0);
        }
        let knock = frame(Kind::Request, Opcode::Hello, &[1; 16]);
        assert_eq!(links.come(1, &knock)[1..], knock);
    }

    #[test]
    fn two_that_knock_at_once_come_one_after_the_other() {
        let mut links = Links::new();
        let knock = frame(Kind::Request, Opcode::Hello, &[3; 16]);
        links.queues[1].extend(&knock);
        let first = links.come(2, &knock);
        assert_eq!((links.turns.holder(), &first[1..]), (1, &knock[..]));
        let second = links.come(2, &[]);
        assert_eq!((links.turns.holder(), &second[1..]), (2, &knock[..]));
    }

    #[test]
    fn links_are_emptied_while_nothing_is_passed_on() {
        let mut links = Links::new();
        let knock = frame(Kind::Request, Opcode::Hello, &[3; 16]);
        for link in [1, 2, 0] {
            links.queues[link].extend(&knock);
            links.turns.listen(|link| links.queues[link].pop_front());
        }
        assert_eq!(links.turns.holder(), 1);
        assert!(links.queues.iter().all(VecDeque::is_empty), "or their interrupts never ended");
        assert_eq!(links.come(1, &[])[1..], knock);
        assert_eq!(links.come(2, &knock)[1..], knock);
    }

    proptest! {
        #[test]
        fn any_octets_are_taken(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut links = Links::new();
            prop_assert_eq!(links.come(0, &octets), octets.clone());
            links.come(1, &octets);
        }

        #[test]
        fn unstuffing_is_that_of_the_protocol(payload in proptest::collection::vec(0..3_u8, 0..20)) {
            let wire = frame(Kind::Request, Opcode::Hello, &payload);
            let mut decoded = [0; LONGEST];
            let decoded = unstuff(&wire[..wire.len() - 1], &mut decoded).unwrap();
            prop_assert_eq!(&decoded[size_of::<Header>()..decoded.len() - CRC_LEN], &payload[..]);
        }
    }
}
