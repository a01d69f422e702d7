//! One request and its answer over a connection that is there: HTTP/1.1, no compression, no redirects, one request.

use std::error::Error;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::MAX_ANSWER_BYTES;
use super::limited::TooMuch;
use crate::ports::WebhookRequest;
use crate::timestamp::Timestamp;
use crate::verdict::{Answer, Failure, retry_after};

/// How long the body of an answer may take.
const BODY_PATIENCE: Duration = Duration::from_secs(2);

/// As many headers as the bytes that are read can hold: an answer ends by its bytes, and by nothing else.
const MAX_HEADERS: usize = MAX_ANSWER_BYTES / 4;

/// What is kept of an answer's body.
const EXCERPT_BYTES: usize = 1024;

/// An exchange whose answer has begun: its body may or may not end.
pub(super) struct Begun {
    answer: Response<Incoming>,
    retry_after: Option<Duration>,
    _connection: JoinSet<Result<(), hyper::Error>>,
}

/// Sends the request and reads the head of its answer.
pub(super) async fn begin<S>(stream: S, request: &WebhookRequest, now: Timestamp) -> Result<Begun, Failure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let builder = &mut http1::Builder::new();
    builder.max_headers(MAX_HEADERS).max_buf_size(2 * MAX_ANSWER_BYTES); // the stream itself ends before
    let connected = builder.handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connected.map_err(|error| failure(&error))?;
    let mut connection_task = JoinSet::new(); // ends the connection with this exchange, however that ends
    connection_task.spawn(connection);
    let answer = sender.send_request(to_http(request)?).await.map_err(|error| failure(&error))?;
    let wish = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let retry_after = wish.and_then(|value| retry_after(value, now));
    Ok(Begun { answer, retry_after, _connection: connection_task })
}

impl Begun {
    /// Reads the body so far as is polite: a receiver that is cut off while it writes may think that it failed. What it
    /// says is kept for the endpoint's owner and changes nothing, nor does whether it ends.
    pub(super) async fn end(self) -> Answer {
        let (code, mut body, mut bytes) =
            (self.answer.status().as_u16(), self.answer.into_body(), Vec::new());
        let read = async {
            while let Some(Ok(frame)) = body.frame().await {
                let data = frame.data_ref().map_or(&[][..], |data| &data[..]);
                bytes.extend_from_slice(&data[..data.len().min(EXCERPT_BYTES - bytes.len())]);
            }
        };
        let _ = timeout(BODY_PATIENCE, read).await;
        let excerpt = String::from_utf8_lossy(&bytes).into_owned();
        Answer::Status { code, retry_after: self.retry_after, excerpt }
    }
}

fn to_http(request: &WebhookRequest) -> Result<Request<Full<Bytes>>, Failure> {
    let mut http = Request::post(request.url.path_and_query())
        .header("host", request.url.authority())
        .header("content-type", "application/json")
        .header("user-agent", concat!("Triggers/", env!("CARGO_PKG_VERSION")));
    for (name, value) in &request.headers {
        http = http.header(name, value);
    }
    http.body(Full::new(Bytes::from(request.body.clone()))).map_err(|_| Failure::Refused)
}

/// Why no head of an answer came.
fn failure(error: &hyper::Error) -> Failure {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<std::io::Error>() {
            let is_too_much = error.get_ref().and_then(|inner| inner.downcast_ref::<TooMuch>()).is_some();
            return if is_too_much { Failure::TooLarge } else { Failure::Closed };
        }
        source = cause.source();
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Failure::Closed
    } else {
        Failure::Protocol
    }
}
