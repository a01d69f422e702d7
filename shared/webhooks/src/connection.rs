//! Connects to the first checked address that accepts a connection.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use domain::delivery::verdict::failure::Failure;
use domain::endpoint::address::is_public;

/// The deadline for all addresses of a name.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// How long an address has before the next one is tried too (RFC 8305 section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// The largest number of addresses that are tried.
const MAX_ADDRESSES: usize = 6;

/// The receive buffer of the socket. It limits the unread bytes of an answer. Linux doubles the number.
const RECEIVE_BUFFER_BYTES: u32 = 16 * 1024;

/// A checked address. Only these can be dialed, and only the two constructors below make them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CheckedAddress(SocketAddr);

impl CheckedAddress {
    /// Accepts a public address; returns `None` for any other.
    pub(super) fn public(address: IpAddr, port: u16) -> Option<Self> {
        is_public(address).then_some(Self(SocketAddr::new(address, port)))
    }

    /// Makes the loopback address, for URLs allowed by [`domain::endpoint::url::UrlPolicy::LoopbackAllowed`].
    pub(super) const fn loopback(port: u16) -> Self {
        Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    /// Returns the address.
    #[must_use]
    pub const fn socket_address(self) -> SocketAddr {
        self.0
    }
}

/// Opens connections. Tests replace it.
pub trait Dialer: Clone + Send + Sync + 'static {
    /// An open connection.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Connects to this address.
    fn dial(&self, address: CheckedAddress) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// Connects over TCP.
#[derive(Clone, Copy, Debug)]
pub struct Internet;

impl Dialer for Internet {
    type Stream = TcpStream;

    async fn dial(&self, address: CheckedAddress) -> io::Result<TcpStream> {
        let address = address.socket_address();
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        socket.set_nodelay(true)?;
        socket.connect(address).await
    }
}

/// Tries the addresses one after the other, each [`HEAD_START`] after the one before.
pub(super) async fn connect<D: Dialer>(
    dialer: &D,
    addresses: &[CheckedAddress],
) -> Result<D::Stream, Failure> {
    let first_connected = async {
        let mut waiting = addresses.iter().take(MAX_ADDRESSES);
        let mut under_way = FuturesUnordered::new();
        let mut failure = Failure::Unreachable;
        loop {
            if let Some(address) = waiting.next() {
                under_way.push(dialer.dial(*address));
            }
            tokio::select! {
                connected = under_way.next() => match connected {
                    Some(Ok(stream)) => return Ok(stream),
                    Some(Err(error)) => failure = more_specific(failure, &error),
                    None => return Err(failure),
                },
                () = sleep(HEAD_START), if waiting.len() > 0 => {}
            }
        }
    };
    timeout(CONNECT_PATIENCE, first_connected).await.unwrap_or(Err(Failure::ConnectionTimedOut))
}

/// Returns the more specific of two failures: refused before timed out, and timed out before unreachable.
fn more_specific(before: Failure, error: &io::Error) -> Failure {
    match (before, error.kind()) {
        (Failure::ConnectionRefused, _) | (_, io::ErrorKind::ConnectionRefused) => Failure::ConnectionRefused,
        (Failure::ConnectionTimedOut, _) | (_, io::ErrorKind::TimedOut) => Failure::ConnectionTimedOut,
        _ => Failure::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_public_address_can_be_a_checked_one() {
        let checked = |text: &str| CheckedAddress::public(text.parse().unwrap(), 443);
        assert!(checked("93.184.216.34").is_some());
        for refused in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:93.184.216.34"] {
            assert_eq!(checked(refused), None, "{refused}");
        }
    }

    #[test]
    fn of_several_failures_the_most_specific_one_is_returned() {
        use io::ErrorKind::{ConnectionRefused, NetworkUnreachable, TimedOut};
        let most_specific = |kinds: &[io::ErrorKind]| {
            let errors = kinds.iter().map(|kind| io::Error::from(*kind));
            errors.fold(Failure::Unreachable, |failure, error| more_specific(failure, &error))
        };
        assert_eq!(most_specific(&[NetworkUnreachable]), Failure::Unreachable);
        assert_eq!(most_specific(&[TimedOut, NetworkUnreachable]), Failure::ConnectionTimedOut);
        assert_eq!(
            most_specific(&[NetworkUnreachable, ConnectionRefused, TimedOut]),
            Failure::ConnectionRefused
        );
    }
}
