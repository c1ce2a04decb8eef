//! The reader of recordings.

use std::io::Cursor;

use spu_driver::recording::{
    Content, Event, Frames, MAX_DATA, Reader, RecordingError, difference, fields, pcapng,
};

/// Any bytes as a recording: no panic, records add up to no more than the file, an error is the
/// last thing that comes, frames decode and export. With the first bit of the first byte the
/// checksums are made right first, so that what is behind them is reached.
pub fn recording(data: &[u8]) {
    let Some((&mode, bytes)) = data.split_first() else { return };
    let mut file = bytes.to_vec();
    if mode & 1 == 1 {
        mend(&mut file);
    }
    let Ok(mut reader) = Reader::new(Cursor::new(&file)) else { return };
    let mut octets = 0;
    loop {
        match reader.next_record() {
            Ok(Some(record)) => match record.event {
                Event::ToDevice(bytes) | Event::FromDevice(bytes) => {
                    assert!(bytes.len() <= MAX_DATA);
                    octets += bytes.len();
                }
                Event::Failed(failure) => octets += failure.message.len().min(2),
                Event::Reconnected | Event::Silence | Event::Closed => {}
            },
            Ok(None) => break,
            Err(RecordingError::Damaged { at, .. } | RecordingError::CutShort { at, .. }) => {
                assert!(at <= file.len() as u64);
                assert!(matches!(reader.next_record(), Ok(None)));
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(octets <= file.len());

    let open = || Frames::new(Reader::new(Cursor::new(&file)).expect("it opened before"));
    let mut frames = open();
    let mut count = 0;
    while let Ok(Some(frame)) = frames.next_frame() {
        count += 1;
        if let Content::Frame { header, payload } = &frame.content {
            let fields = fields(header, payload);
            assert!(fields.is_sorted_by(|a, b| a.at < b.at), "{fields:?}");
            assert!(fields.iter().all(|field| field.at < payload.len()));
            assert_eq!(difference((header, payload), (header, payload)), None);
        }
    }
    let mut out = Vec::new();
    let (packets, _) = pcapng::export(&mut open(), &mut out).expect("memory takes all");
    assert_eq!(packets, count);
    assert!(out.len().is_multiple_of(4));
}

/// Makes the magic and every checksum right, as far as the lengths lead.
fn mend(file: &mut [u8]) {
    fn crc(bytes: &mut [u8]) {
        if let Some((data, crc)) = bytes.split_last_chunk_mut::<4>() {
            *crc = spu_driver::recording::crc(&[data]).to_le_bytes();
        }
    }
    let Some(head) = file.first_chunk_mut::<12>() else { return };
    head[..8].copy_from_slice(&spu_driver::recording::MAGIC);
    head[8..10].copy_from_slice(&spu_driver::recording::VERSION.to_le_bytes());
    let mut at = 12 + usize::from(u16::from_le_bytes([head[10], head[11]])) + 4;
    match file.get_mut(..at) {
        Some(header) => crc(header),
        None => return,
    }
    while let Some(length) = file.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        let length = u32::from_le_bytes(*length) as usize;
        let end = at + 16 + length.min(MAX_DATA) + 4;
        match file.get_mut(at..end) {
            Some(record) => crc(record),
            None => return,
        }
        at = end;
    }
}
