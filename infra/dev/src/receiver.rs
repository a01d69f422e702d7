//! A small HTTP server that receives webhooks.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use standardwebhooks::{Webhook, WebhookError};
use ureq::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::error::{Error, IoContext as _};

/// The largest request that is read: a webhook has at most 320 KiB.
const MAX_REQUEST_BYTES: u64 = 1024 * 1024;

/// How long a connection may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(15);

/// A received request.
#[derive(Debug)]
pub(crate) struct Request {
    /// The method, for example `POST`.
    pub(crate) method: String,
    /// The path, with its query.
    pub(crate) path: String,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body, byte for byte.
    pub(crate) body: Vec<u8>,
    /// When the last byte arrived.
    pub(crate) received_at: Instant,
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers, except those of the connection.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// Listens on a free port and answers every request with 200. Returns the URL and the requests.
pub(crate) fn listen() -> Result<(String, Receiver<Request>), Error> {
    let (sender, requests) = channel();
    let address = serve(move |request| {
        let _nobody_waits = sender.send(request);
        Answer::new(StatusCode::OK, "")
    })?;
    Ok((format!("{address}/webhook"), requests))
}

/// Listens on a free port and answers each request by `answer`. Each connection has a thread and one request. Returns the
/// URL without a path.
pub(crate) fn serve(answer: impl Fn(Request) -> Answer + Send + Sync + 'static) -> Result<String, Error> {
    let action = || "listen on a free port".to_owned();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context(action)?;
    let address = listener.local_addr().context(action)?;
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || respond(connection, &*answer));
        }
    });
    Ok(format!("http://{address}"))
}

fn respond(mut connection: TcpStream, answer: &impl Fn(Request) -> Answer) -> io::Result<()> {
    connection.set_read_timeout(Some(READ_TIMEOUT))?;
    let request = Request::read(BufReader::new(&connection).take(MAX_REQUEST_BYTES))?;
    connection.write_all(&answer(request).bytes())
}

impl Answer {
    /// Returns an answer with a text.
    pub(crate) fn new(status: StatusCode, body: &str) -> Self {
        Self { status, headers: HeaderMap::new(), body: body.into() }
    }

    /// Returns the bytes of the answer. The connection ends after it.
    fn bytes(&self) -> Vec<u8> {
        let length = self.body.len();
        let mut bytes =
            format!("HTTP/1.1 {}\r\ncontent-length: {length}\r\nconnection: close\r\n", self.status)
                .into_bytes();
        for (name, value) in &self.headers {
            bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }
}

impl Request {
    fn read(mut from: impl io::BufRead) -> io::Result<Self> {
        let mut first = String::new();
        from.read_line(&mut first)?;
        let mut words = first.split(' ').map(str::to_owned);
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let headers = read_headers(&mut from)?;
        let mut request = Self { method, path, headers, body: Vec::new(), received_at: Instant::now() };
        let length = request.header("content-length").parse().unwrap_or(0);
        from.take(length).read_to_end(&mut request.body)?;
        request.received_at = Instant::now();
        Ok(request)
    }

    /// Returns a header by its lower-case name. Returns an empty text if it is absent or has other characters than ASCII.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Checks the signature under `secret` (`whsec_...`) and the timestamp by the library of Standard Webhooks.
    pub(crate) fn verify(&self, secret: &str) -> Result<(), WebhookError> {
        Webhook::new(secret)?.verify(&self.body, &self.headers)
    }
}

fn read_headers(from: &mut impl io::BufRead) -> io::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in from.lines() {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        let name = HeaderName::try_from(name).map_err(|_| io::ErrorKind::InvalidData)?;
        let value = HeaderValue::try_from(value.trim()).map_err(|_| io::ErrorKind::InvalidData)?;
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Request {
        Request::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_request_is_read_up_to_its_length() {
        let request = read("POST /a?b HTTP/1.1\r\nWebhook-Id: x: y\r\nContent-Length: 3\r\n\r\nabcd");
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/a?b"));
        assert_eq!((request.header("webhook-id"), request.header("other")), ("x: y", ""));
        assert_eq!(request.body, b"abc");
        assert!(Request::read("\r\n\r\n".as_bytes()).is_err(), "a request has a path");
    }

    /// Uses the example of the specification. Its signature is right; its timestamp is of 2021.
    #[test]
    fn an_old_webhook_does_not_verify_and_neither_does_a_changed_body() {
        let text = "POST /webhook HTTP/1.1\r\n\
            Webhook-Id: msg_p5jXN8AQM9LWM0D4loKWxJek\r\n\
            Webhook-Timestamp: 1614265330\r\n\
            Webhook-Signature: v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\r\n\
            Content-Length: 20\r\n\r\n{\"test\": 2432232314}";
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        assert!(matches!(read(text).verify(secret), Err(WebhookError::TimestampTooOldError)));
    }

    #[test]
    fn an_answer_is_written_with_its_status_its_headers_and_its_length() {
        let mut answer = Answer::new(StatusCode::SERVICE_UNAVAILABLE, "wait");
        answer.headers.insert("retry-after", HeaderValue::from_static("7"));
        let text = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\nconnection: close\r\nretry-after: 7\r\n\r\nwait";
        assert_eq!(String::from_utf8(answer.bytes()).unwrap(), text);
    }
}
