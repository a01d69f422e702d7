//! No spelling of a URL leads to where no webhook may go: the validator refuses it, or the client does when it sees where the
//! name leads; and the client does so too for a URL that no validator has seen.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use domain::delivery::verdict::Answer;
use domain::delivery::verdict::failure::Failure;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::url::{EndpointUrl, UrlPolicy};
use domain::timestamp::Timestamp;
use store::webhook_sender::WebhookSender;
use webhooks::client::WebhookClient;

use crate::support::authority::Authority;
use crate::support::detour::Detour;
use crate::support::name_server::{NameServer, Said};
use crate::support::spellings::{LEGITIMATE, hostile_urls};

/// Listeners that nobody may ever reach, on one port of both families where there are both.
struct Canaries {
    port: u16,
    listeners: Vec<TcpListener>,
}

impl Canaries {
    fn new() -> Self {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = first.local_addr().expect("its address").port();
        let second = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).ok();
        let listeners: Vec<TcpListener> = second.into_iter().chain([first]).collect();
        for listener in &listeners {
            listener.set_nonblocking(true).expect("a listener");
        }
        Self { port, listeners }
    }

    fn connections(&self) -> usize {
        self.listeners.iter().filter(|listener| listener.accept().is_ok()).count()
    }
}

/// The real client, its names looked up there and its connections led to `way`.
fn client(names: &NameServer, way: Option<SocketAddr>) -> (WebhookClient<Detour>, Detour) {
    let detour = Detour::new(move |_| way);
    let client = WebhookClient::for_testing(
        Authority::new("no receiver has it").roots(),
        names.address,
        detour.clone(),
    );
    (client.expect("a client"), detour)
}

async fn post(client: &WebhookClient<Detour>, url: EndpointUrl) -> Answer {
    let request = WebhookRequest { url, headers: Vec::new(), body: b"{}".to_vec() };
    client.post(&request, Timestamp::from_seconds(1_700_000_000)).await
}

/// Under the policy of the local stack two spellings of loopback are allowed, which is what it is for.
fn is_allowed_loopback(text: &str, port: u16) -> bool {
    ["http://127.0.0.1:", "http://localhost:"].iter().any(|start| text == format!("{start}{port}/hook"))
}

#[tokio::test]
async fn every_hostile_url_is_refused_by_the_validator_or_by_the_client() {
    let canaries = Canaries::new();
    let canary = SocketAddr::from((Ipv4Addr::LOCALHOST, canaries.port));
    let private = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let names = NameServer::start(move |_| Said::Addresses(private.to_vec()));
    let (client, detour) = client(&names, Some(canary));
    let urls = hostile_urls(canaries.port);
    let (mut by_validator, mut by_client, mut unseen) = (0, 0, 0);
    for text in &urls {
        for policy in [UrlPolicy::Strict, UrlPolicy::LoopbackAllowed] {
            match EndpointUrl::parse(text, policy) {
                Err(_) => by_validator += 1,
                Ok(_) if policy != UrlPolicy::Strict && is_allowed_loopback(text, canaries.port) => {}
                Ok(url) => {
                    assert_eq!(post(&client, url).await, Answer::None(Failure::RefusedAddress), "{text}");
                    by_client += 1;
                }
            }
        }
        if let Some(url) = EndpointUrl::unchecked(text) {
            let answer = post(&client, url).await;
            let refused = matches!(answer, Answer::None(Failure::Refused | Failure::RefusedAddress));
            assert!(refused, "{text}: {answer}");
            unseen += 1;
        }
    }
    println!(
        "{} hostile URLs under two policies: {by_validator} refusals by the validator, {by_client} by",
        urls.len()
    );
    println!(
        "the client; {unseen} that can be read at all refused by the client alone, without a validator;"
    );
    println!(
        "{} questions to the name server, {} addresses dialled",
        names.questions(),
        detour.dialled().len()
    );
    assert!(urls.len() >= 1000, "{}", urls.len());
    assert!(by_client > 0 && names.questions() > 0);
    assert_eq!((canaries.connections(), detour.dialled()), (0, Vec::new()));
}

#[tokio::test]
async fn every_legitimate_url_reaches_the_address_behind_its_name() {
    let public = IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34));
    let names = NameServer::start(move |_| Said::Addresses(vec![public]));
    for text in LEGITIMATE {
        let (client, detour) = client(&names, None);
        let url =
            EndpointUrl::parse(text, UrlPolicy::Strict).unwrap_or_else(|error| panic!("{text}: {error}"));
        let port = if text.contains(":8443") { 8443 } else { 443 };
        assert_eq!(post(&client, url).await, Answer::None(Failure::ConnectionRefused), "{text}");
        assert_eq!(detour.dialled(), [(SocketAddr::new(public, port), 0)], "{text}");
    }
    println!("{} legitimate URLs reach the address behind their names", LEGITIMATE.len());
}
