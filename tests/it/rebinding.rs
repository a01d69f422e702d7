//! A name may answer otherwise each time it is asked: what was checked is what is dialled, and a loopback address that was
//! only ever said by a name server is never reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Instant;

use domain::delivery::verdict::Answer;
use domain::delivery::verdict::failure::Failure;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::address::is_public;
use domain::endpoint::url::{EndpointUrl, UrlPolicy};
use domain::timestamp::Timestamp;
use store::webhook_sender::WebhookSender;
use tokio::task::JoinSet;
use webhooks::client::WebhookClient;

use crate::support::authority::Authority;
use crate::support::detour::Detour;
use crate::support::name_server::{NameServer, Said};
use crate::support::size;
use crate::support::wire::Server;

/// What a name says, one after the other: an odd number for two questions each, so that each question gets them all.
fn answers() -> [Vec<IpAddr>; 11] {
    let public = IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34));
    let public_v6 = IpAddr::V6(Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0, 0, 1));
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let loopback_v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let mapped = IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
    [
        vec![public, public_v6],
        vec![loopback, loopback_v6],
        vec![public, public_v6],
        vec![public, loopback, public_v6, loopback_v6],
        vec![loopback, public, mapped, public_v6],
        vec![public],
        vec![public_v6],
        vec![public_v6],
        vec![public_v6],
        vec![loopback],
        vec![public, public, public, public, public, public, public, loopback],
    ]
}

/// How many exchanges are under way at once.
const AT_ONCE: usize = 32;

#[derive(Default)]
struct Tally {
    delivered: u64,
    refused: u64,
    nameless: u64,
}

#[tokio::test]
async fn ten_thousand_rebinding_tries_never_reach_loopback() {
    let tries = size("REBINDING_TRIES", 10_000);
    let canary = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    canary.set_nonblocking(true).expect("a listener");
    let trap = canary.local_addr().expect("its address");
    let authority = Authority::new("the tests");
    let identity = authority.identity("*.rebinding.net", (2020, 4000));
    let good =
        Server::start(move |stream| identity.answer(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    let good = SocketAddr::from((Ipv4Addr::LOCALHOST, good.port));
    let (answers, mut asked) = (answers(), 0);
    let names = NameServer::start(move |_| {
        asked += 1;
        Said::Addresses(answers[asked % answers.len()].clone())
    });
    let detour = Detour::new(move |address| Some(if is_public(address.ip()) { good } else { trap }));
    let client = WebhookClient::for_testing(authority.roots(), names.address, detour.clone());
    let began = Instant::now();
    let tally = try_it(Arc::new(client.expect("a client")), tries).await;
    let Tally { delivered, refused, nameless } = tally;
    println!(
        "{tries} tries in {:?}: {refused} refused, {delivered} delivered, {nameless} without an address; {} questions, {} addresses dialled",
        began.elapsed(),
        names.questions(),
        detour.dialled().len(),
    );
    let private: Vec<_> =
        detour.dialled().into_iter().filter(|(address, _)| !is_public(address.ip())).collect();
    assert_eq!(private, []);
    assert!(canary.accept().is_err(), "a rebound name reached loopback");
    assert!(delivered > tries / 100 && refused > tries / 10, "both kinds of answers were met");
}

async fn try_it(client: Arc<WebhookClient<Detour>>, tries: u64) -> Tally {
    let (mut under_way, mut tally) = (JoinSet::new(), Tally::default());
    for number in 0..tries {
        if under_way.len() == AT_ONCE {
            tally.add(under_way.join_next().await.map(|ended| ended.expect("no panic")));
        }
        let client = Arc::clone(&client);
        under_way.spawn(async move {
            let url = EndpointUrl::parse(&format!("https://n{number}.rebinding.net/"), UrlPolicy::Strict);
            let request = WebhookRequest { url: url.unwrap(), headers: Vec::new(), body: b"{}".to_vec() };
            client.post(&request, Timestamp::from_seconds(1_700_000_000)).await
        });
    }
    while let Some(ended) = under_way.join_next().await {
        tally.add(Some(ended.expect("no panic")));
    }
    tally
}

impl Tally {
    fn add(&mut self, answer: Option<Answer>) {
        match answer {
            None => {}
            Some(Answer::Status { code: 200, .. }) => self.delivered += 1,
            Some(Answer::None(Failure::RefusedAddress)) => self.refused += 1,
            Some(Answer::None(Failure::NameNotFound)) => self.nameless += 1,
            Some(other) => panic!("{other}"),
        }
    }
}
