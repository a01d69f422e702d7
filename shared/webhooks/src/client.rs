//! The outside world: one POST over one connection of its own, to an address that was checked.
//!
//! Nothing is shared between two exchanges: no connection, no TLS session, no answer of a name server. So none can carry
//! one tenant's request after another's, and what a receiver says about itself holds for its own exchange alone. Every
//! address behind a name must be public, and the connection goes to the checked address itself: a name that resolves
//! differently a moment later changes nothing.
//!
//! | | at most |
//! |---|---|
//! | name, connection, TLS, request and head of the answer | 13 s |
//! | body of the answer | 2 s more |
//! | read from the socket during the TLS handshake | 64 KiB |
//! | read from the socket after it, head and body together | 16 KiB |

use std::time::Duration;

use tokio::time::timeout;
use tokio_rustls::rustls::{self, RootCertStore};

use crate::bounded::Bounded;
use crate::connection::{Checked, Dialer, Internet, connect};
use crate::exchange::{self, Begun};
use crate::resolver::Resolver;
use crate::tls::Tls;
use domain::delivery::verdict::Answer;
use domain::delivery::verdict::failure::Failure;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::address::name;
use domain::endpoint::url::EndpointUrl;
use domain::timestamp::Timestamp;
use store::webhook_sender::WebhookSender;

/// One deadline over name, connection, TLS, request and the head of the answer.
const DEADLINE: Duration = Duration::from_secs(13);

/// How long somebody waits who configures a URL whose name nobody resolves.
const CHECK_PATIENCE: Duration = Duration::from_secs(2);

/// Sends webhooks.
#[derive(Clone)]
pub struct WebhookClient<D = Internet> {
    resolver: Resolver,
    dialer: D,
    tls: Tls,
}

impl WebhookClient {
    /// A client that asks the system's name servers and trusts the public authorities of the web.
    ///
    /// # Errors
    /// When the TLS provider knows no protocol version, which only a wrong build can cause.
    pub fn new() -> Result<Self, rustls::Error> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Ok(Self { resolver: Resolver::of_system(), dialer: Internet, tls: Tls::trusting(roots)? })
    }
}

impl<D: Dialer> WebhookClient<D> {
    /// The same client with other authorities, one name server, and another way to the addresses that it has checked.
    ///
    /// # Errors
    /// As [`WebhookClient::new`].
    #[cfg(any(test, feature = "testing"))]
    pub fn for_testing(
        roots: RootCertStore,
        name_server: std::net::SocketAddr,
        dialer: D,
    ) -> Result<Self, rustls::Error> {
        Ok(Self { resolver: Resolver::asking(name_server), dialer, tls: Tls::trusting(roots)? })
    }

    /// The addresses to connect to, after every address behind the name was checked. The name is checked once more:
    /// nothing that could be taken for an address is ever looked up.
    async fn resolve(&self, url: &EndpointUrl) -> Result<Vec<Checked>, Failure> {
        if url.is_loopback() {
            return Ok(vec![Checked::loopback(url.port())]);
        }
        name::check(url.host()).map_err(|_| Failure::Refused)?;
        let addresses = self.resolver.addresses(url.host()).await?;
        let checked = addresses.into_iter().map(|address| Checked::public(address, url.port()));
        checked.collect::<Option<Vec<_>>>().ok_or(Failure::RefusedAddress)
    }

    async fn begin(&self, request: &WebhookRequest, now: Timestamp) -> Result<Begun, Failure> {
        let addresses = self.resolve(&request.url).await?;
        let stream = Bounded::new(connect(&self.dialer, &addresses).await?);
        if request.url.is_loopback() {
            return exchange::begin(stream.for_answer(), request, now).await;
        }
        let (stream, ended) = self.tls.handshake(request.url.host(), stream).await?;
        exchange::begin((stream, ended), request, now).await
    }
}

impl<D: Dialer> WebhookSender for WebhookClient<D> {
    async fn post(&self, request: &WebhookRequest, now: Timestamp) -> Answer {
        match timeout(DEADLINE, self.begin(request, now)).await {
            Ok(Ok(begun)) => begun.end().await,
            Ok(Err(failure)) => Answer::None(failure),
            Err(_) => Answer::None(Failure::TimedOut),
        }
    }

    async fn check(&self, url: &EndpointUrl) -> Result<(), Failure> {
        match timeout(CHECK_PATIENCE, self.resolve(url)).await {
            Ok(Err(refused)) if refused.is_ours() => Err(refused),
            _ => Ok(()),
        }
    }
}
