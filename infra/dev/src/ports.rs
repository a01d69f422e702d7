//! Ports that nobody else takes between their choice and their use.

use std::env::temp_dir;
use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};

use crate::error::{Doing as _, Error};

/// The port every AWS emulator likes; another free one is taken when it is busy.
const FAVOURITE_PORT: u16 = 4566;

/// The turn to choose ports: stacks of this user that start at once, from whatever directory, choose one after the
/// other, each only when the one before listens. Two that chose together would deploy into one emulator.
pub(crate) struct Turn {
    _lock: File,
}

/// Waits for this process's turn; it ends when what is returned is dropped.
pub(crate) fn turn() -> Result<Turn, Error> {
    let user = rustix::process::getuid().as_raw();
    let path = temp_dir().join(format!("triggers-dev-{user}.lock"));
    let doing = || format!("lock {}", path.display());
    let file = OpenOptions::new().create(true).append(true).open(&path).doing(doing)?;
    file.lock().doing(doing)?;
    Ok(Turn { _lock: file })
}

/// The port for the emulator: the wanted one if it is free, or a free one if none is wanted.
pub(crate) fn choose(wanted: Option<u16>) -> Result<u16, Error> {
    match wanted {
        Some(0) => free(),
        Some(port) => is_free(port).then_some(port).ok_or(Error::PortBusy(port)),
        None if is_free(FAVOURITE_PORT) => Ok(FAVOURITE_PORT),
        None => free(),
    }
}

/// A port nobody listens on at the moment.
pub(crate) fn free() -> Result<u16, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .doing(|| "find a free port".to_owned())
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_port_is_named_and_only_a_wanted_one_is_an_error() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = choose(Some(port)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("port {port} is in use")), "{error}");
        let favourite = TcpListener::bind((Ipv4Addr::LOCALHOST, FAVOURITE_PORT)); // ours, or taken already
        assert_ne!(choose(None).unwrap(), FAVOURITE_PORT);
        drop(favourite);
    }
}
