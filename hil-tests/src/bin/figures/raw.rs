//! What a link itself carries, without driver and board: plain copies and plain ping-pong through
//! the same kind of socket or terminal.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

/// Octets of one write: those of a batch of the server.
const WRITE: usize = 128 * 1024;
/// Octets of one read: those of the driver.
const READ: usize = 64 * 1024;

/// One end of a connection.
pub(crate) trait End: Read + Write + Send {}
impl<T: Read + Write + Send> End for T {}

/// The device's end and the host's.
pub(crate) type Ends = (Box<dyn End>, Box<dyn End>);

/// A TCP connection over the loopback interface.
pub(crate) fn tcp() -> anyhow::Result<Ends> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let host = TcpStream::connect(listener.local_addr()?)?;
    let (device, _) = listener.accept()?;
    host.set_nodelay(true)?;
    device.set_nodelay(true)?;
    Ok((Box::new(device), Box::new(host)))
}

/// A pair of Unix sockets.
#[cfg(unix)]
pub(crate) fn unix() -> anyhow::Result<Ends> {
    let (device, host) = UnixStream::pair()?;
    Ok((Box::new(device), Box::new(host)))
}

/// A pseudo-terminal in raw mode.
#[cfg(unix)]
pub(crate) fn pty() -> anyhow::Result<Ends> {
    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
    use std::fs::File;

    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(name.as_c_str(), flags, Mode::empty())?;
    let mut mode = tcgetattr(&slave)?;
    mode.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &mode)?;
    Ok((Box::new(File::from(master)), Box::new(File::from(slave))))
}

/// Octets a second from the device's end to the host's, of about so many.
pub(crate) fn copy((mut device, mut host): Ends, octets: usize) -> anyhow::Result<f64> {
    let blocks = octets.div_ceil(WRITE);
    thread::scope(|scope| {
        let writer = scope.spawn(move || -> std::io::Result<()> {
            let block = vec![0x5a; WRITE];
            for _ in 0..blocks {
                device.write_all(&block)?;
            }
            // Until all is read: closing a terminal would drop it.
            let _ = device.read(&mut [0])?;
            Ok(())
        });
        let mut buffer = vec![0; READ];
        let mut left = blocks * WRITE;
        let start = Instant::now();
        while left > 0 {
            let count = host.read(&mut buffer)?;
            anyhow::ensure!(count > 0, "the raw link ended");
            left = left.saturating_sub(count);
        }
        let took = start.elapsed();
        host.write_all(&[0])?;
        writer.join().expect("the writer does not panic")?;
        Ok((blocks * WRITE) as f64 / took.as_secs_f64())
    })
}

/// Times of messages of `octets`, there and back.
pub(crate) fn ping_pong(
    (mut device, mut host): Ends,
    octets: usize,
    count: usize,
) -> anyhow::Result<Vec<Duration>> {
    thread::scope(|scope| {
        let echo = scope.spawn(move || -> std::io::Result<_> {
            let mut buffer = vec![0; octets];
            for _ in 0..count {
                device.read_exact(&mut buffer)?;
                device.write_all(&buffer)?;
            }
            // Closing a terminal would drop what is not read yet.
            Ok(device)
        });
        let mut message = vec![0x5a; octets];
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let start = Instant::now();
            host.write_all(&message)?;
            host.read_exact(&mut message)?;
            times.push(start.elapsed());
        }
        echo.join().expect("the echo does not panic")?;
        Ok(times)
    })
}
