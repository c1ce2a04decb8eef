//! A USB host and the bus between it and the device: what a controller does, by the packet.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spu_firmware_usb::{Device, Extras, PACKET, Port};
use usb_device::bus::{PollResult, UsbBus, UsbBusAllocator};
use usb_device::endpoint::{EndpointAddress, EndpointType};
use usb_device::{Result, UsbDirection, UsbError};

pub(crate) const SERIAL: &str = "0123456789abcdef";
/// Packets that an endpoint of the device takes before it refuses more.
const DEEP: usize = 2;

/// An endpoint as the controller has it.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) kind: EndpointType,
    pub(crate) size: u16,
    packets: VecDeque<Vec<u8>>,
    stalled: bool,
    complete: bool,
}

/// The controller.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) endpoints: BTreeMap<u8, Endpoint>,
    pub(crate) address: u8,
    setup: bool,
    events: VecDeque<Event>,
    pub(crate) enabled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Reset,
    Suspend,
    Resume,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Bus(Arc<Mutex<State>>);

impl Bus {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UsbBus for Bus {
    fn alloc_ep(
        &mut self,
        direction: UsbDirection,
        address: Option<EndpointAddress>,
        kind: EndpointType,
        size: u16,
        _interval: u8,
    ) -> Result<EndpointAddress> {
        let mut state = self.state();
        let free = |number: &usize| {
            let address = EndpointAddress::from_parts(*number, direction);
            !state.endpoints.contains_key(&address.into())
        };
        let number = match address {
            Some(address) => address.index(),
            None => (1..9).find(free).ok_or(UsbError::EndpointOverflow)?,
        };
        let address = EndpointAddress::from_parts(number, direction);
        let endpoint =
            Endpoint { kind, size, packets: VecDeque::new(), stalled: false, complete: false };
        state.endpoints.insert(address.into(), endpoint);
        Ok(address)
    }

    fn enable(&mut self) {
        self.state().enabled = true;
    }

    fn reset(&self) {
        let mut state = self.state();
        state.address = 0;
        state.setup = false;
        for endpoint in state.endpoints.values_mut() {
            endpoint.packets.clear();
            (endpoint.stalled, endpoint.complete) = (false, false);
        }
    }

    fn set_device_address(&self, address: u8) {
        self.state().address = address;
    }

    fn write(&self, address: EndpointAddress, packet: &[u8]) -> Result<usize> {
        let mut state = self.state();
        let endpoint = state.endpoints.get_mut(&address.into()).ok_or(UsbError::InvalidEndpoint)?;
        if packet.len() > usize::from(endpoint.size) {
            return Err(UsbError::BufferOverflow);
        }
        if !endpoint.packets.is_empty() {
            return Err(UsbError::WouldBlock);
        }
        endpoint.packets.push_back(packet.into());
        Ok(packet.len())
    }

    fn read(&self, address: EndpointAddress, packet: &mut [u8]) -> Result<usize> {
        let mut state = self.state();
        if address.index() == 0 {
            state.setup = false;
        }
        let endpoint = state.endpoints.get_mut(&address.into()).ok_or(UsbError::InvalidEndpoint)?;
        let octets = endpoint.packets.pop_front().ok_or(UsbError::WouldBlock)?;
        packet.get_mut(..octets.len()).ok_or(UsbError::BufferOverflow)?.copy_from_slice(&octets);
        Ok(octets.len())
    }

    fn set_stalled(&self, address: EndpointAddress, stalled: bool) {
        if let Some(endpoint) = self.state().endpoints.get_mut(&address.into()) {
            endpoint.stalled = stalled;
        }
    }

    fn is_stalled(&self, address: EndpointAddress) -> bool {
        self.state().endpoints.get(&address.into()).is_none_or(|endpoint| endpoint.stalled)
    }

    fn suspend(&self) {}

    fn resume(&self) {}

