//! An open signup: how many tenants one client, and all clients, create in a day.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use api::access::{Environment, Signup};
use api::config::Config;
use api::deps::Api;
use api::router::{answer, router};
use axum::body::Body;
use domain::testing::START;
use http::{HeaderMap, Request};
use runtime::request::SourceAddress;
use store::testing::clock::FixedClock;
use store::testing::faults::{Fault, Faults};
use store::testing::memory::Memory;

use crate::support::configs::{self, ADMIN_TOKEN};

/// A stack with an open signup.
struct Stack {
    api: Arc<Api<Memory>>,
    ports: Memory,
    clock: FixedClock,
    faults: Faults,
}

impl Stack {
    fn open(environment: Environment) -> Self {
        let (faults, clock) = (Faults::default(), FixedClock::at(START));
        let ports = Memory::new(&faults, &clock);
        let config = Config { signup: Signup::Open, environment, ..configs::api() };
        Self { api: Arc::new(Api::new(&ports, config)), ports, clock, faults }
    }

    async fn ask(&self, address: Option<IpAddr>, headers: &[(&str, &str)], body: &str) -> (u16, HeaderMap) {
        let path = "/api/keys/generate";
        let request = Request::post(path).header("content-type", "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        if let Some(address) = address {
            request.extensions_mut().insert(SourceAddress(address));
        }
        let response = answer(&self.api, router(Arc::clone(&self.api)), request, path, "request").await;
        (response.status().as_u16(), response.headers().clone())
    }

    /// Signs up as the client with this address; returns the status.
    async fn sign_up(&self, address: u32) -> u16 {
        let address = IpAddr::V4(Ipv4Addr::from_bits(address));
        self.ask(Some(address), &[], r#"{"organization_name":"A"}"#).await.0
    }
}

#[tokio::test]
async fn one_client_creates_ten_tenants_a_day_whatever_its_headers_say() {
    let stack = Stack::open(Environment::Aws);
    for _ in 0..10 {
        assert_eq!(stack.sign_up(1).await, 201);
    }
    let address = Some(IpAddr::V4(Ipv4Addr::from_bits(1)));
    let body = r#"{"organization_name":"A"}"#;
    let forged =
        [("x-forwarded-for", "192.0.2.9"), ("forwarded", "for=192.0.2.9"), ("x-real-ip", "192.0.2.9")];
    let (status, headers) = stack.ask(address, &forged, body).await;
    let wait: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert_eq!(status, 429);
    assert_eq!(stack.sign_up(2).await, 201, "another client");
    assert_eq!(stack.ask(address, &[("x-admin-token", ADMIN_TOKEN)], body).await.0, 201, "the operator");
    stack.clock.advance(Duration::from_secs(wait - 2));
    assert_eq!(stack.sign_up(1).await, 429);
    stack.clock.advance(Duration::from_secs(2));
    assert_eq!(stack.sign_up(1).await, 201, "the next day");
}

#[tokio::test]
async fn all_clients_create_a_thousand_tenants_a_day() {
    let stack = Stack::open(Environment::Aws);
    for address in 0..1000 {
        assert_eq!(stack.sign_up(address).await, 201);
    }
    assert_eq!(stack.sign_up(1000).await, 429);
    stack.clock.advance(Duration::from_hours(24));
    assert_eq!(stack.sign_up(1000).await, 201);
}

#[tokio::test]
async fn requests_without_an_address_share_one_count_and_invalid_ones_count_nothing() {
    let stack = Stack::open(Environment::Aws);
    for _ in 0..20 {
        assert_eq!(stack.ask(None, &[], "{}").await.0, 422);
    }
    assert!(stack.ports.tables.limits.items().is_empty());
    for expected in [[201; 10], [429; 10]].as_flattened() {
        assert_eq!(stack.ask(None, &[], r#"{"organization_name":"A"}"#).await.0, *expected);
    }
}

#[tokio::test]
async fn no_address_is_stored_and_a_local_stack_is_not_limited() {
    let stack = Stack::open(Environment::Local);
    for _ in 0..50 {
        assert_eq!(stack.sign_up(0x7f00_0001).await, 201);
    }
    let stored = format!("{:?}", stack.ports.tables.limits.items());
    assert!(stored.contains("signups#") && !stored.contains("127.0.0.1"), "{stored}");
}

#[tokio::test]
async fn no_tenant_is_created_while_the_signups_cannot_be_counted() {
    let stack = Stack::open(Environment::Aws);
    stack.faults.die_at(0, Fault::Refused);
    assert_eq!(stack.sign_up(1).await, 503);
    assert!(stack.faults.recover());
    assert!(stack.ports.tables.control.items().is_empty());
}
