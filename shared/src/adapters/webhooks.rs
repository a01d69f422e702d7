//! The outside world: one POST over one connection of its own, to an address that was checked.
//!
//! No connection is shared, so none can carry one tenant's request after another's. The name is resolved here, every
//! address behind it must be public, and the connection goes to the checked address itself: a name that resolves
//! differently a moment later changes nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use crate::address::is_public;
use crate::endpoint::EndpointUrl;
use crate::ports::{WebhookRequest, WebhookSender};
use crate::timestamp::Timestamp;
use crate::verdict::{Answer, Failure, retry_after};

/// One deadline over name, connection, TLS, request and the head of the answer.
const DEADLINE: Duration = Duration::from_secs(13);

/// How long one of a name's addresses may take to connect before the next is tried.
const CONNECT_PATIENCE: Duration = Duration::from_secs(4);

/// How long the body of an answer may take; with it, no receiver holds an attempt for more than 15 s.
const BODY_PATIENCE: Duration = Duration::from_secs(2);

/// The most that is read of an answer's head, and of its body.
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// What is kept of an answer's body.
const EXCERPT_BYTES: usize = 1024;

/// Sends webhooks.
#[derive(Clone)]
pub struct WebhookClient {
    tls: TlsConnector,
}

impl WebhookClient {
    /// A client that trusts the public authorities of the web.
    ///
    /// # Errors
    /// When the TLS provider knows no protocol version, which only a wrong build can cause.
    pub fn new() -> Result<Self, tokio_rustls::rustls::Error> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: TlsConnector::from(Arc::new(config)) })
    }

    async fn exchange(&self, request: &WebhookRequest, now: Timestamp) -> Result<Begun, Failure> {
        let stream = connect(&resolve(&request.url).await?).await?;
        let _ = stream.set_nodelay(true); // only a matter of speed
        if request.url.is_loopback() {
            return talk(stream, request, now).await;
        }
        let name = ServerName::try_from(request.url.host().to_owned()).map_err(|_| Failure::Tls)?;
        let stream = self.tls.connect(name, stream).await.map_err(|_| Failure::Tls)?;
        talk(stream, request, now).await
    }
}

impl WebhookSender for WebhookClient {
    async fn post(&self, request: &WebhookRequest, now: Timestamp) -> Answer {
        let begun = match timeout(DEADLINE, self.exchange(request, now)).await {
            Ok(Ok(begun)) => begun,
            Ok(Err(failure)) => return Answer::None(failure),
            Err(_) => return Answer::None(Failure::Timeout),
        };
        begun.end().await
    }
}

/// The addresses to connect to, after every address behind the name was checked.
async fn resolve(url: &EndpointUrl) -> Result<Vec<SocketAddr>, Failure> {
    if url.is_loopback() {
        return Ok(vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), url.port())]);
    }
    let addresses = tokio::net::lookup_host((url.host(), url.port())).await.map_err(|_| Failure::Dns)?;
    let addresses: Vec<SocketAddr> = addresses.collect();
    if addresses.iter().any(|address| !is_public(address.ip())) {
        return Err(Failure::Refused);
    }
    if addresses.is_empty() { Err(Failure::Dns) } else { Ok(addresses) }
}

/// A connection to the first address that takes one.
async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
    for address in addresses {
        if let Ok(Ok(stream)) = timeout(CONNECT_PATIENCE, TcpStream::connect(address)).await {
            return Ok(stream);
        }
    }
    Err(Failure::Connect)
}

async fn talk<S>(stream: S, request: &WebhookRequest, now: Timestamp) -> Result<Begun, Failure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_ANSWER_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Failure::Protocol)?;
    let mut connection_task = JoinSet::new(); // ends the connection with this exchange, however that ends
    connection_task.spawn(connection);
    let answer = sender.send_request(to_http(request)?).await.map_err(|_| Failure::Protocol)?;
    let wish = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let retry_after = wish.and_then(|value| retry_after(value, now));
    Ok(Begun { answer, retry_after, _connection: connection_task })
}

fn to_http(request: &WebhookRequest) -> Result<Request<Full<Bytes>>, Failure> {
    let mut http = Request::post(request.url.path_and_query())
        .header("host", request.url.authority())
        .header("content-type", "application/json")
        .header("user-agent", concat!("Triggers/", env!("CARGO_PKG_VERSION")));
    for (name, value) in &request.headers {
        http = http.header(name, value);
    }
    http.body(Full::new(Bytes::from(request.body.clone()))).map_err(|_| Failure::Protocol)
}

/// An exchange whose answer has begun: its body may or may not end.
struct Begun {
    answer: Response<Incoming>,
    retry_after: Option<Duration>,
    _connection: JoinSet<Result<(), hyper::Error>>,
}

impl Begun {
    /// Reads the body so far as is polite: a receiver that is cut off while it writes may think that it failed. What it
    /// says is kept for the endpoint's owner and changes nothing, nor does whether it ends.
    async fn end(self) -> Answer {
        let (code, mut body, mut bytes) =
            (self.answer.status().as_u16(), self.answer.into_body(), Vec::new());
        let read = async {
            while let Some(Ok(frame)) = body.frame().await {
                bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
                if bytes.len() > MAX_ANSWER_BYTES {
                    return;
                }
            }
        };
        let _ = timeout(BODY_PATIENCE, read).await;
        bytes.truncate(EXCERPT_BYTES);
        let excerpt = String::from_utf8_lossy(&bytes).into_owned();
        Answer::Status { code, retry_after: self.retry_after, excerpt }
    }
}