    fn poll(&self) -> PollResult {
        let mut state = self.state();
        match state.events.pop_front() {
            Some(Event::Reset) => return PollResult::Reset,
            Some(Event::Suspend) => return PollResult::Suspend,
            Some(Event::Resume) => return PollResult::Resume,
            None => {}
        }
        let (mut ep_out, mut ep_in_complete, mut ep_setup) = (0, 0, 0);
        let setup = state.setup;
        for (&address, endpoint) in &mut state.endpoints {
            let bit = 1 << (address & 0xF);
            if address & 0x80 != 0 {
                if std::mem::take(&mut endpoint.complete) {
                    ep_in_complete |= bit;
                }
            } else if !endpoint.packets.is_empty() {
                *(if address == 0 && setup { &mut ep_setup } else { &mut ep_out }) |= bit;
            }
        }
        if ep_out | ep_in_complete | ep_setup == 0 {
            PollResult::None
        } else {
            PollResult::Data { ep_out, ep_in_complete, ep_setup }
        }
    }
}

thread_local! {
    /// Endpoints that were told to hold; each test has a thread.
    static HELD: RefCell<BTreeSet<u8>> = const { RefCell::new(BTreeSet::new()) };
    /// Endpoints whose toggle was reset, in order.
    static TOGGLED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn hold(endpoint: EndpointAddress, on: bool) {
    HELD.with_borrow_mut(|held| {
        if on { held.insert(endpoint.into()) } else { held.remove(&endpoint.into()) }
    });
}

fn ignore(_endpoint: EndpointAddress, _on: bool) {}

fn toggled(endpoint: EndpointAddress) {
    TOGGLED.with_borrow_mut(|toggled| toggled.push(endpoint.into()));
}

/// Endpoints whose toggle was reset since this was last asked.
pub(crate) fn all_toggled() -> Vec<u8> {
    TOGGLED.take()
}

/// True if the endpoint was told to hold.
pub(crate) fn holds(endpoint: u8) -> bool {
    HELD.with_borrow(|held| held.contains(&endpoint))
}

/// The controller refuses the request or the packet for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stalled;

/// The host, with the device at its other end.
pub(crate) struct Host {
    pub(crate) bus: Bus,
    pub(crate) device: Device<'static, Bus>,
}

impl Host {
    /// A device that the host has not looked at.
    pub(crate) fn new() -> Self {
        Self::with(hold)
    }

    /// One whose controller cannot hold.
    pub(crate) fn that_cannot_hold() -> Self {
        Self::with(ignore)
    }

    fn with(hold: fn(EndpointAddress, bool)) -> Self {
        let bus = Bus::default();
        let allocator = Box::leak(Box::new(UsbBusAllocator::new(bus.clone())));
        let extras = Extras { hold, reset_toggle: toggled };
        let device = Device::new(allocator, SERIAL, extras).expect("strings are few");
        Self { bus, device }
    }

    /// A device that the host has configured.
    pub(crate) fn configured() -> Self {
        let mut host = Self::new();
        host.enumerate();
        host
    }

    /// Resets, gives an address and configures.
    pub(crate) fn enumerate(&mut self) {
        self.reset();
        self.control_out([0, 5], 7, 0, &[]).expect("SET_ADDRESS");
        assert_eq!(self.bus.state().address, 7);
        self.control_out([0, 9], 1, 0, &[]).expect("SET_CONFIGURATION");
        assert!(self.device.is_configured());
        all_toggled();
    }

    fn event(&mut self, event: Event) {
        self.bus.state().events.push_back(event);
        self.device.poll();
    }

    pub(crate) fn reset(&mut self) {
        HELD.take();
        self.event(Event::Reset);
    }

    pub(crate) fn suspend(&mut self) {
        self.event(Event::Suspend);
    }

    pub(crate) fn resume(&mut self) {
        self.event(Event::Resume);
    }

    fn setup(&mut self, kind: [u8; 2], value: u16, index: u16, len: u16) {
        let words = [value, index, len].map(u16::to_le_bytes);
        let packet = [&kind[..], words.as_flattened()].concat();
        {
            let mut state = self.bus.state();
            state.setup = true;
            for address in [0, 0x80] {
                let endpoint = state.endpoints.get_mut(&address).expect("allocated");
                endpoint.packets.clear();
                endpoint.stalled = false;
            }
            state.endpoints.get_mut(&0).expect("allocated").packets.push_back(packet);
        }
        self.device.poll();
    }

    /// A packet from an endpoint; `None` if it has nothing.
    pub(crate) fn take(&mut self, address: u8) -> std::result::Result<Option<Vec<u8>>, Stalled> {
        let packet = {
            let mut state = self.bus.state();
            let endpoint = state.endpoints.get_mut(&address).expect("allocated");
            if endpoint.stalled {
                return Err(Stalled);
            }
            let packet = endpoint.packets.pop_front();
            endpoint.complete |= packet.is_some();
            packet
        };
        if packet.is_some() {
            self.device.poll();
        }
        Ok(packet)
    }

    /// Offers a packet to an endpoint; false if it is refused for now. The device has not looked.
    pub(crate) fn offer(&mut self, address: u8, packet: &[u8]) -> bool {
        let held = holds(address);
        let mut state = self.bus.state();
        let endpoint = state.endpoints.get_mut(&address).expect("allocated");
        assert!(packet.len() <= usize::from(endpoint.size) && !endpoint.stalled);
        let takes = !held && endpoint.packets.len() < DEEP;
        if takes {
            endpoint.packets.push_back(packet.into());
        }
        takes
    }

    /// Offers a packet and lets the device look.
    pub(crate) fn give(&mut self, address: u8, packet: &[u8]) -> bool {
        let taken = self.offer(address, packet);
        self.device.poll();
        taken
    }

    /// A request with data to the host.
    pub(crate) fn control_in(
        &mut self,
        kind: [u8; 2],
        value: u16,
        index: u16,
        len: u16,
    ) -> std::result::Result<Vec<u8>, Stalled> {
        self.setup(kind, value, index, len);
        let mut data = Vec::new();
        loop {
            let packet = self.take(0x80)?.expect("a request is answered at once");
            data.extend_from_slice(&packet);
            if packet.len() < 64 || data.len() >= usize::from(len) {
                break;
            }
        }
        assert!(data.len() <= usize::from(len), "more than was asked for");
        assert!(self.give(0, &[]));
        Ok(data)
    }

    /// A request for data of which the host takes one packet, and then gives up.
    pub(crate) fn control_in_aborted(&mut self, kind: [u8; 2], value: u16, index: u16, len: u16) {
        self.setup(kind, value, index, len);
        let packet = self.take(0x80).expect("a request with an answer");
        assert_eq!(packet.map(|packet| packet.len()), Some(64), "an answer of several packets");
    }

    /// A request with data to the device.
    pub(crate) fn control_out(
        &mut self,
        kind: [u8; 2],
        value: u16,
        index: u16,
        data: &[u8],
    ) -> std::result::Result<(), Stalled> {
        self.setup(kind, value, index, data.len() as u16);
        for packet in data.chunks(64) {
            if self.bus.is_stalled(0.into()) {
                return Err(Stalled);
            }
            assert!(self.give(0, packet));
        }
        assert_eq!(self.take(0x80)?.as_deref(), Some(&[][..]));
        Ok(())
    }

    /// A standard descriptor.
    pub(crate) fn descriptor(
        &mut self,
        kind: u8,
        index: u8,
    ) -> std::result::Result<Vec<u8>, Stalled> {
        let language = if kind == 3 && index > 0 { 0x0409 } else { 0 };
        self.control_in([0x80, 6], u16::from_be_bytes([kind, index]), language, 255)
    }

    /// All packets that the device has, until it has no more.
    pub(crate) fn drain(&mut self, address: u8) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.take(address).expect("bulk endpoints never stall")).collect()
    }

    /// What the device read.
    pub(crate) fn read(&mut self, port: Port) -> Vec<u8> {
        std::iter::from_fn(|| self.device.read(port)).collect()
    }

    /// Gives octets in whole packets and a last short one, while the device takes what comes.
    pub(crate) fn send(&mut self, address: u8, port: Port, octets: &[u8]) -> Vec<u8> {
        let mut read = Vec::new();
        let end = if octets.len().is_multiple_of(PACKET) { Some(&[][..]) } else { None };
        for packet in octets.chunks(PACKET).chain(end) {
            while !self.give(address, packet) {
                read.extend(self.read(port));
            }
        }
        self.device.poll();
        read.extend(self.read(port));
        read
    }
}
