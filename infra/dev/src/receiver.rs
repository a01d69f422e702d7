//! A small HTTP server that receives webhooks.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;

use crate::error::{Error, IoContext as _};

/// A received request.
#[derive(Debug)]
pub(crate) struct Request {
    headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub(crate) body: Vec<u8>,
    /// When the last byte arrived.
    pub(crate) received_at: Instant,
}

/// Listens on a free port and answers every request with 200. Returns the URL and the requests.
pub(crate) fn listen() -> Result<(String, Receiver<Request>), Error> {
    let action = || "listen on a free port".to_owned();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context(action)?;
    let address = listener.local_addr().context(action)?;
    let (sender, requests) = channel();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let _broken_connection = respond(connection, &sender);
        }
    });
    Ok((format!("http://{address}/webhook"), requests))
}

fn respond(mut connection: TcpStream, requests: &Sender<Request>) -> io::Result<()> {
    let request = Request::read(&mut BufReader::new(&connection))?;
    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    requests.send(request).map_err(|_| io::ErrorKind::BrokenPipe.into())
}

impl Request {
    fn read(from: &mut impl io::BufRead) -> io::Result<Self> {
        let mut headers = Vec::new();
        for line in from.by_ref().lines().skip(1) {
            let line = line?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        let mut request = Self { headers, body: Vec::new(), received_at: Instant::now() };
        let length = request.header("content-length").parse().unwrap_or(0);
        from.take(length).read_to_end(&mut request.body)?;
        request.received_at = Instant::now();
        Ok(request)
    }

    /// Returns a header by its lower-case name. Returns an empty text if it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Whether one of the signatures is valid under `secret` (`whsec_...`), by Standard Webhooks 1.0.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let Ok(secret_bytes) = BASE64.decode(secret.trim_start_matches("whsec_")) else {
            return false;
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret_bytes);
        let prefix = format!("{}.{}.", self.header("webhook-id"), self.header("webhook-timestamp"));
        let signed = [prefix.as_bytes(), &self.body].concat();
        let signatures = self.header("webhook-signature").split(' ');
        signatures
            .filter_map(|signature| BASE64.decode(signature.strip_prefix("v1,")?).ok())
            .any(|tag| hmac::verify(&key, &signed, &tag).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uses the example of the specification.
    #[test]
    fn the_official_signature_is_accepted_and_a_changed_body_is_not() {
        let text = "POST /webhook HTTP/1.1\r\n\
            Webhook-Id: msg_p5jXN8AQM9LWM0D4loKWxJek\r\n\
            Webhook-Timestamp: 1614265330\r\n\
            Webhook-Signature: v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\r\n\
            Content-Length: 16\r\n\r\n{\"test\": 2432232314}";
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let truncated = Request::read(&mut text.as_bytes()).unwrap();
        assert!(!truncated.is_signed_with(secret));
        let complete_text = text.replace("Content-Length: 16", "Content-Length: 20");
        let complete = Request::read(&mut complete_text.as_bytes()).unwrap();
        assert_eq!(complete.body, b"{\"test\": 2432232314}");
        assert!(complete.is_signed_with(secret));
        assert!(!complete.is_signed_with("whsec_AAAA"));
    }
}
