//! Device servers over TCP.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use super::{ByteStream, Endpoint};
use crate::device::Deadline;
use crate::error::Error;

/// An idle connection is probed after this time and at this interval: a peer that lost its power
/// says nothing.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// A port of a host.
#[derive(Debug)]
pub struct Tcp {
    host: String,
    port: u16,
}

impl Tcp {
    /// `host` is a name or an address; an IPv6 address may stand in brackets.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    fn not_found(&self, why: impl Into<String>) -> Error {
        Error::NotFound { uri: self.describe(), why: why.into() }
    }

    /// The addresses of the host. The system's resolver cannot be interrupted, so it works in a
    /// thread of its own, which is left behind where it takes too long.
    fn addresses(&self, deadline: Deadline) -> Result<Vec<SocketAddr>, Error> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![(address, self.port).into()]);
        }
        let (name, port) = (host.to_owned(), self.port);
        let (answer, answered) = mpsc::channel();
        let resolve = move || {
            let found = (name.as_str(), port).to_socket_addrs().map(Vec::from_iter);
            // Nobody waits any more if the deadline has passed.
            let _ = answer.send(found);
        };
        thread::Builder::new().name("resolver".into()).spawn(resolve).map_err(|error| {
            self.not_found(format!("no thread to look the host up in: {error}; try again"))
        })?;
        match answered.recv_timeout(deadline.left()) {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            Ok(Ok(_)) => Err(self.not_found(format!("{host} has no address; check its name"))),
            Ok(Err(error)) => {
                Err(self.not_found(format!("{host} is not a known host ({error}); check its name")))
            }
            Err(_) => Err(self.not_found(format!(
                "the address of {host} was not found within {:?}; check the network, or give the \
                 address",
                deadline.allowed()
            ))),
        }
    }

    fn refused(&self, error: &io::Error, deadline: Deadline) -> Error {
        let (host, port) = (&self.host, self.port);
        match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => self.not_found(format!(
                "nothing listens there; start a server on that host: \
                 `spu-sim serve --tcp {host}:{port}`"
            )),
            ErrorKind::TimedOut | ErrorKind::WouldBlock => self.not_found(format!(
                "no answer within {:?}; check address, network and firewall",
                deadline.allowed()
            )),
            ErrorKind::PermissionDenied => Error::Denied {
                uri: self.describe(),
                fix: format!("a firewall forbids it; allow connections to port {port}"),
            },
            _ => self.not_found(format!("{error}; check address and network")),
        }
    }
}

impl Endpoint for Tcp {
    type Stream = TcpStream;

    fn connect(&mut self, deadline: Deadline) -> Result<TcpStream, Error> {
        let addresses = self.addresses(deadline)?;
        let mut last = io::Error::from(ErrorKind::TimedOut);
        for (index, address) in addresses.iter().enumerate() {
            let share = deadline.left() / (addresses.len() - index) as u32;
            if share.is_zero() {
                break;
            }
            match TcpStream::connect_timeout(address, share).and_then(prepared) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(self.refused(&last, deadline))
    }

    fn describe(&self) -> String {
        format!("tcp:{}:{}", self.host, self.port)
    }
}

/// Sets a new connection up.
fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    // A port of this host that nothing listens on may be chosen as the connection's own end, and
    // then it is connected to itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(ErrorKind::ConnectionRefused.into());
    }
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    #[cfg(unix)]
    stream.set_nonblocking(true)?;
    Ok(stream)
}

#[cfg(unix)]
impl ByteStream for TcpStream {
    fn send(&mut self, bytes: &[u8], deadline: Deadline) -> io::Result<bool> {
        super::nonblocking::send(self, bytes, deadline)
    }

    fn receive(&mut self, buffer: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        super::nonblocking::receive(self, buffer, deadline)
    }
}

#[cfg(not(unix))]
impl ByteStream for TcpStream {
    fn send(&mut self, mut bytes: &[u8], deadline: Deadline) -> io::Result<bool> {
        while !bytes.is_empty() {
            match waiting(self, deadline, |mut stream| io::Write::write(&mut stream, bytes))? {
                Some(0) => return Err(ErrorKind::WriteZero.into()),
                Some(count) => bytes = &bytes[count..],
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn receive(&mut self, buffer: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        match waiting(self, deadline, |mut stream| io::Read::read(&mut stream, buffer))? {
            Some(0) => Err(ErrorKind::UnexpectedEof.into()),
            count => Ok(count.unwrap_or(0)),
        }
    }
}

/// One call with the socket's own timeouts; `None` if the deadline passed.
#[cfg(not(unix))]
fn waiting(
    stream: &TcpStream,
    deadline: Deadline,
    mut call: impl FnMut(&TcpStream) -> io::Result<usize>,
) -> io::Result<Option<usize>> {
    loop {
        let left = deadline.left();
        stream.set_nonblocking(left.is_zero())?;
        if !left.is_zero() {
            stream.set_read_timeout(Some(left))?;
            stream.set_write_timeout(Some(left))?;
        }
        match call(stream) {
            Ok(count) => return Ok(Some(count)),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock | ErrorKind::TimedOut => return Ok(None),
                _ => return Err(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_no_resolver() {
        for (host, expected) in
            [("127.0.0.1", "127.0.0.1:7"), ("[::1]", "[::1]:7"), ("::1", "[::1]:7")]
        {
            let past = Deadline::after(Duration::ZERO);
            let addresses = Tcp::new(host, 7).addresses(past).unwrap();
            assert_eq!(addresses, [expected.parse::<SocketAddr>().unwrap()]);
        }
    }

    #[test]
    fn a_name_is_not_waited_for_beyond_the_deadline() {
        let error =
            Tcp::new("spu.invalid", 7).addresses(Deadline::after(Duration::ZERO)).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
        assert!(error.to_string().contains("spu.invalid"), "{error}");
    }
}
