//! Where a board is served.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::ServeError;

/// Where a board is served. Read from and shown as `tcp:HOST:PORT`, `unix:PATH`, `pty` or
/// `pty:LINK`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A TCP port.
    Tcp {
        /// Name or address of this computer on one of its networks; `127.0.0.1` keeps others out.
        host: String,
        /// The port; 0 takes one that is free.
        port: u16,
    },
    /// A Unix socket.
    Unix {
        /// Its path. A socket file that no server listens on any more is replaced.
        path: PathBuf,
    },
    /// A pseudo-terminal: a serial port for the host.
    Pty {
        /// Symbolic link to it, which keeps its name where the terminal's number changes. A link
        /// to a terminal that is gone is replaced.
        link: Option<PathBuf>,
    },
}

impl Endpoint {
    /// The endpoint of board `index` of `count`: ports are counted up, paths get `-0`, `-1` …
    /// where there are several boards.
    ///
    /// # Errors
    /// [`ServeError::Endpoint`] if there is no such port.
    pub fn numbered(&self, index: u16, count: u16) -> Result<Self, ServeError> {
        if count <= 1 {
            return Ok(self.clone());
        }
        let suffixed = |path: &Path| {
            let mut path = path.as_os_str().to_owned();
            path.push(format!("-{index}"));
            PathBuf::from(path)
        };
        Ok(match self {
            Self::Tcp { host, port: 0 } => Self::Tcp { host: host.clone(), port: 0 },
            Self::Tcp { host, port } => {
                let port = port.checked_add(index).ok_or_else(|| ServeError::Endpoint {
                    text: self.to_string(),
                    why: format!("{count} ports from {port} on go beyond 65535"),
                })?;
                Self::Tcp { host: host.clone(), port }
            }
            Self::Unix { path } => Self::Unix { path: suffixed(path) },
            Self::Pty { link } => Self::Pty { link: link.as_deref().map(suffixed) },
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
            Self::Unix { path } => write!(f, "unix:{}", path.display()),
            Self::Pty { link: None } => f.write_str("pty"),
            Self::Pty { link: Some(link) } => write!(f, "pty:{}", link.display()),
        }
    }
}

impl FromStr for Endpoint {
    type Err = ServeError;

    fn from_str(text: &str) -> Result<Self, ServeError> {
        let bad = |why: &str| ServeError::Endpoint { text: text.into(), why: why.into() };
        match text.split_once(':') {
            None if text == "pty" => Ok(Self::Pty { link: None }),
            Some(("pty", link)) if !link.is_empty() => Ok(Self::Pty { link: Some(link.into()) }),
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix { path: path.into() }),
            Some(("tcp", rest)) => {
                let (host, port) =
                    rest.rsplit_once(':').ok_or_else(|| bad("write tcp:HOST:PORT"))?;
                let port = port.parse().map_err(|_| bad("the port is a number up to 65535"))?;
                let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
                if host.is_empty() || (bare.is_none() && host.contains(':')) {
                    return Err(bad("write tcp:127.0.0.1:PORT, or tcp:[::1]:PORT for IPv6"));
                }
                Ok(Self::Tcp { host: bare.unwrap_or(host).into(), port })
            }
            _ => Err(bad("write tcp:HOST:PORT, unix:PATH, pty or pty:LINK")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_read_back() {
        for text in ["tcp:127.0.0.1:5025", "tcp:[::1]:0", "unix:/tmp/a:b.sock", "pty", "pty:/tmp/p"]
        {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        for text in
            ["", "tcp", "tcp:5025", "tcp:a:x", "tcp:::1:5", "tcp::5", "unix:", "pty:", "x:y"]
        {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains("write") || error.contains("65535"), "{error}");
        }
    }

    #[test]
    fn boards_are_numbered() {
        let numbered = |text: &str, index, count| {
            text.parse::<Endpoint>().unwrap().numbered(index, count).map(|e| e.to_string())
        };
        for (text, alone, third) in [
            ("tcp:localhost:5025", "tcp:localhost:5025", "tcp:localhost:5027"),
            ("tcp:localhost:0", "tcp:localhost:0", "tcp:localhost:0"),
            ("unix:/tmp/x.sock", "unix:/tmp/x.sock", "unix:/tmp/x.sock-2"),
            ("pty:/tmp/p", "pty:/tmp/p", "pty:/tmp/p-2"),
            ("pty", "pty", "pty"),
        ] {
            assert_eq!(numbered(text, 0, 1).unwrap(), alone);
            assert_eq!(numbered(text, 2, 3).unwrap(), third);
        }
        assert_eq!(numbered("tcp:a:65534", 1, 3).unwrap(), "tcp:a:65535");
        assert!(numbered("tcp:a:65534", 2, 3).unwrap_err().to_string().contains("65535"));
    }
}
