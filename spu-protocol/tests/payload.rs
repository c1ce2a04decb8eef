//! Payload blocks: reading any bytes is total, and reads back what was written.

use proptest::collection::vec;
use proptest::prelude::*;
use spu_protocol::code::{CouplingCode, DacCode, GainCode};
use spu_protocol::header::MAX_REPLY;
use spu_protocol::payload::acquire::{MAX_PRODUCTS, product_count};
use spu_protocol::payload::load::{MAX_CELLS, MAX_COUPLINGS};
use spu_protocol::payload::{
    AcquireStatus, HelloReply, LoadHeader, LoadView, StatusView, Writer, exact, split,
};

fn written(write: impl Fn(&mut Writer<'_>)) -> Vec<u8> {
    let mut buffer = [0; MAX_REPLY];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    let len = writer.finish().expect("every block fits a reply");
    buffer[..len].to_vec()
}

prop_compose! {
    fn load()(
        cells in 1..=MAX_CELLS,
        kind: u16,
        flags: u16,
        codes: [i16; MAX_CELLS],
        couplings in vec(any::<i16>(), MAX_COUPLINGS),
        gains: [u16; MAX_CELLS],
        biases: [i16; MAX_CELLS],
        seeds: [[u32; 4]; MAX_CELLS],
    ) -> LoadView {
        let mut view = LoadView::new(kind, cells as u16).expect("one to eight cells");
        view.header.flags = flags;
        for i in 0..cells {
            view.self_codes[i] = CouplingCode(codes[i]);
            view.gain_codes[i] = GainCode(gains[i]);
            view.bias_codes[i] = DacCode(biases[i]);
            if flags & LoadHeader::RESEED != 0 {
                view.seeds[i] = seeds[i];
            }
        }
        let count = usize::from(view.header.couplings);
        for (code, value) in view.coupling_codes.iter_mut().zip(couplings).take(count) {
            *code = CouplingCode(value);
        }
        view
    }
}

prop_compose! {
    fn status()(
        cells in 0..=MAX_CELLS,
        moments in 0_u8..3,
        counts: [u64; 4],
        state: u8,
        saturated: [u32; MAX_CELLS],
        sums: [i64; MAX_CELLS],
        products in vec(any::<i64>(), MAX_PRODUCTS),
    ) -> StatusView {
        let [kept, lost, ticks, blocks] = counts;
        let cells_field = cells as u16;
        let mut view = StatusView::new(AcquireStatus {
            kept, lost, ticks, blocks, state, moments, cells: cells_field, reserved: 0,
        });
        view.saturated[..cells].copy_from_slice(&saturated[..cells]);
        if moments == 1 {
            view.sums[..cells].copy_from_slice(&sums[..cells]);
            let products = &products[..product_count(cells)];
            view.products[..products.len()].copy_from_slice(products);
        }
        view
    }
}

proptest! {
    #[test]
    fn load_reads_back(view in load()) {
        prop_assert_eq!(LoadView::parse(&written(|out| view.write(out))), Some(view));
    }

    #[test]
    fn status_reads_back(view in status()) {
        prop_assert_eq!(StatusView::parse(&written(|out| view.write(out))), Some(view));
    }

    /// Every length but the right one is refused.
    #[test]
    fn other_lengths_are_refused(load in load(), status in status(), extra in 1_usize..9) {
        let (mut load, mut status) =
            (written(|out| load.write(out)), written(|out| status.write(out)));
        for len in 0..load.len() {
            prop_assert_eq!(LoadView::parse(&load[..len]), None);
        }
        for len in 0..status.len() {
            prop_assert_eq!(StatusView::parse(&status[..len]), None);
        }
        load.extend(vec![0; extra]);
        status.extend(vec![0; extra]);
        prop_assert_eq!(LoadView::parse(&load), None);
        prop_assert_eq!(StatusView::parse(&status), None);
    }

    /// Any bytes are read or refused, and what is read writes the same bytes.
    #[test]
    fn any_bytes(mut bytes in vec(any::<u8>(), 0..600), cells in 0_u16..12, plausible: bool) {
        if plausible && bytes.len() >= size_of::<AcquireStatus>() {
            // A number of cells in the range, so that more than the first check is reached.
            bytes[2..4].copy_from_slice(&cells.to_le_bytes());
            bytes[34..36].copy_from_slice(&cells.to_le_bytes());
        }
        if let Some(view) = LoadView::parse(&bytes) {
            prop_assert_eq!(&written(|out| view.write(out)), &bytes);
        }
        if let Some(view) = StatusView::parse(&bytes) {
            prop_assert_eq!(&written(|out| view.write(out)), &bytes);
        }
        prop_assert_eq!(exact::<HelloReply>(&bytes).is_some(), bytes.len() == 40);
        prop_assert_eq!(
            split::<HelloReply>(&bytes).map(|(_, rest)| rest),
            bytes.get(40..)
        );
    }
}

#[test]
fn sizes_of_a_program_must_agree() {
    assert!(LoadView::new(1, 0).is_none());
    assert!(LoadView::new(1, 9).is_none());
    let mut view = LoadView::new(1, 8).expect("eight cells");
    assert_eq!(view.header.couplings, 28);
    view.header.couplings = 27;
    assert_eq!(LoadView::parse(&written(|out| view.write(out))), None);
    // Wrong sizes never panic the writer.
    (view.header.cells, view.header.couplings) = (u16::MAX, u16::MAX);
    assert_eq!(LoadView::parse(&written(|out| view.write(out))), None);
}

#[test]
fn a_writer_remembers_an_overflow() {
    let mut buffer = [0; 5];
    let mut writer = Writer::new(&mut buffer);
    assert_eq!(writer.put(&1_u32).finish(), Some(4));
    assert_eq!(writer.put(&2_u32).finish(), None);
    assert_eq!(
        writer.put(&3_u8).finish(),
        None,
        "a value that fits does not hide one that did not"
    );
}
