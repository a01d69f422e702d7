//! A program that webhooks are forwarded to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::PATIENCE;

/// A request as it came: the lines of its head, and its body.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: Vec<String>,
    pub(crate) body: String,
}

/// A program on this machine that records each request.
pub(crate) struct Target {
    pub(crate) url: String,
    requests: Receiver<Request>,
}

impl Target {
    /// Answers the requests with these heads (`200 OK`), in turn, and then with the last one.
    pub(crate) fn answering(heads: &'static [&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook?from=listen", listener.local_addr().unwrap());
        let (sender, requests) = channel();
        thread::spawn(move || {
            for (n, connection) in listener.incoming().flatten().enumerate() {
                let request = read(&connection);
                let head = heads[n.min(heads.len() - 1)];
                let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _closed = (&connection).write_all(answer.as_bytes());
                let _nobody_reads = sender.send(request);
            }
        });
        Self { url, requests }
    }

    /// Returns the next request.
    pub(crate) fn next(&self) -> Request {
        self.requests.recv_timeout(PATIENCE).expect("a request within 60 s")
    }
}

fn read(connection: &TcpStream) -> Request {
    let mut from = BufReader::new(connection);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let request = Request { head, body: String::new() };
    let mut body = String::new();
    let length = request.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    from.take(length).read_to_string(&mut body).unwrap();
    Request { body, ..request }
}

impl Request {
    /// Returns a header by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.iter().filter_map(|line| line.split_once(": "));
        headers.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}
