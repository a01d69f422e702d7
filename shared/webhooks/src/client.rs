//! The webhook client: one POST over its own connection, to a checked address.
//!
//! Two exchanges share nothing: no connection, no TLS session and no DNS answer. So a connection never carries the
//! requests of two tenants. Every address of a name must be public, and the connection goes to the checked address
//! itself, so a later change of the DNS record has no effect.
//!
//! | Limit | Value |
//! |---|---|
//! | name, connection, TLS, request and head of the answer | 13 s |
//! | body of the answer | 2 s |
//! | bytes read from the socket during the TLS handshake | 64 KiB |
//! | bytes read from the socket after it, head and body together | 16 KiB |

use std::time::Duration;

use http::Request;
use http_body_util::Full;
use hyper::body::Bytes;
use tokio::time::timeout;
use tokio_rustls::rustls::{self, RootCertStore};

use crate::bounded::Bounded;
use crate::connection::{CheckedAddress, Dialer, Internet, connect};
use crate::exchange::{self, Begun};
use crate::http_request;
use crate::recorded::Record;
use crate::resolver::Resolver;
use crate::tls::Tls;
use domain::delivery::verdict::Answer;
use domain::delivery::verdict::failure::Failure;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::address::name;
use domain::endpoint::handshake::{Question, Reply};
use domain::endpoint::url::EndpointUrl;
use domain::timestamp::Timestamp;
use store::webhook_sender::WebhookSender;

/// The deadline for the name, the connection, TLS, the request and the head of the answer.
const DEADLINE: Duration = Duration::from_secs(13);

/// How long a client that sets a URL waits for the lookup of its name.
const CHECK_PATIENCE: Duration = Duration::from_secs(2);

/// Sends webhooks.
#[derive(Clone)]
pub struct WebhookClient<D = Internet> {
    resolver: Resolver,
    dialer: D,
    tls: Tls,
}

impl WebhookClient {
    /// Makes a client that asks the system's name servers and trusts the public certificate authorities.
    ///
    /// # Errors
    /// [`rustls::Error`] if the TLS provider has no protocol version. A correct build never returns it.
    pub fn new() -> Result<Self, rustls::Error> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Ok(Self { resolver: Resolver::of_system(), dialer: Internet, tls: Tls::trusting(roots)? })
    }
}

impl<D: Dialer> WebhookClient<D> {
    /// Makes a client with other authorities, one name server and another dialer.
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

    /// Returns the addresses to connect to, after a check of every address of the name. The name itself is checked
    /// first, so that text which could be an address is never looked up.
    async fn resolve(&self, url: &EndpointUrl) -> Result<Vec<CheckedAddress>, Failure> {
        if url.is_loopback() {
            return Ok(vec![CheckedAddress::loopback(url.port())]);
        }
        name::check(url.host()).map_err(|_| Failure::Refused)?;
        let addresses = self.resolver.addresses(url.host()).await?;
        let checked = addresses.into_iter().map(|address| CheckedAddress::public(address, url.port()));
        checked.collect::<Option<Vec<_>>>().ok_or(Failure::RefusedAddress)
    }

    /// Connects to a checked address of the URL, sends the request, and reads the head of the answer.
    async fn begin(
        &self,
        url: &EndpointUrl,
        request: Request<Full<Bytes>>,
        record: Record,
    ) -> Result<Begun, Failure> {
        let addresses = self.resolve(url).await?;
        let stream = Bounded::new(connect(&self.dialer, &addresses).await?);
        if url.is_loopback() {
            return exchange::begin(stream.for_answer(), record, request).await;
        }
        let (stream, ended) = self.tls.handshake(url.host(), stream).await?;
        exchange::begin((stream, ended), record, request).await
    }
}

impl<D: Dialer> WebhookSender for WebhookClient<D> {
    async fn post(&self, request: &WebhookRequest, now: Timestamp) -> Answer {
        let record = Record::default();
        let Ok(http) = http_request::of_webhook(request) else { return Answer::None(Failure::Refused) };
        let failure = match timeout(DEADLINE, self.begin(&request.url, http, record.clone())).await {
            Ok(Ok(begun)) => return begun.end(now).await,
            Ok(Err(failure)) => failure,
            Err(_) => Failure::TimedOut,
        };
        exchange::odd_answer(&record, now).unwrap_or(Answer::None(failure))
    }

    async fn ask(&self, url: &EndpointUrl, question: &Question) -> Result<Reply, Failure> {
        let http = http_request::of_handshake(url, question).map_err(|_| Failure::Refused)?;
        let begun = timeout(DEADLINE, self.begin(url, http, Record::default())).await;
        begun.unwrap_or(Err(Failure::TimedOut)).map(|begun| begun.reply())
    }

    async fn check(&self, url: &EndpointUrl) -> Result<(), Failure> {
        match timeout(CHECK_PATIENCE, self.resolve(url)).await {
            Ok(Err(refused)) if refused.is_refused_by_us() => Err(refused),
            _ => Ok(()),
        }
    }
}
