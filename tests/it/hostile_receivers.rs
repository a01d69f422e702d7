//! A receiver may do anything: none holds a worker longer than the deadline, makes it read or keep more than its bounds,
//! or delays anybody else's delivery. The real client, real sockets, real TLS.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use domain::delivery::verdict::Answer;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::url::{EndpointUrl, UrlPolicy};
use domain::timestamp::Timestamp;
use store::webhook_sender::WebhookSender;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use webhooks::client::WebhookClient;

use crate::support::alone::{alone, resident_kib};
use crate::support::authority::Authority;
use crate::support::detour::Detour;
use crate::support::hostile::{behind_tls, plain};
use crate::support::name_server::{NameServer, Said};
use crate::support::receiver::Receiver;

/// What no exchange may pass: deadline and politeness, and half a second for a busy machine.
const MAX_TIME: Duration = Duration::from_millis(15_500);

/// What may be read from the socket after a handshake, and during it.
const MAX_OF_ANSWER: u64 = 16 * 1024;
const MAX_OF_HANDSHAKE: u64 = 64 * 1024;

/// How long a good receiver's delivery may take while all others hang.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// The resident memory that one exchange may cost, this test's own side of it included.
const MAX_KIB_EACH: u64 = 256;

/// What is sent: an event as they usually are, and the largest there is.
const USUAL_BYTES: usize = 1024;
const MAX_BYTES: usize = 256 * 1024;

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

/// One exchange with a receiver that behaves badly.
struct Case {
    name: &'static str,
    expects: &'static str,
    url: String,
    /// Where the client connects to, as it sees it.
    dials: SocketAddr,
}

/// How it went.
struct Outcome {
    case: Case,
    class: String,
    excerpt: usize,
    took: Duration,
}

/// What a good receiver saw of it all, posted to again and again.
#[derive(Default)]
struct Meanwhile {
    posts: usize,
    slowest: Duration,
    most_kib: u64,
}

fn request(url: &str, bytes: usize) -> WebhookRequest {
    let url = EndpointUrl::parse(url, UrlPolicy::LoopbackAllowed).expect(url);
    WebhookRequest { url, headers: Vec::new(), body: vec![b'x'; bytes] }
}

/// The answer's class, its `Retry-After` if it counts, and how much was kept of its body.
fn class(answer: &Answer) -> (String, usize) {
    match answer {
        Answer::Status { code, retry_after: Some(wish), excerpt } => {
            (format!("{code} after {} s", wish.as_secs()), excerpt.chars().count())
        }
        Answer::Status { code, excerpt, .. } => (code.to_string(), excerpt.chars().count()),
        Answer::None(failure) => (failure.as_str().to_owned(), 0),
    }
}

/// A public address for each number: where the receivers behind names seem to be.
fn public(number: usize) -> SocketAddr {
    let number = u8::try_from(number).expect("few receivers");
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(93, 184, 216, number)), 443)
}

/// The numbers of two receivers that no other has: one refuses connections, one does not answer.
const DEAD: usize = 200;
const DEAF: usize = 201;

/// The number of the receiver behind TLS that does nothing wrong.
const GOOD: usize = 0;

/// What the name server says: a name's first label is the number of its address, or says what is wrong with it.
fn say(name: &str) -> Said {
    let private = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    match name.split('.').next().unwrap_or_default() {
        "unknown" => Said::NoSuchName,
        "failing" => Said::Failure,
        "silent" => Said::Nothing,
        "private" => Said::Addresses(vec![private]),
        "mixed" => Said::Addresses(vec![public(GOOD).ip(), private]),
        "half-dead" => Said::Addresses(vec![public(DEAD).ip(), public(GOOD).ip()]),
        "half-deaf" => Said::Addresses(vec![public(DEAF).ip(), public(GOOD).ip()]),
        number => Said::Addresses(vec![public(number.parse().expect("a number")).ip()]),
    }
}

/// What can go wrong before anybody answers.
fn before_an_answer() -> impl Iterator<Item = Case> {
    let cases = [
        ("name: unknown", "unknown", "name_not_found", DEAD),
        ("name: its server fails", "failing", "name_server_failed", DEAD),
        ("name: its server is silent", "silent", "name_timed_out", DEAD),
        ("name: a private address", "private", "address_refused", DEAD),
        ("name: a private address beside a good one", "mixed", "address_refused", DEAD),
        ("address: refuses", "200", "connection_refused", DEAD),
        ("address: does not answer", "201", "connection_timed_out", DEAF),
        ("address: the first refuses", "half-dead", "200", GOOD),
        ("address: the first does not answer", "half-deaf", "200", GOOD),
    ];
    cases.into_iter().map(|(name, label, expects, number)| {
        let url = format!("https://{label}.receivers.net/");
        Case { name, expects, url, dials: public(number) }
    })
}

/// A listener whose queue is full: whoever knocks gets no word.
fn deaf() -> (tokio::net::TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
    let listener = socket.listen(1).expect("a listener");
    let address = listener.local_addr().expect("its address");
    let knock = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    (listener, std::iter::from_fn(knock).collect())
}

