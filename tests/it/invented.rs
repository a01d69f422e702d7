//! What a request without a valid key may cost: nothing, or one call of AWS.

use std::sync::Arc;

use api::deps::Api;
use api::router::{answer, router};
use axum::Router;
use axum::body::{Body, to_bytes};
use domain::tenant::api_key::{ApiKey, Pepper};
use domain::tenant::tier::Tier;
use domain::testing::{START, key_of, tenant};
use domain::timestamp::Timestamp;
use http::Request;
use store::testing::clock::FixedClock;
use store::testing::faults::Faults;
use store::testing::memory::Memory;
use store::testing::table::usage::Operation;

use crate::support::client::Reply;
use crate::support::configs;

/// One instance of api, which counts its calls of AWS.
struct Instance {
    faults: Faults,
    ports: Memory,
    clock: FixedClock,
    api: Arc<Api<Memory>>,
    router: Router,
}

impl Instance {
    fn new() -> Self {
        let (faults, clock) = (Faults::default(), FixedClock::at(START));
        let ports = Memory::new(&faults, &clock);
        let api = Arc::new(Api::new(&ports, configs::api()));
        Self { router: router(Arc::clone(&api)), faults, ports, clock, api }
    }

    /// Returns a key that is in the table.
    fn good_key(&self) -> String {
        let (key, record) = key_of(&tenant(), Tier::Free);
        self.ports.tables.put_key(&key.hash(&Pepper::new("pepper")), &record);
        key.expose().to_owned()
    }

    /// Returns the number of keys that were read from the table.
    fn key_reads(&self) -> u64 {
        self.ports.tables.control.usage().calls_of(Operation::Get)
    }

    /// Sends one request; returns the reply and the number of calls of AWS.
    async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (Reply, usize) {
        let before = self.faults.calls();
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from("{}")).unwrap();
        let response = answer(&self.api, self.router.clone(), request, path, "request").await;
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        let reply = Reply { status: head.status.as_u16(), headers: head.headers, body };
        (reply, self.faults.calls() - before)
    }
}

#[tokio::test]
async fn a_flood_of_readiness_checks_asks_aws_once_in_five_seconds() {
    let instance = Instance::new();
    let mut calls = Vec::new();
    for second in [0, 0, 1, 4, 5, 6, 9, 10] {
        instance.clock.set(Timestamp::from_seconds(START.seconds() + second));
        let (reply, made) = instance.call("GET", "/health/ready", &[]).await;
        reply.expect(200);
        calls.push(made);
    }
    assert_eq!(calls, [2, 0, 0, 0, 2, 0, 0, 2]);
}

#[tokio::test]
async fn invented_keys_remove_no_good_key_from_the_cache() {
    let instance = Instance::new();
    let good = instance.good_key();
    instance.call("GET", "/api/keys", &[("x-api-key", &good)]).await.0.expect(200);
    for _ in 0..10_001 {
        let invented = ApiKey::generate(&mut rand::rng());
        let (reply, calls) = instance.call("GET", "/api/nothing", &[("x-api-key", invented.expose())]).await;
        assert_eq!((reply.status, calls), (404, 1));
    }
    let before = instance.key_reads();
    let (reply, _) = instance.call("GET", "/api/nothing", &[("x-api-key", &good)]).await;
    assert!(reply.header("ratelimit").is_some(), "the key is good");
    assert_eq!(instance.key_reads(), before, "the key is still in the cache");
}
