//! How names are looked up: as they stand, each time anew, for both families, without anybody waiting for anybody else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::delivery::verdict::Answer;
use domain::delivery::verdict::failure::Failure;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::url::{EndpointUrl, UrlPolicy};
use domain::timestamp::Timestamp;
use store::webhook_sender::WebhookSender;
use tokio::task::JoinSet;
use webhooks::client::WebhookClient;

use crate::support::authority::Authority;
use crate::support::detour::Detour;
use crate::support::name_server::{NameServer, Question, Said};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0, 0, 1));

/// A client whose names are looked up so, and for whom every address refuses connections.
struct Stage {
    client: WebhookClient<Detour>,
    detour: Detour,
    _names: NameServer,
}

impl Stage {
    fn new(say: impl FnMut(&Question) -> Said + Send + 'static) -> Self {
        let (names, detour) = (NameServer::start(say), Detour::new(|_| None));
        let client = WebhookClient::for_testing(
            Authority::new("no receiver has it").roots(),
            names.address,
            detour.clone(),
        );
        Self { client: client.expect("a client"), detour, _names: names }
    }

    async fn post(&self, url: &str) -> Answer {
        let url = EndpointUrl::parse(url, UrlPolicy::Strict).expect(url);
        let request = WebhookRequest { url, headers: Vec::new(), body: b"{}".to_vec() };
        self.client.post(&request, Timestamp::from_seconds(1_700_000_000)).await
    }

    fn dialled(&self) -> Vec<SocketAddr> {
        let mut dialled: Vec<_> = self.detour.dialled().into_iter().map(|(address, _)| address).collect();
        dialled.sort_unstable();
        dialled
    }
}

#[tokio::test]
async fn a_name_is_asked_for_as_it_stands_and_each_time_anew() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    let stage = Stage::new(move |question| {
        noted.lock().unwrap().push((question.name.clone(), question.is_for_v6()));
        Said::LastingAddresses(vec![V4])
    });
    for _ in 0..2 {
        assert_eq!(stage.post("https://Hooks.Example.com/").await, Answer::None(Failure::ConnectionRefused));
    }
    let mut asked = asked.lock().unwrap().clone();
    asked.sort_unstable();
    let name = "hooks.example.com".to_owned();
    assert_eq!(asked, [(name.clone(), false), (name.clone(), false), (name.clone(), true), (name, true)]);
}

#[tokio::test]
async fn no_search_domain_is_tried_for_a_name_that_does_not_exist() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    let stage = Stage::new(move |question| {
        noted.lock().unwrap().push(question.name.clone());
        Said::NoSuchName
    });
    assert_eq!(stage.post("https://no.example.com/").await, Answer::None(Failure::NameNotFound));
    assert!(asked.lock().unwrap().iter().all(|name| name == "no.example.com"));
}

#[tokio::test]
async fn one_family_is_enough_where_the_other_fails() {
    for v6_fails in [true, false] {
        let stage = Stage::new(move |question| {
            let fails = question.is_for_v6() == v6_fails;
            if fails { Said::Failure } else { Said::Addresses(vec![V4, V6]) }
        });
        assert_eq!(stage.post("https://example.com/").await, Answer::None(Failure::ConnectionRefused));
        assert_eq!(stage.dialled(), [SocketAddr::new(if v6_fails { V4 } else { V6 }, 443)]);
    }
}

#[tokio::test]
async fn a_family_whose_answer_never_comes_costs_an_attempt_no_time() {
    for v6_is_silent in [true, false] {
        let stage = Stage::new(move |question| {
            let is_silent = question.is_for_v6() == v6_is_silent;
            if is_silent { Said::Nothing } else { Said::Addresses(vec![V4, V6]) }
        });
        let began = Instant::now();
        assert_eq!(stage.post("https://example.com/").await, Answer::None(Failure::ConnectionRefused));
        let took = began.elapsed();
        println!("IPv6 is silent: {v6_is_silent}; the attempt took {took:?}");
        assert_eq!(stage.dialled(), [SocketAddr::new(if v6_is_silent { V4 } else { V6 }, 443)]);
        assert!(took < Duration::from_secs(1), "{took:?}"); // a silent family took 4 s before
    }
}

#[tokio::test]
async fn an_address_that_is_not_public_refuses_its_name_in_whichever_family_it_comes() {
    for private in ["127.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254", "::ffff:93.184.216.34"] {
        let private: IpAddr = private.parse().unwrap();
        let stage = Stage::new(move |_| Said::Addresses(vec![V4, V6, private]));
        assert_eq!(stage.post("https://example.com/").await, Answer::None(Failure::RefusedAddress));
        assert_eq!(stage.dialled(), []);
    }
}

#[tokio::test]
async fn an_alias_is_judged_by_the_address_that_it_ends_at() {
    let private = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let stage = Stage::new(move |question| match question.name.as_str() {
        "inside.example.com" => Said::Alias("db.corp"),
        "db.corp" => Said::Addresses(vec![private]),
        "outside.example.com" => Said::Alias("receiver.example.net"),
        _ => Said::Addresses(vec![V4]),
    });
    let inside = stage.post("https://inside.example.com/").await;
    assert_eq!((inside, stage.dialled()), (Answer::None(Failure::RefusedAddress), Vec::new()));
    let outside = stage.post("https://outside.example.com/").await;
    assert_eq!(outside, Answer::None(Failure::ConnectionRefused));
    assert_eq!(stage.dialled(), [SocketAddr::new(V4, 443)]);
}

#[tokio::test]
async fn a_name_server_that_talks_nonsense_leads_nowhere() {
    let stage = Stage::new(|question| match question.name.as_str() {
        "circle.example.com" => Said::Alias("elcric.example.com"),
        "elcric.example.com" => Said::Alias("circle.example.com"),
        _ => Said::Garbage,
    });
    for (name, failure) in [("circle", Failure::NameNotFound), ("garbage", Failure::NameServerFailed)] {
        let answer = stage.post(&format!("https://{name}.example.com/")).await;
        assert_eq!((answer, stage.dialled()), (Answer::None(failure), Vec::new()), "{name}");
    }
}

#[tokio::test]
async fn a_name_of_many_addresses_costs_six_connections_at_most() {
    let many = (1..=40).map(|last| IpAddr::V4(Ipv4Addr::new(93, 184, 216, last))).collect::<Vec<_>>();
    let stage = Stage::new(move |_| Said::Addresses(many.clone()));
    assert_eq!(stage.post("https://example.com/").await, Answer::None(Failure::ConnectionRefused));
    assert_eq!(stage.dialled().len(), 6);
}

#[tokio::test]
async fn a_hundred_silent_names_wait_side_by_side_on_one_thread() {
    let stage = Arc::new(Stage::new(|_| Said::Nothing));
    let began = Instant::now();
    let mut posts = JoinSet::new();
    for number in 0..100 {
        let stage = Arc::clone(&stage);
        posts.spawn(async move { stage.post(&format!("https://n{number}.example.com/")).await });
    }
    while let Some(answer) = posts.join_next().await {
        assert_eq!(answer.unwrap(), Answer::None(Failure::NameTimedOut));
    }
    println!("100 silent names at once: {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(8));
}
