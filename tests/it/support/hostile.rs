//! Receivers that behave badly, each in one way of its own, and what a client is to make of it.

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use super::authority::{Authority, Identity};
use super::wire::{Request, Server};

/// What a receiver does with a connection.
type Serve = Box<dyn Fn(&TcpStream) -> io::Result<()> + Send + Sync>;

/// One way to behave badly.
pub(crate) struct Behaviour {
    pub(crate) name: &'static str,
    /// The classes that are right, separated by `|`: a status, or a failure's name.
    pub(crate) expects: &'static str,
    /// Whether the receiver is behind TLS, with a name.
    pub(crate) is_tls: bool,
    serve: Serve,
}

/// The names in the certificates of the receivers behind TLS.
pub(crate) const TLS_NAMES: &str = "*.receivers.net";

const YEARS: (i32, i32) = (2020, 4000);

/// The beginning of a good answer whose body is still to come.
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const STATUS_LINE: &[u8] = b"HTTP/1.1 200 OK\r\n";

impl Behaviour {
    /// Where it behaves so from now on.
    pub(crate) fn start(self) -> Server {
        Server::start(self.serve)
    }
}

/// The receivers that speak plain HTTP, or what they take for it. Redirects lead to `elsewhere`.
pub(crate) fn plain(elsewhere: SocketAddr) -> Vec<Behaviour> {
    let redirects = ["301", "302", "307", "308"].map(|code| {
        let head = format!("HTTP/1.1 {code} .\r\nlocation: http://{elsewhere}/\r\ncontent-length: 0\r\n\r\n");
        of("a redirect", code, after_request(move |stream| (&*stream).write_all(head.as_bytes())))
    });
    with_bad_heads().into_iter().chain(with_odd_heads()).chain(with_bad_bodies()).chain(redirects).collect()
}

fn of(name: &'static str, expects: &'static str, serve: Serve) -> Behaviour {
    Behaviour { name, expects, is_tls: false, serve }
}

