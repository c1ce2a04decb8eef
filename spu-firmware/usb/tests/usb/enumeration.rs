//! What the host finds: descriptors as `hardware/usb.md` says, and requests.

use crate::host::{Host, SERIAL, Stalled, all_toggled};
use spu_firmware_usb::{MICROSOFT_REQUEST, MICROSOFT_SET, ids};
use usb_device::endpoint::EndpointType;

fn text(descriptor: &[u8]) -> String {
    let (head, text) = descriptor.split_at(2);
    assert_eq!(head, [descriptor.len() as u8, 3]);
    let words: Vec<u16> =
        text.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16(&words).unwrap()
}

/// The descriptors in a configuration's.
fn parts(mut all: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while !all.is_empty() {
        let (part, rest) = all.split_at(usize::from(all[0]));
        parts.push(part);
        all = rest;
    }
    parts
}

#[test]
fn device_descriptor() {
    let mut host = Host::configured();
    let device = host.descriptor(1, 0).unwrap();
    assert_eq!(device.len(), 18);
    assert_eq!(device[2..4], [0x10, 0x02], "USB 2.1, for the BOS");
    assert_eq!(device[4..7], [0xEF, 0x02, 0x01], "interface association");
    assert_eq!(device[7], 64);
    assert_eq!(device[8..10], ids::VENDOR.to_le_bytes());
    assert_eq!(device[10..12], ids::BOARD.to_le_bytes());
    assert_eq!(device[17], 1, "configurations");
    let names: Vec<_> = (14..17).map(|at| text(&host.descriptor(3, device[at]).unwrap())).collect();
    assert_eq!(names, ["spu", "SPU board", SERIAL]);
    assert_eq!(host.descriptor(3, 0).unwrap(), [4, 3, 0x09, 0x04]);
}

#[test]
fn configuration_descriptor() {
    let mut host = Host::configured();
    let all = host.descriptor(2, 0).unwrap();
    assert_eq!(all.len(), usize::from(u16::from_le_bytes([all[2], all[3]])));
    let parts = parts(&all);
    assert_eq!(parts[0][4], 3, "interfaces");
    let interfaces: Vec<_> = parts
        .iter()
        .filter(|part| part[1] == 4)
        .map(|part| (part[2], part[4], [part[5], part[6], part[7]]))
        .collect();
    assert_eq!(
        interfaces,
        [(0, 2, [0xFF, 0, 0]), (1, 1, [0x02, 0x02, 0x00]), (2, 2, [0x0A, 0, 0])]
    );
    let association = parts.iter().find(|part| part[1] == 11).unwrap();
    assert_eq!(association[2..4], [1, 2], "the serial port's two interfaces");
    // The vendor-specific interface has one bulk endpoint each way, of 64 octets.
    let endpoints: Vec<_> = parts[1..]
        .iter()
        .take_while(|part| part[1] != 11)
        .filter(|part| part[1] == 5)
        .map(|part| (part[2], part[3], u16::from_le_bytes([part[4], part[5]])))
        .collect();
    assert_eq!(endpoints, [(0x81, 2, 64), (0x01, 2, 64)]);
    // All that the descriptors name, and nothing else, was allocated with the controller.
    let named: std::collections::BTreeSet<u8> =
        parts.iter().filter(|part| part[1] == 5).map(|part| part[2]).collect();
    let state = host.bus.state();
    assert!(state.enabled);
    assert!(state.endpoints.keys().filter(|address| **address & 0xF != 0).eq(&named));
    assert!(matches!(state.endpoints[&0x81].kind, EndpointType::Bulk));
}

