//! Clients in a storm: every post is sent by many at once, to instances that know nothing of each other. One name is
//! one event.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue};
use ingest::handler::Ingest;
use runtime::answer::Answer;
use serde_json::{Value, json};

use crate::pipeline::id_of;
use crate::support::client::Tenant;
use crate::support::instances::{headers, post};
use crate::support::memory_stack::{Live, memory_stack};
use crate::support::{eventually, size, tables};

const AT_ONCE: usize = 64;
const INSTANCES: usize = 8;

type Instance = Ingest<Live>;

/// Tier enterprise: enough events for the full storm in one minute.
const TIER: &str = "enterprise";
const SHARDS: u8 = 16;

/// How many names the storm has; the full one has 200.
fn names() -> Vec<String> {
    (0..size("TRIGGERS_STORM_NAMES", 40)).map(|number| format!("name {number}")).collect()
}

fn instances() -> Vec<Instance> {
    (0..INSTANCES).map(|_| memory_stack().ingest()).collect()
}

fn body(name: &str, payload: u32) -> String {
    json!({"type": "order.created", "payload": payload, "dedup_id": name}).to_string()
}

/// Sends the same post this many times at once, spread over the instances.
async fn at_once(instances: &[Instance], headers: &HeaderMap, body: &str, times: usize) -> Vec<Answer> {
    join_all((0..times).map(|number| post(&instances[number % instances.len()], headers, body))).await
}

/// The one id that all of these answers carry.
#[track_caller]
fn only_id(answers: &[Answer]) -> String {
    let ids: BTreeSet<String> = answers.iter().map(|answer| id_of(answer).to_string()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    ids.into_iter().next().unwrap()
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status() == status).count()
}

/// Waits until an event sent after all of these is stored, then checks that they and it are all there is.
fn stored_are(tenant: &Tenant, ids: &BTreeSet<String>) {
    let mut expected = ids.clone();
    let last = tenant.accepted("afterwards");
    eventually("the last one is stored", || tables::stored(tenant, &last));
    expected.insert(last);
    let stored: Vec<String> = tables::all_stored(tenant, SHARDS).into_iter().map(|head| head.id).collect();
    assert_eq!(stored.len(), expected.len(), "each once");
    assert_eq!(stored.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[tokio::test]
async fn a_name_posted_by_sixty_four_at_once_is_one_event_of_its_tenant() {
    let (one, two) = (Tenant::of_tier(TIER), Tenant::of_tier(TIER));
    let (instances, names, began) = (instances(), names(), Instant::now());
    let mut events = BTreeMap::new();
    for name in &names {
        let answers = at_once(&instances, &headers(&one), &body(name, 1), AT_ONCE).await;
        let id = only_id(&answers);
        assert_eq!((count(&answers, 202), count(&answers, 409)), (1, AT_ONCE - 1), "{name}");
        events.insert(name, id);
    }
    let posted = began.elapsed();
    for name in &names {
        for answer in at_once(&instances, &headers(&one), &body(name, 2), 2).await {
            let problem: Value = serde_json::from_str(answer.body()).unwrap();
            assert_eq!(problem["type"], "urn:triggers:problem:idempotency-mismatch", "{name}: {problem}");
        }
    }
    let of_one: BTreeSet<String> = events.into_values().collect();
    assert_eq!(of_one.len(), names.len(), "each name its own");

    let mut of_two = BTreeSet::new();
    for name in &names {
        let answers = at_once(&instances, &headers(&two), &body(name, 2), 2).await;
        of_two.insert(only_id(&answers));
        assert_eq!((count(&answers, 202), count(&answers, 409)), (1, 1), "{name}");
    }
    assert_eq!(of_two.len(), names.len());
    assert!(of_one.is_disjoint(&of_two));
    stored_are(&one, &of_one);
    stored_are(&two, &of_two);
    println!(
        "{} names, each posted {AT_ONCE} times at once, in {posted:.1?}; {:.1?} until all were stored",
        names.len(),
        began.elapsed()
    );
}

#[tokio::test]
async fn a_request_sent_by_sixty_four_at_once_is_answered_with_the_same_202() {
    let (tenant, instances) = (Tenant::of_tier(TIER), instances());
    let mut events = BTreeSet::new();
    for number in 0..3 {
        let mut headers = headers(&tenant);
        headers.insert("idempotency-key", HeaderValue::from(number));
        let answers = at_once(&instances, &headers, r#"{"type":"a","payload":1}"#, AT_ONCE).await;
        assert_eq!(count(&answers, 202), AT_ONCE);
        let replayed =
            answers.iter().filter(|answer| answer.headers().get("idempotency-replayed").is_some()).count();
        assert_eq!(replayed, AT_ONCE - 1, "all but one");
        events.insert(only_id(&answers));
        let altered = at_once(&instances, &headers, r#"{"type":"a","payload":2}"#, 1).await;
        assert_eq!(count(&altered, 422), 1);
    }
    assert_eq!(events.len(), 3, "each request its own");
    stored_are(&tenant, &events);
}