fn with_bad_heads() -> Vec<Behaviour> {
    vec![
        of("accepts and closes", "connection_closed", Box::new(|_| Ok(()))),
        of("accepts and stalls", "timed_out", Box::new(until_closed)),
        of("never reads the request", "timed_out", Box::new(|_| never())),
        of(
            "takes a second to begin",
            "200",
            Box::new(|stream| {
                thread::sleep(Duration::from_secs(1));
                says(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")(stream)
            }),
        ),
        of("head: one byte per second", "timed_out", drips(b"", b"HTTP/1.1 200 OK\r\n")),
        of("head: endless headers", "200", endless(STATUS_LINE, b"x-more: and more\r\n")),
        of(
            "head: 10,000 headers",
            "200",
            after_request(|mut stream| {
                stream.write_all(&[STATUS_LINE, &b"a: b\r\n".repeat(10_000), b"\r\n"].concat())
            }),
        ),
        of("head: one endless line", "200", endless(b"HTTP/1.1 200 OK\r\nx: ", &[b'x'; 1000])),
        of("head: an endless reason", "head_too_large", endless(b"HTTP/1.1 200 ", &[b'x'; 1000])),
        of("head: 1xx flood", "head_too_large", endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
        of("head: one 103 a second", "timed_out", drips_pieces(b"HTTP/1.1 103 Early Hints\r\n\r\n")),
        of(
            "head: 101 upgrade",
            "101",
            then_stalls(b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"),
        ),
        of("head: two status lines", "200", says(b"HTTP/1.1 200 OK\r\nHTTP/1.1 500 No\r\n\r\n")),
        of("head: null bytes", "200", says(b"HTTP/1.1 200 OK\r\nx-a\0b: \0\r\n\r\n")),
        of("head: HTTP/0.9", "broken_answer", says(b"<html>thank you</html>\r\n")),
        of(
            "head: HTTP/2 preface",
            "broken_answer",
            says(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
        ),
        of("head: garbage", "broken_answer", endless(b"", &[0xde, 0xad, 0xbe, 0xef, 0, 10])),
        of("head: status 99", "broken_answer", says(b"HTTP/1.1 99 Low\r\n\r\n")),
        of("head: status 999", "999", says(b"HTTP/1.1 999 High\r\ncontent-length: 0\r\n\r\n")),
        of("head: negative length", "200", says(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n")),
        of(
            "head: two lengths",
            "200",
            says(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx"),
        ),
        of(
            "head: answers before it reads the request",
            "413|connection_closed",
            resets_after(b"HTTP/1.1 413 .\r\ncontent-length: 0\r\n\r\n"),
        ),
        of("head: reset before it", "connection_closed", resets_after(b"")),
        of("head: reset within it", "200|connection_closed", resets_after(b"HTTP/1.1 200 OK\r\nx-a: b")),
        of("head: reset after it", "200", resets_after(OK)),
    ]
}

fn with_bad_bodies() -> Vec<Behaviour> {
    let gzip = [&b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n"[..], &GZIP_BEGINNING].concat();
    vec![
        of("body: reset within it", "200", resets_after(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")),
        of("body: one byte per second", "200", drips(OK, b"x")),
        of(
            "body: begins after 12 s, one byte per second",
            "200",
            after_request(|mut stream| {
                thread::sleep(Duration::from_secs(12));
                stream.write_all(OK)?;
                drip(stream, b"x")
            }),
        ),
        of("body: stalls", "200", then_stalls(OK)),
        of("body: HTTP/1.0, never ends", "200", then_stalls(b"HTTP/1.0 200 OK\r\n\r\n")),
        of("body: a gigabyte", "200", endless(OK, &[b'x'; 1000])),
        of("body: shorter than said", "200", says(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")),
        of("body: longer than said", "200", says(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nmuch more")),
        of("body: endless chunks", "200", endless(CHUNKED, b"1\r\nx\r\n")),
        of(
            "body: chunk size overflows",
            "200",
            says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nx\r\n0\r\n\r\n"),
        ),
        of(
            "body: endless trailers",
            "200",
            endless(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
        ),
        of("body: gzip bomb", "200", endless(gzip.leak(), &[0; 1000])),
        of("body: not UTF-8", "200", says(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n\xff\xfe\0")),
        of(
            "Retry-After: negative",
            "503",
            says(b"HTTP/1.1 503 .\r\nretry-after: -1\r\ncontent-length: 0\r\n\r\n"),
        ),
        of(
            "Retry-After: NaN",
            "503",
            says(b"HTTP/1.1 503 .\r\nretry-after: NaN\r\ncontent-length: 0\r\n\r\n"),
        ),
        of(
            "Retry-After: huge",
            "503 after 18446744073709551615 s",
            says(b"HTTP/1.1 503 .\r\nretry-after: 99999999999999999999999\r\ncontent-length: 0\r\n\r\n"),
        ),
    ]
}

/// Receivers that take the request and answer 200 with a head that is not valid HTTP.
fn with_odd_heads() -> Vec<Behaviour> {
    let headers: [(&str, &[u8]); 12] = [
        ("odd: a space before the colon", b"x-name : value\r\n"),
        ("odd: a name with spaces", b"x name: value\r\n"),
        ("odd: no colon", b"x-name value\r\n"),
        ("odd: no name", b": value\r\n"),
        ("odd: control bytes in a value", b"x-name: a\x01\x02\x7fb\r\n"),
        ("odd: control bytes in a name", b"x-\x01name: value\r\n"),
        ("odd: a folded line", b"x-name: one\r\n two\r\n"),
        ("odd: a length that is no number", b"content-length: many\r\n"),
        ("odd: a length with a plus", b"content-length: +0\r\n"),
        ("odd: two equal lengths in one", b"content-length: 0, 0\r\n"),
        ("odd: a length beside chunks", b"content-length: 5\r\ntransfer-encoding: chunked\r\n"),
        ("odd: an unknown transfer encoding", b"transfer-encoding: rot13\r\n"),
    ];
    let odd = |(name, header): (&'static str, &[u8])| {
        let head = [STATUS_LINE, header, b"\r\n"].concat();
        of(name, "200", after_request(move |mut stream| stream.write_all(&head)))
    };
    let mut all: Vec<Behaviour> = headers.into_iter().map(odd).collect();
    all.push(of("odd: a bare line feed", "200", says(b"HTTP/1.1 200 OK\nx-name : a\n\n")));
    for (name, lines) in [("odd: 150 headers", 150), ("odd: 24 KiB of head", 1_000)] {
        let head = [STATUS_LINE, &b"x-name: and its value.\r\n".repeat(lines), b"\r\n"].concat();
        all.push(of(name, "200", after_request(move |mut stream| stream.write_all(&head))));
    }
    let head = b"HTTP/1.1 429 .\r\nx name: a\r\nretry-after: 7\r\n\r\n";
    all.push(of("odd: and a wish to wait", "429 after 7 s", says(head)));
    all
}

/// The receivers behind TLS, or in its place.
pub(crate) fn behind_tls(authority: &Authority) -> Vec<Behaviour> {
    let of = |name, expects, serve| Behaviour { name, expects, is_tls: true, serve };
    let wary = authority.wary_identity(TLS_NAMES);
    let good = authority.identity(TLS_NAMES, YEARS);
    let answering = |identity: Identity| -> Serve {
        Box::new(move |stream| identity.answer(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"))
    };
    let after_handshake = |begin: &'static [u8], piece: Option<&'static [u8]>| -> Serve {
        let identity = good.clone();
        Box::new(move |stream| {
            let mut secured = identity.serve(stream)?;
            secured.write_all(begin)?;
            while let Some(piece) = piece {
                secured.write_all(piece)?;
            }
            Ok(())
        })
    };
    let certificate = |name, years| answering(authority.identity(name, years));
    vec![
        of("TLS: good", "200", answering(good.clone())),
        of("TLS: accepts and closes", "tls_handshake", Box::new(|_| Ok(()))),
        of("TLS: stalls", "timed_out", Box::new(until_closed)),
        of(
            "TLS: one byte per second",
            "timed_out",
            Box::new(|stream| drip(stream, b"\x16\x03\x03\x40\0\x02")),
        ),
        of("TLS: garbage", "tls_handshake", Box::new(|stream| repeat(stream, &[0xde, 0xad, 0xbe]))),
        of("TLS: plain HTTP", "tls_handshake", Box::new(|mut stream| stream.write_all(OK))),
        of(
            "TLS: an alert",
            "tls_incompatible",
            Box::new(|mut stream| stream.write_all(b"\x15\x03\x03\0\x02\x02\x28")),
        ),
        of(
            "TLS: an endless handshake",
            "tls_handshake",
            Box::new(|mut stream| {
                stream.write_all(b"\x16\x03\x03\x40\0\x02\0\xff\xff")?;
                repeat(stream, &[3; 0x4000])
            }),
        ),
        of("TLS: expired", "certificate_expired", certificate(TLS_NAMES, (2020, 2021))),
        of("TLS: not valid yet", "certificate_not_yet_valid", certificate(TLS_NAMES, (3999, 4000))),
        of("TLS: another name", "certificate_wrong_name", certificate("hooks.others.net", YEARS)),
        of(
            "TLS: unknown issuer, no intermediate certificate",
            "certificate_chain_incomplete",
            answering(Authority::new("nobody knows").identity(TLS_NAMES, YEARS)),
        ),
        of(
            "TLS: unknown issuer, whole chain",
            "certificate_unknown_issuer",
            answering(Authority::new("nobody knows").identity_with_chain(TLS_NAMES)),
        ),
        of("TLS: self-signed", "certificate_chain_incomplete", answering(Identity::self_signed(TLS_NAMES))),
        of(
            "TLS: wants a certificate of ours",
            "tls_client_certificate",
            Box::new(move |stream| {
                let _after_its_alert = wary.serve(stream).err();
                until_closed(stream)
            }),
        ),
        of("TLS: cut within the head", "200", after_handshake(b"HTTP/1.1 200 OK\r\n", None)),
        of("TLS: endless headers", "200", after_handshake(STATUS_LINE, Some(&[b'x'; 500]))),
        of("TLS: endless body", "200", after_handshake(OK, Some(&[b'x'; 500]))),
        of("TLS: a record for each byte", "200", after_handshake(OK, Some(b"x"))),
    ]
}

/// What a deflated file begins with; zeros after it never end.
const GZIP_BEGINNING: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];

fn after_request(act: impl Fn(&TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Serve {
    Box::new(move |stream| {
        Request::read(&mut BufReader::new(stream))?;
        act(stream)
    })
}

fn says(text: &'static [u8]) -> Serve {
    after_request(move |mut stream| stream.write_all(text))
}

fn then_stalls(text: &'static [u8]) -> Serve {
    after_request(move |mut stream| {
        stream.write_all(text)?;
        until_closed(stream)
    })
}

fn endless(beginning: &'static [u8], piece: &'static [u8]) -> Serve {
    after_request(move |mut stream| {
        stream.write_all(beginning)?;
        repeat(stream, piece)
    })
}

fn drips(beginning: &'static [u8], piece: &'static [u8]) -> Serve {
    after_request(move |mut stream| {
        stream.write_all(beginning)?;
        drip(stream, piece)
    })
}

fn drips_pieces(piece: &'static [u8]) -> Serve {
    after_request(move |mut stream| {
        loop {
            stream.write_all(piece)?;
            thread::sleep(Duration::from_secs(1));
        }
    })
}

/// Closing while something is unread resets the connection.
fn resets_after(text: &'static [u8]) -> Serve {
    Box::new(move |mut stream| {
        stream.peek(&mut [0])?;
        stream.write_all(text)
    })
}

fn repeat(mut stream: &TcpStream, piece: &[u8]) -> io::Result<()> {
    loop {
        stream.write_all(piece)?;
    }
}

fn drip(mut stream: &TcpStream, piece: &[u8]) -> io::Result<()> {
    for byte in piece.iter().cycle() {
        stream.write_all(&[*byte])?;
        thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

fn until_closed(mut stream: &TcpStream) -> io::Result<()> {
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

fn never() -> ! {
    loop {
        thread::park();
    }
}
