//! A server that answers from a script, for what the stack does not do when it is asked to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::{Value, json};

/// Answers one request after the other by a script: a status, or no answer at all. Sends on the bodies that came.
pub(crate) fn answer_by(script: Vec<Option<u16>>) -> (String, Receiver<Value>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (bodies, received) = channel();
    thread::spawn(move || {
        for (status, stream) in script.into_iter().zip(listener.incoming().flatten()) {
            let _test_has_ended = bodies.send(read_body(&stream));
            if let Some(status) = status {
                answer(&stream, status);
            }
        }
    });
    (url, received)
}

fn read_body(stream: &TcpStream) -> Value {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    for line in reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = String::new();
    reader.take(length).read_to_string(&mut body).expect("a body");
    serde_json::from_str(&body).expect("JSON")
}

fn answer(mut stream: &TcpStream, status: u16) {
    let body = json!({"id": "evt_1", "status": "accepted", "detail": "wait"}).to_string();
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} -\r\nretry-after: 1\r\ncontent-length: {length}\r\nconnection: close");
    write!(stream, "{head}\r\n\r\n{body}").expect("it reads the answer");
}
