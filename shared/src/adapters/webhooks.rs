//! The outside world: one POST over one connection of its own, to an address that was checked.
//!
//! No connection is shared, so none can carry one tenant's request after another's. The name is resolved here
//! ([`resolver`](self)), every address behind it must be public ([`crate::address`]), and the connection goes to the checked
//! address itself: a name that resolves differently a moment later changes nothing. Nothing is followed, nothing is
//! decompressed, and of what a receiver sends no more is read than the beginning.

mod exchange;
mod limited;
mod resolver;
mod tls;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_ok;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::RootCertStore;

use self::exchange::Begun;
use self::limited::Limited;
use self::resolver::Resolver;
use crate::endpoint::EndpointUrl;
use crate::ports::{WebhookRequest, WebhookSender};
use crate::timestamp::Timestamp;
use crate::verdict::{Answer, Failure};

/// One deadline over name, connection, TLS, request and the head of the answer; with the body's patience it makes 15 s.
const DEADLINE: Duration = Duration::from_secs(13);

/// How long one of a name's addresses may take to connect.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// How long somebody waits who configures a URL whose name nobody resolves.
const CHECK_PATIENCE: Duration = Duration::from_secs(2);

/// How long after one address the next is tried beside it (RFC 8305 section 5).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// The most of a name's addresses that are tried.
const MOST_ADDRESSES: usize = 6;

/// The most that is read of an answer, head and body together.
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// The most that is read from a connection that speaks TLS: the answer, certificates, and what the records add.
const MAX_TLS_BYTES: usize = 64 * 1024;

/// Where the connection for an address goes: to itself, but in tests.
type Dial = Arc<dyn Fn(SocketAddr) -> SocketAddr + Send + Sync>;

/// Sends webhooks.
#[derive(Clone)]
pub struct WebhookClient {
    resolver: Resolver,
    tls: TlsConnector,
    dial: Dial,
}

/// Another world for tests: who tells the addresses of names, who vouches for certificates, and where connections go.
#[cfg(any(test, feature = "testing"))]
pub struct World {
    /// The one name server, asked over UDP.
    pub name_server: SocketAddr,
    /// The authorities, as DER.
    pub authorities: Vec<Vec<u8>>,
    /// Where the connection for a checked address goes.
    pub dial: Dial,
}

impl WebhookClient {
    /// A client that asks the system's name servers and trusts the public authorities of the web.
    ///
    /// # Errors
    /// When the TLS provider knows no protocol version, which only a wrong build can cause.
    pub fn new() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Ok(Self {
            resolver: Resolver::of_system()?,
            tls: tls::connector(roots)?,
            dial: Arc::new(|address| address),
        })
    }

    /// A client in another world. Its rules are the same: addresses are checked before they are dialled.
    ///
    /// # Errors
    /// When an authority cannot be read.
    #[cfg(any(test, feature = "testing"))]
    pub fn in_world(world: World) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut roots = RootCertStore::empty();
        for der in world.authorities {
            roots.add(der.into())?;
        }
        Ok(Self { resolver: Resolver::at(world.name_server)?, tls: tls::connector(roots)?, dial: world.dial })
    }

    /// Whether the name of a URL may be asked for webhooks by the addresses it has now. A name that has none yet may.
    ///
    /// # Errors
    /// [`Failure::Refused`] where an address behind it is not public.
    pub async fn check(&self, url: &EndpointUrl) -> Result<(), Failure> {
        match timeout(CHECK_PATIENCE, self.addresses(url)).await {
            Ok(Err(Failure::Refused)) => Err(Failure::Refused),
            _ => Ok(()), // what does not resolve now is checked again at every attempt
        }
    }

    async fn addresses(&self, url: &EndpointUrl) -> Result<Vec<SocketAddr>, Failure> {
        if url.is_loopback() {
            return Ok(vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), url.port())]);
        }
        let addresses = self.resolver.public_addresses(url.host()).await?;
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, url.port())).collect())
    }

    async fn exchange(&self, request: &WebhookRequest, now: Timestamp) -> Result<Begun, Failure> {
        let addresses = self.addresses(&request.url).await?;
        let stream = self.connect(&addresses).await?;
        let _ = stream.set_nodelay(true); // only a matter of speed
        if request.url.is_loopback() {
            return exchange::begin(Limited::new(stream, MAX_ANSWER_BYTES), request, now).await;
        }
        let stream = Limited::new(stream, MAX_TLS_BYTES);
        let stream = tls::connect(&self.tls, request.url.host(), stream).await?;
        exchange::begin(Limited::new(stream, MAX_ANSWER_BYTES), request, now).await
    }

    /// A connection to the first address that takes one.
    async fn connect(&self, addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
        let tries = addresses.iter().take(MOST_ADDRESSES).zip(0..).map(|(address, place)| {
            let target = (self.dial)(*address);
            Box::pin(async move {
                sleep(NEXT_ADDRESS * place).await;
                let connected = timeout(CONNECT_PATIENCE, TcpStream::connect(target)).await;
                connected.map_err(|_| Failure::ConnectTimeout)?.map_err(|error| match error.kind() {
                    std::io::ErrorKind::ConnectionRefused => Failure::ConnectRefused,
                    std::io::ErrorKind::TimedOut => Failure::ConnectTimeout,
                    _ => Failure::ConnectFailed,
                })
            })
        });
        select_ok(tries).await.map(|(stream, _)| stream)
    }
}

impl WebhookSender for WebhookClient {
    async fn post(&self, request: &WebhookRequest, now: Timestamp) -> Answer {
        match timeout(DEADLINE, self.exchange(request, now)).await {
            Ok(Ok(begun)) => begun.end().await,
            Ok(Err(failure)) => Answer::None(failure),
            Err(_) => Answer::None(Failure::Timeout),
        }
    }
}
