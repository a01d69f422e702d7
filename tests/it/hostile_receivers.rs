//! Receivers that do what no receiver should, over real sockets, before the real client: whatever they do, the worker is free in
//! time, has read no more than the beginning, and the next delivery waits for none of them.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use triggers::endpoint::{EndpointUrl, UrlPolicy};
use triggers::verdict::{Answer, Failure};

use crate::support::hostile::{Behaviour, HostileReceiver};
use crate::support::memory::{growth_of, run_alone};
use crate::support::outside::Outside;
use crate::support::tls::{self, Certificate};

/// The worker is free after so long, whatever happens.
const FREE_AFTER: Duration = Duration::from_millis(15_500);

/// What an attempt may cost in memory.
const MOST_BYTES: u64 = 1024 * 1024;

/// What a behaviour must be judged as.
#[derive(Clone, Copy, Debug)]
enum Expected {
    Status(u16),
    Failure(Failure),
}

fn is_expected(answer: &Answer, expected: Expected) -> bool {
    match (answer, expected) {
        (Answer::Status { code, .. }, Expected::Status(wanted)) => *code == wanted,
        (Answer::None(failure), Expected::Failure(wanted)) => *failure == wanted,
        _ => false,
    }
}

/// Every behaviour without TLS, and what it must be judged as.
fn behaviours() -> Vec<(&'static str, Behaviour, Expected)> {
    use Behaviour::{Endless, NeverAccepts, NeverReads, Resets, Says, Slowly, Stalls};
    use Expected::{Failure as Fails, Status};
    let head = |rest: &str| format!("HTTP/1.1 200 OK\r\n{rest}\r\n").into_bytes();
    let many = |count: usize| (0..count).map(|n| format!("h{n}: x\r\n")).collect::<Vec<_>>().concat();
    let long_line = || [b"HTTP/1.1 200 OK\r\nlong: ".to_vec(), vec![b'a'; 64 * 1024]].concat();
    let redirect = |code: u16, to: &str| {
        Says(format!("HTTP/1.1 {code} .\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").into())
    };
    let bomb =
        || [head("content-encoding: gzip\r\ncontent-length: 1048576\r\n"), vec![0x1f; 1024 * 1024]].concat();
    vec![
        ("never accepts", NeverAccepts, Fails(Failure::ConnectTimeout)),
        ("accepts and closes", Says(vec![]), Fails(Failure::Closed)),
        ("accepts and stalls", Stalls(vec![]), Fails(Failure::Timeout)),
        ("never reads the request", NeverReads, Fails(Failure::Timeout)),
        ("resets before the head", Resets(vec![]), Fails(Failure::Closed)),
        ("resets within the head", Resets(b"HTTP/1.1 200 OK\r\ncont".to_vec()), Fails(Failure::Closed)),
        ("resets after the head", Resets(head("content-length: 5\r\n")), Status(200)),
        (
            "resets within the body",
            Resets([head("content-length: 5\r\n"), b"ab".to_vec()].concat()),
            Status(200),
        ),
        ("closes within the head", Says(b"HTTP/1.1 200 OK\r\ncont".to_vec()), Fails(Failure::Closed)),
        ("stalls within the head", Stalls(b"HTTP/1.1 200 OK\r\ncont".to_vec()), Fails(Failure::Timeout)),
        ("stalls within the body", Stalls(head("content-length: 5\r\n")), Status(200)),
        ("a byte of the head per second", Slowly(vec![], b"HTTP/1.1 200 OK\r\n"), Fails(Failure::Timeout)),
        ("a byte of the body per second", Slowly(head(""), b"x"), Status(200)),
        ("endless headers", Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"a: b\r\n"), Fails(Failure::TooLarge)),
        ("ten thousand headers", Says(head(&many(10_000))), Fails(Failure::TooLarge)),
        ("one endless header", Says(long_line()), Fails(Failure::TooLarge)),
        ("endless chunks", Endless(head("transfer-encoding: chunked\r\n"), b"5\r\nhello\r\n"), Status(200)),
        ("endless body without a length", Endless(head(""), b"hello"), Status(200)),
        (
            "a chunk size that overflows",
            Says([head("transfer-encoding: chunked\r\n"), b"ffffffffffffffffff\r\nx".to_vec()].concat()),
            Status(200),
        ),
        (
            "a length too short",
            Says([head("content-length: 2\r\n"), b"hello".to_vec()].concat()),
            Status(200),
        ),
        (
            "a length too long",
            Says([head("content-length: 500\r\n"), b"hello".to_vec()].concat()),
            Status(200),
        ),
        ("a length that is none", Says(head("content-length: -1\r\n")), Fails(Failure::Protocol)),
        ("two lengths", Says(head("content-length: 1\r\ncontent-length: 2\r\n")), Fails(Failure::Protocol)),
        (
            "a flood of 100 Continue",
            Endless(vec![], b"HTTP/1.1 100 Continue\r\n\r\n"),
            Fails(Failure::TooLarge),
        ),
        (
            "103 and then a stall",
            Stalls(b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec()),
            Fails(Failure::Timeout),
        ),
        (
            "a switch of protocols",
            Says(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n".to_vec()),
            Status(101),
        ),
        ("a gzip bomb", Says(bomb()), Status(200)),
        ("a redirect to itself", redirect(301, "/"), Status(301)),
        ("a redirect to the metadata", redirect(302, "http://169.254.169.254/"), Status(302)),
        ("a redirect that keeps the method", redirect(307, "http://127.0.0.1:1/"), Status(307)),
        ("HTTP/0.9", Says(b"<html>ok</html>".to_vec()), Fails(Failure::Protocol)),
        ("another protocol", Says(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), Fails(Failure::Protocol)),
        (
            "HTTP/2 at once",
            Says(b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x04\0\x10\0\0\0\x06\0\0\x40\0".to_vec()),
            Fails(Failure::Protocol),
        ),
        ("null bytes", Says(b"HTTP/1.1 200 OK\r\na: \0\r\n\r\n".to_vec()), Fails(Failure::Protocol)),
        ("a status that is none", Says(b"HTTP/1.1 2000 OK\r\n\r\n".to_vec()), Fails(Failure::Protocol)),
        (
            "a body that is no text",
            Says([head("content-length: 4\r\n"), vec![0xff, 0xfe, 0, 0x80]].concat()),
            Status(200),
        ),
        (
            "a Retry-After of another world",
            Says(
                b"HTTP/1.1 503 .\r\nretry-after: -99999999999999999999\r\ncontent-length: 0\r\n\r\n".to_vec(),
            ),
            Status(503),
        ),
        (
            "two answers at once",
            Says([head("content-length: 0\r\n"), b"HTTP/1.1 500 .\r\n\r\n".to_vec()].concat()),
            Status(200),
        ),
    ]
}

fn nobody() -> Outside {
    Outside::new(|_| Vec::new(), Vec::new(), 0)
}

fn url(receiver: &HostileReceiver) -> EndpointUrl {
    let url = format!("http://127.0.0.1:{}/hook", receiver.port);
    EndpointUrl::parse(&url, UrlPolicy::LoopbackAllowed).unwrap()
}

#[tokio::test]
async fn whatever_a_receiver_does_the_worker_is_free_in_time_and_the_next_delivery_is_not_delayed() {
    let outside = nobody();
    let begun = Instant::now();
    let mut receivers = Vec::new();
    for (name, behaviour, expected) in behaviours() {
        receivers.push((name, HostileReceiver::start(behaviour).await, expected));
    }
    let posts = join_all(receivers.iter().map(|(name, receiver, expected)| {
        let outside = &outside;
        async move { (*name, *expected, outside.post_large(url(receiver)).await, begun.elapsed()) }
    }));
    let next = async {
        tokio::time::sleep(Duration::from_secs(1)).await; // by then all that hang do
        let good = HostileReceiver::start(Behaviour::Says(b"HTTP/1.1 204 .\r\n\r\n".to_vec())).await;
        let begun = Instant::now();
        assert!(is_expected(&outside.post_large(url(&good)).await, Expected::Status(204)));
        begun.elapsed()
    };
    let (ended, next) = futures_util::future::join(posts, next).await;
    let longest = ended.iter().map(|(.., elapsed)| *elapsed).max().unwrap();
    for (name, expected, answer, elapsed) in &ended {
        assert!(is_expected(answer, *expected), "{name}: {answer:?} instead of {expected:?}");
        assert!(*elapsed < FREE_AFTER, "{name}: {elapsed:?}");
    }
    println!(
        "{} hostile receivers at once: free after {longest:?} at most; the next delivery took {next:?}",
        ended.len()
    );
    assert!(next < Duration::from_secs(1), "{next:?}");
}

#[tokio::test]
async fn of_an_answer_no_more_than_its_beginning_is_read() {
    let outside = nobody();
    for (bytes, expected) in
        [(16 * 1024, Expected::Status(200)), (16 * 1024 + 1, Expected::Failure(Failure::TooLarge))]
    {
        let (start, end) = ("HTTP/1.1 200 OK\r\na: ", "\r\n\r\n");
        let head = format!("{start}{}{end}", "x".repeat(bytes - start.len() - end.len()));
        assert_eq!(head.len(), bytes);
        let receiver = HostileReceiver::start(Behaviour::Says(head.into())).await;
        let answer = outside.post_large(url(&receiver)).await;
        assert!(is_expected(&answer, expected), "{bytes} bytes: {answer:?}");
    }
    let body = [b"HTTP/1.1 500 .\r\n\r\n".to_vec(), vec![b'y'; 1024 * 1024]].concat();
    let receiver = HostileReceiver::start(Behaviour::Says(body)).await;
    let Answer::Status { excerpt, .. } = outside.post_large(url(&receiver)).await else {
        panic!("no answer")
    };
    assert_eq!(excerpt, "y".repeat(1024));
}

#[test]
fn no_receiver_makes_the_worker_grow() {
    run_alone("hostile_receivers::no_receiver_makes_the_worker_grow", || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let outside = nobody();
            let warm = HostileReceiver::start(Behaviour::Says(b"HTTP/1.1 204 .\r\n\r\n".to_vec())).await;
            outside.post_large(url(&warm)).await;
            for (name, behaviour, _) in
                behaviours().into_iter().filter(|(_, behaviour, _)| behaviour.is_quick())
            {
                let receiver = HostileReceiver::start(behaviour).await;
                let growth = growth_of(outside.post_large(url(&receiver))).await;
                println!("{growth:>8} bytes: {name}");
                assert!(growth <= MOST_BYTES, "{name}: {growth} bytes");
            }
        });
    });
}

