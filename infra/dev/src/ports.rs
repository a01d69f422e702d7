//! Chooses free TCP ports.

use std::env::temp_dir;
use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};

use crate::error::{Error, IoContext as _};

/// The default port of AWS emulators.
const DEFAULT_PORT: u16 = 4566;

/// The right to choose ports. Dropping it releases the lock.
pub(crate) struct PortLock {
    _lock: File,
}

/// Waits for the lock that lets one stack of this user choose its ports.
///
/// A stack holds the lock until its processes listen. Otherwise two stacks that start at the same
/// time could choose the same port and deploy into one emulator.
pub(crate) fn lock() -> Result<PortLock, Error> {
    let user = rustix::process::getuid().as_raw();
    let path = temp_dir().join(format!("triggers-dev-{user}.lock"));
    let action = || format!("lock {}", path.display());
    let file = OpenOptions::new().create(true).append(true).open(&path).context(action)?;
    file.lock().context(action)?;
    Ok(PortLock { _lock: file })
}

/// Chooses the port of the emulator: the requested port, or, without a request, the default port if
/// it is free, else any free port.
///
/// # Errors
/// Returns [`Error::PortBusy`] if the requested port is in use.
pub(crate) fn choose(requested: Option<u16>) -> Result<u16, Error> {
    match requested {
        Some(0) => find_free(),
        Some(port) => is_free(port).then_some(port).ok_or(Error::PortBusy(port)),
        None if is_free(DEFAULT_PORT) => Ok(DEFAULT_PORT),
        None => find_free(),
    }
}

/// Returns a port that is free now.
pub(crate) fn find_free() -> Result<u16, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .context(|| "find a free port".to_owned())
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_port_is_an_error_only_if_it_was_requested() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = choose(Some(port)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("port {port} is in use")), "{error}");
        let default = TcpListener::bind((Ipv4Addr::LOCALHOST, DEFAULT_PORT)); // an error means it is in use already
        assert_ne!(choose(None).unwrap(), DEFAULT_PORT);
        drop(default);
    }
}
