//! Processes die in the middle of their work, by SIGKILL: nothing is lost, and nothing is stored twice.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::deployed::support::stack::LazyStack;
use crate::support::client::Tenant;
use crate::support::place::Place;
use crate::support::receiver::Receiver;
use crate::support::template::setting;
use crate::support::{eventually, tables};

/// A stack of its own, since its processes are everybody's; one story at a time.
static STACK: LazyStack = LazyStack::new("tests-killing").with_stories(2);
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A kill may hit consumers that are idle: so many are tried until one is not.
const MAX_BURSTS: usize = 15;

/// Posts this many events in one batch; their ids.
fn post(tenant: &Tenant, count: usize) -> Vec<String> {
    let events = vec![json!({"type": "a", "payload": "x".repeat(100)}); count];
    let answer = tenant.post("/api/events/batch", json!({"events": events}).to_string()).expect(202).json();
    let id = |result: &Value| result["id"].as_str().expect("an id").to_owned();
    answer["results"].as_array().expect("results").iter().map(id).collect()
}

/// Waits until every one of these events is delivered, each stored once.
fn all_are_delivered(tenant: &Tenant, ids: &[String]) {
    let states = |stored: &[tables::Stored]| {
        stored.iter().fold(HashMap::new(), |mut states, head| {
            *states.entry(head.status.clone()).or_insert(0) += 1;
            states
        })
    };
    eventually("all are delivered", || {
        let stored = tables::all_stored(tenant, 1);
        (states(&stored).get("delivered") == Some(&ids.len())).then_some(())
    });
    let stored: Vec<String> = tables::all_stored(tenant, 1).into_iter().map(|head| head.id).collect();
    assert_eq!(stored.len(), ids.len(), "each once");
    assert_eq!(stored.iter().collect::<HashSet<_>>(), ids.iter().collect());
}

#[test]
fn consumers_killed_in_the_middle_of_a_burst_lose_nothing_and_store_nothing_twice() {
    let _story = STACK.story();
    let _alone = ONE_AT_A_TIME.lock();
    let stack = STACK.get();
    let (tenant, receiver) = (Tenant::at(Place::Deployed(stack), "pro"), Receiver::answering(200));
    tenant.set_webhook(&receiver.url());
    // The messages of a batch that was cut off come again only when they are visible again.
    let visible_again = Duration::from_secs(setting("EventsQueue", "VisibilityTimeout"));
    let (mut ids, mut killed, mut longest) = (Vec::new(), 0, Duration::ZERO);
    for _ in 0..MAX_BURSTS {
        ids.extend(post(&tenant, 50));
        killed += stack.kill_function("consumer");
        let killed_at = Instant::now();
        all_are_delivered(&tenant, &ids);
        longest = killed_at.elapsed();
        if longest >= visible_again {
            break; // a consumer was killed in the middle of its work
        }
    }
    let sent: HashSet<String> = receiver.received().iter().map(|webhook| webhook.id().to_owned()).collect();
    assert_eq!(sent, ids.iter().cloned().collect(), "at least one webhook for each");
    println!(
        "{} events, {killed} consumers killed, the last burst took {longest:?}: nothing lost",
        ids.len()
    );
    assert!(longest >= visible_again, "no kill of {killed} hit a consumer in the middle of its work");
}

#[test]
fn deliverers_killed_while_their_webhooks_are_under_way_deliver_every_event_after_all() {
    let _story = STACK.story();
    let _alone = ONE_AT_A_TIME.lock();
    let stack = STACK.get();
    let (tenant, receiver) = (Tenant::at(Place::Deployed(stack), "pro"), Receiver::answering(200));
    tenant.set_webhook(&receiver.url());
    receiver.hold();
    let ids = post(&tenant, 30);
    let under_way: HashSet<String> =
        receiver.wait_for(5).iter().map(|webhook| webhook.id().to_owned()).collect();
    let killed = stack.kill_function("delivery");
    assert!(killed > 0);
    receiver.release();
    all_are_delivered(&tenant, &ids);
    let times = receiver.received().iter().fold(HashMap::new(), |mut times, webhook| {
        *times.entry(webhook.id().to_owned()).or_insert(0) += 1;
        times
    });
    assert!(ids.iter().all(|id| times.contains_key(id)), "at least one webhook for each");
    assert!(under_way.iter().all(|id| times[id] >= 2), "nobody recorded the answer to the first: {times:?}");
    println!(
        "30 events, {killed} deliverers killed with {} webhooks under way: nothing lost, {} sent twice",
        under_way.len(),
        times.values().filter(|times| **times > 1).count()
    );
}
