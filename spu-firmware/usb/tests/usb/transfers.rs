//! Octets both ways: packet sizes, a host that waits, and what interrupts a transfer.

use crate::host::{Host, holds};
use spu_firmware_usb::{PACKET, Port};

/// The endpoints of a function: to the device, to the host.
const PORTS: [(Port, u8, u8); 2] = [(Port::Bulk, 0x01, 0x81), (Port::Serial, 0x02, 0x83)];

fn octets(len: usize) -> Vec<u8> {
    (0..len).map(|k| (k * 7 + k / 256) as u8).collect()
}

/// Sends as the firmware does: as many as there is room for, the rest when there is some.
fn write(host: &mut Host, port: Port, input: u8, octets: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for &octet in octets {
        while !host.device.write(port, octet) {
            packets.extend(host.take(input).unwrap());
        }
    }
    host.device.end(port);
    packets.extend(host.drain(input));
    packets
}

#[test]
fn octets_to_the_host_of_every_length() {
    for (port, _, input) in PORTS {
        let mut host = Host::configured();
        for len in (0..=3 * PACKET + 1).chain([1024, 4135, 16 * 1024]) {
            let sent = octets(len);
            let packets = write(&mut host, port, input, &sent);
            assert_eq!(packets.concat(), sent);
            let lens: Vec<_> = packets.iter().map(Vec::len).collect();
            let Some((last, whole)) = lens.split_last() else {
                assert_eq!(len, 0);
                continue;
            };
            assert!(whole.iter().all(|len| *len == PACKET), "{len}: {lens:?}");
            assert_eq!(*last, len % PACKET, "exactly one short packet, empty if need be");
        }
    }
}

#[test]
fn octets_to_the_device_of_every_length() {
    for (port, output, _) in PORTS {
        let mut host = Host::configured();
        for len in (0..=3 * PACKET + 1).chain([1024, 4135, 16 * 1024]) {
            let sent = octets(len);
            assert_eq!(host.send(output, port, &sent), sent);
        }
        assert_eq!(host.device.lost(), 0);
    }
}

#[test]
fn the_functions_do_not_mix() {
    let mut host = Host::configured();
    assert!(host.give(0x01, b"bulk") && host.give(0x02, b"serial"));
    assert!(host.device.write(Port::Bulk, b'B') && host.device.write(Port::Serial, b'S'));
    host.device.end(Port::Serial);
    host.device.end(Port::Bulk);
    assert_eq!(host.read(Port::Serial), b"serial");
    assert_eq!(host.read(Port::Bulk), b"bulk");
    assert_eq!(host.drain(0x81), [b"B"]);
    assert_eq!(host.drain(0x83), [b"S"]);
}

#[test]
fn a_host_that_does_not_read_stops_the_sender_only() {
    for (port, output, input) in PORTS {
        let mut host = Host::configured();
        let sent = octets(1000);
        let taken = sent.iter().take_while(|octet| host.device.write(port, **octet)).count();
        // A packet with the controller, one waiting.
        assert_eq!(taken, 2 * PACKET);
        host.device.end(port);
        for _ in 0..100 {
            host.device.poll();
            assert!(!host.device.write(port, 0));
        }
        assert_eq!(host.send(output, port, &sent), sent, "the device goes on taking octets");
        assert_eq!(host.descriptor(1, 0).unwrap().len(), 18, "and requests");
        assert_eq!(host.drain(input).concat(), sent[..taken]);
        assert!(host.device.write(port, 0));
    }
}

#[test]
fn a_device_that_does_not_take_holds_the_host_back() {
    for (port, output, _) in PORTS {
        let mut host = Host::configured();
        let sent = octets(40 * PACKET);
        let mut packets = sent.chunks(PACKET).peekable();
        let mut given = 0;
        // The most unfriendly host: as many packets as the controller takes before the device looks.
        loop {
            let before = given;
            while packets.peek().is_some_and(|packet| host.offer(output, packet)) {
                packets.next();
                given += 1;
            }
            host.device.poll();
            host.device.poll();
            if given == before {
                break;
            }
        }
        assert!((2..=4).contains(&given), "{given} packets");
        assert!(holds(output));
        assert_eq!(host.descriptor(1, 0).unwrap().len(), 18, "requests are answered");
        let mut read = host.read(port);
        assert!(!holds(output));
        for packet in packets {
            while !host.give(output, packet) {
                read.extend(host.read(port));
            }
        }
        read.extend(host.read(port));
        assert_eq!(read, sent);
        assert_eq!(host.device.lost(), 0);
    }
}