#[test]
fn windows_finds_winusb() {
    let mut host = Host::configured();
    let bos = host.descriptor(15, 0).unwrap();
    assert_eq!(bos.len(), usize::from(u16::from_le_bytes([bos[2], bos[3]])));
    let parts = parts(&bos);
    assert_eq!(usize::from(bos[4]), parts.len() - 1);
    let platform = parts.iter().find(|part| part[1] == 16 && part[2] == 5).unwrap();
    assert_eq!(platform.len(), 28);
    // {D8DD60DF-4589-4CC7-9CD2-659D9E648A9F}, its first three fields little endian.
    assert_eq!(platform[4..12], 0x4CC7_4589_D8DD_60DF_u64.to_le_bytes());
    assert_eq!(platform[12..20], 0x9CD2_659D_9E64_8A9F_u64.to_be_bytes());
    assert_eq!(platform[20..24], 0x0603_0000_u32.to_le_bytes());
    let len = u16::from_le_bytes([platform[24], platform[25]]);
    let request = platform[26];
    assert_eq!(request, MICROSOFT_REQUEST);

    for asked in [len, 10, 64, 128, 4096] {
        let set = host.control_in([0xC0, request], 0, 7, asked).unwrap();
        assert_eq!(set, MICROSOFT_SET[..MICROSOFT_SET.len().min(usize::from(asked))]);
    }
    let set = MICROSOFT_SET;
    let word = |at: usize| u16::from_le_bytes([set[at], set[at + 1]]);
    assert_eq!((word(0), word(2), word(8)), (10, 0, len), "set header");
    assert_eq!((word(10), word(12), word(16)), (8, 1, len - 10), "configuration");
    assert_eq!((word(18), word(20), set[22], word(24)), (8, 2, 0, len - 18), "function");
    assert_eq!((word(26), word(28)), (20, 3), "compatible id");
    assert_eq!(&set[30..46], b"WINUSB\0\0\0\0\0\0\0\0\0\0");
    let property = &set[46..];
    let word = |at: usize| u16::from_le_bytes([property[at], property[at + 1]]);
    assert_eq!((usize::from(word(0)), word(2), word(4)), (property.len(), 4, 7));
    let name = usize::from(word(6));
    let utf16 = |octets: &[u8]| {
        let words: Vec<u16> =
            octets.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        String::from_utf16(&words).unwrap()
    };
    assert_eq!(utf16(&property[8..8 + name]), "DeviceInterfaceGUIDs\0");
    let list = &property[8 + name + 2..];
    assert_eq!(list.len(), usize::from(word(8 + name)));
    let list = utf16(list);
    assert!(list.starts_with('{') && list.ends_with("}\0\0") && list.len() == 40, "{list:?}");
}

/// Nothing of a transfer that the host gives up is in the next one, whichever is the longer.
#[test]
fn an_abandoned_transfer_leaves_nothing_behind() {
    let mut host = Host::configured();
    let expected = host.descriptor(2, 0).unwrap();
    host.control_in_aborted([0xC0, MICROSOFT_REQUEST], 0, 7, 4096);
    assert_eq!(host.descriptor(2, 0).unwrap(), expected);
    host.control_in_aborted([0x80, 6], 0x0200, 0, 4096);
    assert_eq!(host.control_in([0xC0, MICROSOFT_REQUEST], 0, 7, 4096).unwrap(), MICROSOFT_SET);
}

#[test]
fn the_interface_has_no_requests() {
    let mut host = Host::configured();
    for kind in [0xC1, 0xA1, 0x41, 0x21] {
        for request in [0, 1, MICROSOFT_REQUEST, 0xFF] {
            let outcome = if kind & 0x80 != 0 {
                host.control_in([kind, request], 0, 0, 8).map(drop)
            } else {
                host.control_out([kind, request], 0, 0, &[])
            };
            assert_eq!(outcome, Err(Stalled), "{kind:#x} {request:#x}");
        }
    }
    // Nor has the device others of the vendor.
    assert_eq!(host.control_in([0xC0, MICROSOFT_REQUEST], 0, 4, 8), Err(Stalled));
    assert_eq!(host.control_in([0xC0, MICROSOFT_REQUEST + 1], 0, 7, 8), Err(Stalled));
    // After a stall the next request is answered.
    assert_eq!(host.control_in([0x80, 8], 0, 0, 1).unwrap(), [1]);
}

#[test]
fn the_serial_port_keeps_its_line_coding() {
    let mut host = Host::configured();
    let coding = [0xC0, 0xC6, 0x2D, 0x00, 0, 0, 8];
    host.control_out([0x21, 0x20], 0, 1, &coding).unwrap();
    assert_eq!(host.control_in([0xA1, 0x21], 0, 1, 7).unwrap(), coding);
    host.control_out([0x21, 0x22], 3, 1, &[]).unwrap();
    // The other function is not asked.
    assert_eq!(host.control_out([0x21, 0x20], 0, 0, &coding), Err(Stalled));
}

#[test]
fn clearing_a_halt_resets_the_toggle_of_that_endpoint() {
    let mut host = Host::configured();
    for endpoint in [0x81, 0x01, 0x83, 0x02] {
        host.control_out([0x02, 1], 0, endpoint, &[]).unwrap();
        assert_eq!(all_toggled(), [endpoint as u8]);
    }
    host.control_out([0x02, 3], 0, 0x81, &[]).unwrap();
    assert_eq!(host.take(0x81), Err(Stalled));
    host.control_out([0x02, 1], 0, 0x81, &[]).unwrap();
    assert_eq!(host.take(0x81), Ok(None));
}

#[test]
fn a_configuration_resets_all_toggles() {
    let mut host = Host::configured();
    host.control_out([0, 9], 1, 0, &[]).unwrap();
    let mut toggled = all_toggled();
    toggled.sort_unstable();
    assert_eq!(toggled, [0x01, 0x02, 0x81, 0x83]);
}
