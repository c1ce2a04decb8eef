//! TCP ports.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::Duration;

use rustix::fd::BorrowedFd;
use rustix::net::sockopt;

use super::port::{Port, Wire, fd};
use super::{Endpoint, ServeError};

/// A TCP port.
pub(super) struct TcpPort {
    address: SocketAddr,
    listener: Option<TcpListener>,
}

impl TcpPort {
    pub(super) fn open(host: &str, port: u16) -> Result<Self, ServeError> {
        let uri = Endpoint::Tcp { host: host.into(), port }.to_string();
        let addresses: Vec<SocketAddr> = (host, port)
            .to_socket_addrs()
            .map_err(|source| ServeError::Io { uri: uri.clone(), what: "finding it", source })?
            .collect();
        let listener = bind(&addresses[..], &uri)?;
        let address = listener.local_addr().map_err(|source| ServeError::Io {
            uri,
            what: "finding the port",
            source,
        })?;
        Ok(Self { address, listener: Some(listener) })
    }
}

fn bind(addresses: impl ToSocketAddrs, uri: &str) -> Result<TcpListener, ServeError> {
    let uri = || uri.to_owned();
    let bound = TcpListener::bind(addresses).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => ServeError::InUse { uri: uri() },
        ErrorKind::PermissionDenied => {
            ServeError::Denied { uri: uri(), remedy: "a port from 1024 on" }
        }
        _ => ServeError::Io { uri: uri(), what: "listening", source },
    })
}

impl Port for TcpPort {
    fn uri(&self) -> String {
        // Every address of this computer is reached from it by the loopback address.
        let host = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        format!("tcp:{}", SocketAddr::new(host, self.address.port()))
    }

    fn is_public(&self) -> bool {
        !self.address.ip().is_loopback()
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        self.listener.as_ref().map(fd)
    }

    fn accept(&mut self, _occupied: bool) -> io::Result<Option<Box<dyn Wire>>> {
        let Some(listener) = &self.listener else { return Ok(None) };
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Some(Box::new(stream)))
    }

    fn unplug(&mut self) {
        self.listener = None;
    }

    fn plug_in(&mut self) -> Result<(), ServeError> {
        if self.listener.is_none() {
            self.listener = Some(bind(self.address, &self.uri())?);
        }
        Ok(())
    }
}

impl Wire for TcpStream {
    fn fd(&self) -> BorrowedFd<'_> {
        fd(self)
    }

    fn cut(&mut self) {
        // Without it the connection ends in good order all the same.
        let _ = sockopt::set_socket_linger(&*self, Some(Duration::ZERO));
    }
}
