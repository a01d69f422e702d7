//! The way from checked addresses to this machine: what the client dials is written down, and led to a server of the test
//! instead of the internet. The client's own checks stay as they are.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use webhooks::connection::{CheckedAddress, Dialer, Internet};

/// Where an address leads to.
type Way = dyn Fn(SocketAddr) -> Option<SocketAddr> + Send + Sync;

/// A way that writes down who took it.
#[derive(Clone)]
pub(crate) struct Detour {
    way: Arc<Way>,
    dialled: Arc<Mutex<HashMap<SocketAddr, Arc<AtomicU64>>>>,
}

impl Detour {
    /// Leads each address as `way` says; without a word of it, loopback leads to itself and all else is refused.
    pub(crate) fn new(way: impl Fn(SocketAddr) -> Option<SocketAddr> + Send + Sync + 'static) -> Self {
        Self { way: Arc::new(way), dialled: Arc::default() }
    }

    /// Every address that was dialled, and how many bytes were read from its sockets.
    pub(crate) fn dialled(&self) -> Vec<(SocketAddr, u64)> {
        let dialled = self.dialled.lock().expect("no holder panics");
        dialled.iter().map(|(address, read)| (*address, read.load(Ordering::Relaxed))).collect()
    }

    /// How many bytes were read from this address's sockets.
    pub(crate) fn read_from(&self, address: SocketAddr) -> u64 {
        self.meter(address).load(Ordering::Relaxed)
    }

    fn meter(&self, address: SocketAddr) -> Arc<AtomicU64> {
        Arc::clone(self.dialled.lock().expect("no holder panics").entry(address).or_default())
    }
}

impl Dialer for Detour {
    type Stream = Metered;

    async fn dial(&self, checked: CheckedAddress) -> io::Result<Metered> {
        let address = checked.socket_address();
        let read = self.meter(address);
        let stream = match (self.way)(address) {
            Some(to) => TcpStream::connect(to).await?,
            None if address.ip().is_loopback() => Internet.dial(checked).await?,
            None => return Err(io::ErrorKind::ConnectionRefused.into()),
        };
        Ok(Metered { stream, read })
    }
}

/// A connection that counts what is read from it.
pub(crate) struct Metered {
    stream: TcpStream,
    read: Arc<AtomicU64>,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, into);
        let read = u64::try_from(into.filled().len() - before).expect("few bytes");
        self.read.fetch_add(read, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, to: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(to, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
