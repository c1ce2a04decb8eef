//! The last replies, so that a retried request is not executed twice.

use spu_protocol::header::{Kind, MAX_REPLY};
use spu_protocol::payload::{ErrorReply, Writer};

/// Replies that are kept.
const KEPT: usize = 4;

/// A reply that was sent.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Order of execution in the session, from 1; 0 where there is none.
    age: u64,
    pub(crate) sequence: u32,
    /// It is a refusal. Not a [`Kind`], of which none is zero: see
    /// [`Dispatcher::new`](crate::Dispatcher::new).
    refused: bool,
    pub(crate) opcode: u16,
    len: usize,
    buffer: [u8; MAX_REPLY],
}

impl Reply {
    const EMPTY: Self =
        Self { age: 0, sequence: 0, refused: false, opcode: 0, len: 0, buffer: [0; MAX_REPLY] };

    pub(crate) const fn kind(&self) -> Kind {
        if self.refused { Kind::Error } else { Kind::Reply }
    }

    pub(crate) fn payload(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// Where the payload goes; [`set_len`](Self::set_len) follows.
    pub(crate) const fn buffer(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    pub(crate) const fn set_len(&mut self, len: usize) {
        self.len = len;
    }

    /// Makes it an error reply.
    pub(crate) fn set_error(&mut self, error: ErrorReply) {
        let mut writer = Writer::new(&mut self.buffer);
        self.len = writer.put(&error).finish().unwrap_or(0);
        self.refused = true;
    }
}

/// What is known of a request.
#[derive(Debug)]
pub(crate) enum Known<'a> {
    /// Not executed yet.
    New,
    /// Executed; this was replied.
    Kept(&'a Reply),
    /// Executed, but the reply is gone, or the sequence was another operation's.
    Gone,
}

/// The last replies of a session.
#[derive(Debug)]
pub(crate) struct Replies {
    kept: [Reply; KEPT],
    executed: u64,
    newest: u32,
}

impl Replies {
    pub(crate) const fn new() -> Self {
        Self { kept: [Reply::EMPTY; KEPT], executed: 0, newest: 0 }
    }

    /// Forgets all, for a new session.
    pub(crate) fn clear(&mut self) {
        for reply in &mut self.kept {
            reply.age = 0;
        }
        self.executed = 0;
    }

    /// True if no request was executed in this session.
    pub(crate) const fn is_empty(&self) -> bool {
        self.executed == 0
    }

    /// What is known of the request `sequence`, `opcode`. Sequences ascend (and may wrap round).
    pub(crate) fn find(&self, sequence: u32, opcode: u16) -> Known<'_> {
        let kept = self.kept.iter().find(|reply| reply.age > 0 && reply.sequence == sequence);
        match kept {
            Some(reply) if reply.opcode == opcode => Known::Kept(reply),
            None if self.is_empty() => Known::New,
            None if sequence.wrapping_sub(self.newest).cast_signed() > 0 => Known::New,
            _ => Known::Gone,
        }
    }

    /// A place for the reply to a new request, in place of the oldest.
    pub(crate) fn add(&mut self, sequence: u32, opcode: u16) -> &mut Reply {
        self.executed = self.executed.saturating_add(1);
        self.newest = sequence;
        let [mut oldest, rest @ ..] = self.kept.each_mut();
        for reply in rest {
            if reply.age < oldest.age {
                oldest = reply;
            }
        }
        oldest.age = self.executed;
        oldest.sequence = sequence;
        oldest.opcode = opcode;
        oldest.refused = false;
        oldest.len = 0;
        oldest
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Known, Replies};

    #[test]
    fn the_last_four_are_kept_also_where_sequences_wrap() {
        let mut replies = Replies::new();
        let start = u32::MAX - 3;
        for step in 0..10 {
            let sequence = start.wrapping_add(step);
            assert!(matches!(replies.find(sequence, 1), Known::New), "{step}");
            let reply = replies.add(sequence, 1);
            reply.buffer()[0] = step as u8;
            reply.set_len(1);
            for back in 0..=step {
                let known = replies.find(sequence.wrapping_sub(back), 1);
                if back < KEPT as u32 {
                    let Known::Kept(reply) = known else { panic!("{step} {back}: {known:?}") };
                    assert_eq!(reply.payload(), [(step - back) as u8]);
                } else {
                    assert!(matches!(known, Known::Gone), "{step} {back}");
                }
            }
        }
        assert!(matches!(replies.find(start.wrapping_add(9), 2), Known::Gone));
        replies.clear();
        assert!(matches!(replies.find(start, 1), Known::New));
    }
}