#[test]
fn no_receiver_holds_a_worker_or_delays_another_delivery() {
    if alone("hostile_receivers::no_receiver_holds_a_worker_or_delays_another_delivery") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(meet_them_all());
    }
}

async fn meet_them_all() {
    let canary = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let unanswered = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let (deaf, _its_queue) = deaf();
    let authority = Authority::new("the tests");
    let behaviours = plain(canary.local_addr().unwrap()).into_iter().chain(behind_tls(&authority));
    let (mut servers, mut cases, mut ways) = (Vec::new(), Vec::new(), HashMap::new());
    ways.insert(public(DEAF), deaf.local_addr().unwrap());
    for behaviour in behaviours {
        let (name, expects, is_tls) = (behaviour.name, behaviour.expects, behaviour.is_tls);
        let server = behaviour.start();
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port));
        let (url, dials) = if is_tls {
            let number = ways.len() - 1;
            ways.insert(public(number), local);
            (format!("https://{number}.receivers.net/"), public(number))
        } else {
            (format!("http://{local}/"), local)
        };
        cases.push(Case { name, expects, url, dials });
        servers.push(server);
    }
    let dials = unanswered.local_addr().unwrap();
    let url = format!("http://{dials}/");
    cases.push(Case { name: "never accepts", expects: "timed_out", url, dials });
    cases.extend(before_an_answer());

    let names = NameServer::start(|question| say(&question.name));
    let detour = Detour::new(move |address| ways.get(&address).copied());
    let client = WebhookClient::for_testing(authority.roots(), names.address, detour.clone()).unwrap();
    let (outcomes, meanwhile, kib) = post_to_all(&client, cases).await;
    report(&outcomes, &detour);

    let count = u64::try_from(outcomes.len()).unwrap();
    println!(
        "{} posts to a good receiver meanwhile, the slowest in {:?}",
        meanwhile.posts, meanwhile.slowest
    );
    println!("resident memory: at most {kib} KiB more for {count} exchanges at once, both sides of each");
    assert!(count >= 60, "{count}");
    assert!(meanwhile.posts >= 50 && meanwhile.slowest < MAX_DELAY);
    assert!(kib <= count * MAX_KIB_EACH);
    canary.set_nonblocking(true).unwrap();
    assert!(canary.accept().is_err(), "a redirect was followed");
}

/// Posts to all of them at once, and to a good receiver all the time; the memory is what came to be used beyond the beginning.
async fn post_to_all(client: &WebhookClient<Detour>, cases: Vec<Case>) -> (Vec<Outcome>, Meanwhile, u64) {
    let good = Receiver::answering(200);
    let good = request(&good.url(), USUAL_BYTES);
    let at_first = resident_kib().unwrap_or_default();
    let mut exchanges = JoinSet::new();
    for case in cases {
        let client = client.clone();
        exchanges.spawn(async move {
            let began = Instant::now();
            let bytes = if case.name.contains("never reads") { MAX_BYTES } else { USUAL_BYTES };
            let (class, excerpt) = class(&client.post(&request(&case.url, bytes), NOW).await);
            Outcome { case, class, excerpt, took: began.elapsed() }
        });
    }
    let (mut outcomes, mut meanwhile) = (Vec::new(), Meanwhile::default());
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    while !exchanges.is_empty() {
        tokio::select! {
            Some(outcome) = exchanges.join_next() => outcomes.push(outcome.expect("no panic")),
            _ = pace.tick() => {
                let began = Instant::now();
                assert_eq!(class(&client.post(&good, NOW).await).0, "200");
                meanwhile.slowest = meanwhile.slowest.max(began.elapsed());
                meanwhile.posts += 1;
                meanwhile.most_kib = meanwhile.most_kib.max(resident_kib().unwrap_or_default());
            }
        }
    }
    let kib = meanwhile.most_kib.saturating_sub(at_first);
    (outcomes, meanwhile, kib)
}

/// Prints one line for each, and holds each to its class and to the bounds.
fn report(outcomes: &[Outcome], detour: &Detour) {
    let mut wrong = Vec::new();
    for Outcome { case, class, excerpt, took } in outcomes {
        let read = detour.read_from(case.dials);
        println!("{:42} {class:28} {:5.2} s {read:6} bytes read", case.name, took.as_secs_f64());
        let behind_tls = case.url.starts_with("https");
        let most_read = MAX_OF_ANSWER + if behind_tls { MAX_OF_HANDSHAKE } else { 0 };
        let is_right = case.expects.split('|').any(|right| right == class);
        if !is_right || *took > MAX_TIME || *excerpt > 1024 || read > most_read {
            wrong.push(case.name);
        }
    }
    let slowest = outcomes.iter().map(|outcome| outcome.took).max().unwrap_or_default();
    println!("{} receivers, the slowest exchange took {slowest:?}", outcomes.len());
    assert_eq!(wrong, Vec::<&str>::new());
}
