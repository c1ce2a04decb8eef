//! The vendor-specific interface: two bulk endpoints.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use usb_gadget::function::custom::{Custom, EndpointReceiver, EndpointSender, Event};

use super::{Mode, Shared};

/// Bytes of a transfer.
const TRANSFER: usize = 16 * 1024;
/// Pieces that wait to be sent; more are left in the port.
const PIECES: usize = 16;
/// Longest wait for something to send, before the mode is looked at again.
const LOOK: Duration = Duration::from_millis(5);
/// Wait after the host has gone.
const PAUSE: Duration = Duration::from_millis(1);

/// What is outside.
pub(super) struct Ports {
    pub(super) board: File,
    /// Sends back what it gets.
    pub(super) echo: File,
    /// Sends without end.
    pub(super) source: File,
}

/// Starts the threads of the interface. They end with the process.
pub(super) fn start(
    ports: Ports,
    receiver: EndpointReceiver,
    sender: EndpointSender,
    custom: Custom,
    shared: &Arc<Shared>,
) {
    let (outbox, inbox) = sync_channel(PIECES);
    let ports = Arc::new(ports);
    for mode in [Mode::Board, Mode::FarEcho, Mode::FarSource] {
        let (ports, outbox, shared) = (Arc::clone(&ports), outbox.clone(), Arc::clone(shared));
        thread::spawn(move || {
            let port = match mode {
                Mode::FarEcho => &ports.echo,
                Mode::FarSource => &ports.source,
                _ => &ports.board,
            };
            listen(port, mode, &outbox, &shared);
        });
    }
    let (following, receiving, sending) = (shared.clone(), shared.clone(), shared.clone());
    thread::spawn(move || follow(custom, &following));
    thread::spawn(move || receive(receiver, &ports, &outbox, &receiving));
    thread::spawn(move || send(sender, &inbox, &sending));
}

/// Keeps whether the interface is in use. It has no requests, so they are stalled.
fn follow(mut custom: Custom, shared: &Shared) {
    loop {
        match custom.event() {
            Ok(Event::Enable) => shared.enabled.store(true, Ordering::Relaxed),
            Ok(Event::Disable | Event::Unbind) => {
                shared.enabled.store(false, Ordering::Relaxed);
                shared.unplugged.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Event::SetupHostToDevice(request)) => drop(request.halt()),
            Ok(Event::SetupDeviceToHost(request)) => drop(request.halt()),
            Ok(_) => {}
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Takes what the host sends.
fn receive(
    mut receiver: EndpointReceiver,
    ports: &Ports,
    echo: &SyncSender<Vec<u8>>,
    shared: &Shared,
) {
    loop {
        if !shared.is_enabled() {
            thread::sleep(PAUSE);
            continue;
        }
        match receive_one(&mut receiver) {
            Ok(Some(bytes)) => match shared.mode() {
                // The other ends of the ports are open as long as this machine runs.
                Mode::Board => drop((&ports.board).write_all(&bytes)),
                Mode::FarEcho => drop((&ports.echo).write_all(&bytes)),
                Mode::Echo => drop(echo.send(bytes.to_vec())),
                Mode::Source | Mode::FarSource => {}
            },
            Ok(None) => {}
            Err(_unplugged) => {
                // What is left in the queue fails the same way.
                let _ = receiver.cancel();
                thread::sleep(PAUSE);
            }
        }
    }
}

fn receive_one(receiver: &mut EndpointReceiver) -> io::Result<Option<BytesMut>> {
    while receiver.is_ready() {
        receiver.try_recv(BytesMut::with_capacity(TRANSFER))?;
    }
    receiver.fetch()
}

/// Takes what is sent outside, for the host in this mode.
fn listen(mut port: &File, mode: Mode, outbox: &SyncSender<Vec<u8>>, shared: &Shared) {
    let mut buffer = vec![0; TRANSFER];
    loop {
        // What would never end is left there until it is wanted.
        while mode == Mode::FarSource && shared.mode() != mode {
            thread::sleep(LOOK);
        }
        let Ok(count) = port.read(&mut buffer) else { return };
        if count == 0 {
            thread::sleep(PAUSE);
        } else if shared.is_enabled()
            && shared.mode() == mode
            && outbox.send(buffer[..count].to_vec()).is_err()
        {
            return;
        }
    }
}

/// Sends to the host.
fn send(mut sender: EndpointSender, inbox: &Receiver<Vec<u8>>, shared: &Shared) {
    let block = Bytes::from(vec![0x5A; TRANSFER]);
    let mut unplugged = 0;
    loop {
        let next = match shared.mode() {
            Mode::Source if shared.is_enabled() => block.clone(),
            _ => match inbox.recv_timeout(LOOK) {
                Ok(mut bytes) => {
                    while bytes.len() < TRANSFER
                        && let Ok(more) = inbox.try_recv()
                    {
                        bytes.extend_from_slice(&more);
                    }
                    Bytes::from(bytes)
                }
                Err(_) => continue,
            },
        };
        // Errors of what was on its way when the plug was pulled are not those of what comes now.
        let times = shared.unplugged.load(Ordering::Relaxed);
        if times != unplugged {
            unplugged = times;
            let _ = sender.cancel();
        }
        // While unplugged, what is on its way is lost.
        if shared.is_enabled() && send_one(&mut sender, next, shared.mode()).is_err() {
            let _ = sender.cancel();
        }
    }
}

/// Sends bytes so that they arrive at once: the last packet is a short one.
fn send_one(sender: &mut EndpointSender, bytes: Bytes, mode: Mode) -> io::Result<()> {
    let packet = sender.max_packet_size()?;
    let endless = matches!(mode, Mode::Source | Mode::FarSource);
    let whole = !endless && bytes.len().is_multiple_of(packet);
    sender.send(bytes)?;
    if whole { sender.send(Bytes::new()) } else { Ok(()) }
}
