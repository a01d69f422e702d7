//! One request and its answer. The status line of the answer decides. The body is read up to a limit for the owner, is
//! never decompressed, and changes nothing.

use std::error::Error;
use std::io;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::rustls;

use crate::bounded::{ANSWER_BYTES, Ended};
use crate::odd_head::OddHead;
use crate::recorded::{Record, Recorded};
use crate::tls;
use domain::delivery::verdict::failure::Failure;
use domain::delivery::verdict::{Answer, retry_after};
use domain::endpoint::handshake::{ALLOWED_ORIGIN, ALLOWED_RATE, Reply};
use domain::timestamp::Timestamp;

/// How long the body of an answer may take. Together with the deadline of the head, an attempt takes at most 15 s.
const BODY_PATIENCE: Duration = Duration::from_secs(2);

/// The number of bytes that are kept of an answer's body.
const EXCERPT_BYTES: usize = 1024;

/// An exchange whose answer has started. Its body is not read yet.
pub(super) struct Begun {
    answer: Response<Incoming>,
    _connection: JoinSet<Result<(), hyper::Error>>,
}

/// Sends the request and reads the head of the answer.
pub(super) async fn begin<S>(
    (stream, ended): (S, Ended),
    record: Record,
    request: Request<Full<Bytes>>,
) -> Result<Begun, Failure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let largest = usize::try_from(ANSWER_BYTES).unwrap_or(usize::MAX);
    let builder = http1::Builder::new()
        .max_buf_size(largest)
        .handshake(TokioIo::new(Recorded::new(stream, record)))
        .await;
    let (mut sender, connection) = builder.map_err(|error| failure(&error, &ended))?;
    let mut connection_task = JoinSet::new(); // aborts the connection when the exchange is dropped
    connection_task.spawn(connection);
    let answer = sender.send_request(request).await.map_err(|error| failure(&error, &ended))?;
    Ok(Begun { answer, _connection: connection_task })
}

/// Returns the failure of an exchange without the head of an answer.
fn failure(error: &hyper::Error, ended: &Ended) -> Failure {
    if ended.by_its_bound() || error.is_parse_too_large() {
        return Failure::HeadTooLarge;
    }
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    if let Some(error) = cause.filter(|error| is_of_tls(error)) {
        return tls::failure(error); // in TLS 1.3 a receiver asks for a client certificate after the handshake
    }
    if error.is_parse() { Failure::BrokenAnswer } else { Failure::Closed }
}

/// Returns whether the error comes from the TLS session.
fn is_of_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>)
}

impl Begun {
    /// Reads the body up to its limits, because a receiver whose connection is cut early may think that it failed.
    /// The first bytes are kept for the owner of the endpoint. An incomplete body changes nothing.
    pub(super) async fn end(self, now: Timestamp) -> Answer {
        let code = self.answer.status().as_u16();
        let retry_after = self.header("retry-after").and_then(|value| retry_after(value, now));
        let mut excerpt = start_of_excerpt(code, self.header("location"));
        let mut body = self.answer.into_body();
        let read = async {
            while let Some(Ok(frame)) = body.frame().await {
                let bytes = frame.data_ref().map_or(&[][..], |data| &data[..]);
                let kept = bytes.len().min(EXCERPT_BYTES - excerpt.len());
                excerpt.extend_from_slice(&bytes[..kept]);
            }
        };
        let _ = timeout(BODY_PATIENCE, read).await;
        let excerpt = String::from_utf8_lossy(&excerpt).into_owned();
        Answer::Status { code, retry_after, excerpt }
    }

    /// Returns the reply to an ownership handshake: its head has everything.
    pub(super) fn reply(&self) -> Reply {
        let owned = |name| self.header(name).map(str::to_owned);
        Reply {
            code: self.answer.status().as_u16(),
            allowed_origin: owned(ALLOWED_ORIGIN),
            allowed_rate: owned(ALLOWED_RATE),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.answer.headers().get(name).and_then(|value| value.to_str().ok())
    }
}

/// Returns the answer of a receiver whose head is not valid HTTP, or never ended: its status line decides. Returns `None`
/// if there is no complete status line.
pub(super) fn odd_answer(record: &Record, now: Timestamp) -> Option<Answer> {
    let bytes = record.bytes();
    let head = OddHead::read(&bytes)?;
    let mut excerpt = start_of_excerpt(head.code, head.header("location"));
    excerpt.extend_from_slice(head.body);
    excerpt.truncate(EXCERPT_BYTES);
    let retry_after = head.header("retry-after").and_then(|value| retry_after(value, now));
    Some(Answer::Status {
        code: head.code,
        retry_after,
        excerpt: String::from_utf8_lossy(&excerpt).into_owned(),
    })
}

/// Returns what the owner sees before the body: the target of a redirect, which is never followed.
fn start_of_excerpt(code: u16, location: Option<&str>) -> Vec<u8> {
    let location = location.filter(|_| (300..400).contains(&code));
    let mut start = location.map(|target| format!("Location: {target}\n\n").into_bytes()).unwrap_or_default();
    start.truncate(EXCERPT_BYTES);
    start
}