#[tokio::test]
async fn a_certificate_must_be_trusted_of_this_time_and_for_the_name() {
    let authority = tls::Authority::new();
    let cases = [
        ("good", Certificate::Good, Expected::Status(204)),
        ("expired", Certificate::Expired, Expected::Failure(Failure::CertificateExpired)),
        ("not valid yet", Certificate::NotYetValid, Expected::Failure(Failure::CertificateNotYetValid)),
        ("for another name", Certificate::WrongName, Expected::Failure(Failure::CertificateWrongName)),
        ("by an unknown authority", Certificate::Untrusted, Expected::Failure(Failure::CertificateUntrusted)),
    ];
    for (name, certificate, expected) in cases {
        let port = tls::serve(&authority, certificate, b"HTTP/1.1 204 .\r\n\r\n".to_vec()).await;
        let answer = post_tls(&authority, port).await;
        assert!(is_expected(&answer, expected), "{name}: {answer:?}");
    }
    let endless = [b"HTTP/1.1 200 OK\r\n".to_vec(), b"a: b\r\n".repeat(100_000)].concat();
    let port = tls::serve(&authority, Certificate::Good, endless).await;
    let answer = post_tls(&authority, port).await;
    assert!(is_expected(&answer, Expected::Failure(Failure::TooLarge)), "endless headers: {answer:?}");
    for (name, behaviour, expected) in [
        ("stalls", Behaviour::Stalls(vec![]), Failure::Timeout),
        ("garbage", Behaviour::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), Failure::Tls),
        ("closes", Behaviour::Says(vec![]), Failure::Closed),
        ("floods", Behaviour::Endless(vec![], b"\x16\x03\x03\x40\x00"), Failure::Tls),
    ] {
        let receiver = HostileReceiver::start(behaviour).await;
        let begun = Instant::now();
        let answer = post_tls(&authority, receiver.port).await;
        assert!(is_expected(&answer, Expected::Failure(expected)), "TLS {name}: {answer:?}");
        assert!(begun.elapsed() < FREE_AFTER, "TLS {name}: {:?}", begun.elapsed());
    }
}

async fn post_tls(authority: &tls::Authority, port: u16) -> Answer {
    let outside = Outside::new(|_| vec!["93.184.216.34".parse().unwrap()], vec![authority.der()], port);
    outside.post(EndpointUrl::parse(&format!("https://{}/", tls::NAME), UrlPolicy::Strict).unwrap()).await
}
