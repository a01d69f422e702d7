//! What a request reads is charged by its cost: an ordinary request costs one token and no further call, and an expensive one
//! spends the minute of its tenant on all instances.

use std::sync::Arc;
use std::time::Duration;

use api::deps::Api;
use domain::event::id::EventId;
use domain::tenant::rate_limit::READ_UNITS_PER_TOKEN;
use domain::tenant::tier::Tier;
use domain::testing::START;
use http::StatusCode;
use serde_json::{Value, json};
use store::testing::memory::Memory;
use store::testing::table::usage::Operation;

use crate::pipeline::{Pipeline, Response};

/// A page of the log in which nothing matches.
const FILTERED: &str = "/api/events?type=rare";

const LARGE_HEADS: u64 = 200;
const HEAD_BYTES: usize = 30_000;

/// A free tenant whose log has 6 MB.
async fn with_large_log() -> Pipeline {
    let pipeline = Pipeline::of_tier(Tier::Free, 0);
    pipeline.post_event("one").await;
    pipeline.consume().await;
    let item = pipeline.tables.events.items().remove(0);
    for number in 1..=LARGE_HEADS {
        let id = EventId::generate(START.before(Duration::from_secs(number)), 1, &mut rand::rng());
        let copy = item.clone().with("padding", "x".repeat(HEAD_BYTES)).with("sk", id.to_string());
        pipeline.tables.events.put_item(copy);
    }
    pipeline
}

fn header(response: &Response, name: &str) -> String {
    response.headers[name].to_str().unwrap().to_owned()
}

fn remaining(response: &Response) -> u64 {
    let remaining = header(response, "x-ratelimit-remaining").parse().unwrap();
    assert!(header(response, "ratelimit").starts_with(&format!("\"requests\";r={remaining};")));
    remaining
}

/// Reads with these instances in turn until each of them refuses; returns the read units of a request, and of all.
async fn spend_minute(pipeline: &Pipeline, instances: &[Arc<Api<Memory>>]) -> (u64, u64) {
    pipeline.tables.events.reset_usage();
    let (mut of_one, mut refused) = (0, 0);
    for instance in instances.iter().cycle() {
        let before = pipeline.tables.events.usage().half_reads;
        let response = pipeline.call_instance(instance, "GET", FILTERED, &Value::Null).await;
        if response.status == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(remaining(&response), 0);
            assert!(response.headers.contains_key("retry-after"));
            refused += 1;
            if refused == instances.len() {
                break;
            }
            continue;
        }
        assert_eq!(response.status, StatusCode::OK);
        of_one = of_one.max(pipeline.tables.events.usage().half_reads - before);
        refused = 0;
    }
    (of_one / 2, pipeline.tables.events.usage().half_reads / 2)
}

#[tokio::test]
async fn an_ordinary_read_costs_one_token_and_no_further_call() {
    let pipeline = Pipeline::of_tier(Tier::Free, 0);
    for name in ["one", "two", "three", "four", "five"] {
        pipeline.post_event(name).await;
    }
    pipeline.consume().await;
    let (_, head) = pipeline.tables.all_heads().remove(0);
    let paths =
        [format!("/api/events/{}", head.id), "/api/inbox?limit=5".to_owned(), "/api/endpoints".to_owned()];
    for path in &paths {
        // The first request of an instance also reads the tenant's data key.
        let instance = pipeline.start_api();
        let first = remaining(&pipeline.call_instance(&instance, "GET", &paths[0], &Value::Null).await);
        pipeline.tables.limits.reset_usage();
        let second = remaining(&pipeline.call_instance(&instance, "GET", path, &Value::Null).await);
        assert_eq!(
            pipeline.tables.limits.usage().calls,
            [(Operation::Update, 1)].into(),
            "{path}: the lease"
        );
        assert_eq!(first - second, 1, "{path}");
    }
}

#[tokio::test]
async fn a_filtered_page_of_a_large_log_costs_what_it_reads() {
    let pipeline = with_large_log().await;
    pipeline.tables.events.reset_usage();
    let first = pipeline.call("GET", FILTERED, &Value::Null).await;
    let half_units = pipeline.tables.events.usage().half_reads;
    let tokens = half_units.div_ceil(2 * READ_UNITS_PER_TOKEN);
    println!("{} read units cost {tokens} tokens", half_units / 2);
    assert_eq!(first.status, StatusCode::OK);
    assert!(tokens > 100);
    assert_eq!(remaining(&first), 600 - tokens);
}

#[tokio::test]
async fn the_read_units_of_a_tenant_in_a_minute_are_bounded_on_all_instances() {
    let pipeline = with_large_log().await;
    for count in [1, 10] {
        let instances: Vec<_> = (0..count).map(|_| pipeline.start_api()).collect();
        let (of_one, units) = spend_minute(&pipeline, &instances).await;
        let limit = u64::from(Tier::Free.limits().requests_per_minute);
        println!(
            "{count} instances: {units} read units in a minute, {of_one} in a request; {} without the charge",
            limit * of_one
        );
        // The request that puts the minute into debt reads beyond it, and each other instance may have a leased token.
        assert!(units <= limit * READ_UNITS_PER_TOKEN + of_one * count, "{units}");
        pipeline.clock.advance(Duration::from_mins(1));
        let next = pipeline.call_instance(&instances[0], "GET", "/api/endpoints", &Value::Null).await;
        assert_eq!(next.status, StatusCode::OK, "a debt ends with its minute");
        pipeline.clock.advance(Duration::from_mins(1));
    }
}

#[tokio::test]
async fn a_replay_too_many_is_refused_before_an_event_is_read() {
    let pipeline = with_large_log().await;
    let body = json!({"since": "2023-01-01T00:00:00Z"});
    for _ in 0..10 {
        let created = pipeline.post_json("/api/replays", body.clone()).await;
        assert_eq!(created.status, StatusCode::ACCEPTED, "{}", created.body);
        pipeline.clock.advance(Duration::from_mins(1)); // the count of its events costs tokens
    }
    pipeline.tables.events.reset_usage();
    let refused = pipeline.post_json("/api/replays", body).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(pipeline.tables.events.usage().half_reads, 0);
}

#[tokio::test]
async fn a_dry_run_stops_early_and_says_that_there_may_be_more() {
    let pipeline = with_large_log().await;
    let item = pipeline.tables.events.items().remove(0);
    for number in 1..=LARGE_HEADS {
        let id = EventId::generate(START.before(Duration::from_secs(1_000 + number)), 1, &mut rand::rng());
        pipeline.tables.events.put_item(item.clone().with("sk", id.to_string()));
    }
    pipeline.tables.events.reset_usage();
    let dry = json!({"since": "2023-01-01T00:00:00Z", "dry_run": true});
    let counted = pipeline.post_json("/api/replays", dry).await;
    let units = pipeline.tables.events.usage().half_reads / 2;
    println!("a dry run over 12 MB reads {units} units: {}", counted.body);
    assert_eq!(counted.body["count_is_exact"], false, "{}", counted.body);
    assert!(units <= 8 * 132, "eight pages of 1 MB: {units}");
}