#[test]
fn what_a_controller_cannot_hold_back_is_counted() {
    let mut host = Host::that_cannot_hold();
    host.enumerate();
    let sent = octets(10 * PACKET);
    for packet in sent.chunks(PACKET) {
        assert!(host.give(0x01, packet));
    }
    assert_eq!(host.descriptor(1, 0).unwrap().len(), 18, "requests are answered");
    let read = host.read(Port::Bulk);
    assert_eq!(read, sent[..read.len()]);
    assert_eq!(read.len() + host.device.lost() as usize, sent.len());
}

#[test]
fn an_unconfigured_device_drops_what_it_is_to_send() {
    let mut host = Host::new();
    for step in 0..2 {
        assert!(!host.device.is_configured());
        for (port, _, input) in PORTS {
            for octet in octets(1000) {
                assert!(host.device.write(port, octet), "nothing may wait for a host");
            }
            host.device.end(port);
            assert_eq!(host.drain(input), Vec::<Vec<u8>>::new());
            assert_eq!(host.read(port), b"");
        }
        if step == 0 {
            host.reset();
            host.control_out([0, 5], 9, 0, &[]).unwrap();
        }
    }
    host.enumerate();
    for (_, _, input) in PORTS {
        assert_eq!(host.drain(input), Vec::<Vec<u8>>::new(), "and does not send it later");
    }
    host.control_out([0, 9], 0, 0, &[]).unwrap();
    assert!(!host.device.is_configured());
}

#[test]
fn a_reset_forgets_what_is_on_its_way() {
    for reset in [Host::enumerate, |host: &mut Host| {
        host.control_out([0, 9], 1, 0, &[]).unwrap();
    }] {
        for (port, output, input) in PORTS {
            let mut host = Host::configured();
            for octet in octets(PACKET + 10) {
                assert!(host.device.write(port, octet));
            }
            while host.give(output, &[9; PACKET]) {}
            assert!(holds(output));
            // The packet that the controller already has goes with a bus reset only.
            host.take(input).unwrap();
            reset(&mut host);
            assert!(!holds(output));
            assert_eq!(host.read(port), b"");
            host.device.end(port);
            assert_eq!(host.drain(input), Vec::<Vec<u8>>::new());
            let sent = octets(2 * PACKET);
            assert_eq!(write(&mut host, port, input, &sent).concat(), sent);
            assert_eq!(host.send(output, port, &sent), sent);
        }
    }
}

#[test]
fn a_transfer_goes_on_after_a_suspend() {
    for (port, output, input) in PORTS {
        let mut host = Host::configured();
        let sent = octets(3 * PACKET);
        let taken = sent.iter().take_while(|octet| host.device.write(port, **octet)).count();
        assert!(host.give(output, &sent[..PACKET]));
        host.suspend();
        assert!(host.device.is_configured());
        assert!(!host.device.write(port, 0), "it keeps what it has");
        for _ in 0..10 {
            host.device.poll();
        }
        host.resume();
        let mut packets = vec![host.take(input).unwrap().unwrap()];
        packets.extend(write(&mut host, port, input, &sent[taken..]));
        assert_eq!(packets.concat(), sent);
        assert_eq!(host.read(port), sent[..PACKET]);
        assert_eq!(host.send(output, port, &sent), sent);
    }
}

#[test]
fn a_suspend_may_end_in_a_reset() {
    let mut host = Host::configured();
    assert!(host.device.write(Port::Bulk, 1));
    host.suspend();
    host.enumerate();
    host.device.end(Port::Bulk);
    assert_eq!(host.drain(0x81), Vec::<Vec<u8>>::new());
}
