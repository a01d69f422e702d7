//! `GET /api/replays`: the replays of a tenant, running and ended, page by page, and what a page costs at most.

use std::time::Duration;

use domain::event::event_type::EventType;
use domain::job::id::JobId;
use domain::job::replay::{Filter, Progress, Replay};
use domain::job::{Job, Work};
use domain::tenant::id::TenantId;
use domain::testing::{START, tenant};
use http::StatusCode;
use serde_json::{Value, json};
use store::clock::Clock;
use store::items::Updated;

use crate::pipeline::Pipeline;

/// The longest type, in the longest characters.
const LONGEST_TYPE: usize = 255;

/// A new replay of a tenant, as large as one can be.
fn replay_of(pipeline: &Pipeline, owner: &TenantId) -> Job {
    let event_type = EventType::parse("\u{1f980}".repeat(LONGEST_TYPE).as_str()).expect("a type");
    let until = START.after(Duration::from_mins(1));
    let filter = Filter { shards: 1, since: START, until, event_type: Some(event_type), status: None };
    let progress = Progress::default();
    let replay =
        Replay { filter, endpoint: None, rate_per_second: None, count: 1, count_is_exact: true, progress };
    let now = pipeline.clock.now();
    pipeline.clock.advance(Duration::from_secs(1));
    Job::new(
        JobId::generate_replay(now, &mut rand::rng()),
        owner.clone(),
        Work::Replay(Box::new(replay)),
        now,
    )
}

/// Puts replays of a tenant that have ended, and returns their ids, oldest first.
async fn put_ended(pipeline: &Pipeline, owner: &TenantId, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let job = replay_of(pipeline, owner);
        pipeline.schedule.put_job(&job).await.unwrap();
        let ended = job.ended(pipeline.clock.now());
        assert_eq!(pipeline.schedule.save_job(&ended).await.unwrap(), Updated::Done);
        ids.push(job.id.to_string());
    }
    ids
}

async fn list(pipeline: &Pipeline, query: &str) -> Value {
    let page = pipeline.call("GET", &format!("/api/replays{query}"), &Value::Null).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page.body
}

fn ids(page: &Value) -> Vec<String> {
    let replays = page["replays"].as_array().expect("a list").iter();
    replays.map(|replay| replay["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn replays_are_listed_newest_first_with_their_progress_and_page_by_page() {
    let pipeline = Pipeline::with_endpoints(1);
    assert_eq!(list(&pipeline, "").await, json!({"replays": [], "next_cursor": null}));
    let mut expected = put_ended(&pipeline, &pipeline.tenant, 5).await;
    for _ in 0..2 {
        let body = json!({"since": "2023-01-01T00:00:00Z"});
        let made = pipeline.post_json("/api/replays", body).await;
        assert_eq!(made.status, StatusCode::ACCEPTED, "{}", made.body);
        expected.push(made.body["id"].as_str().unwrap().to_owned());
        pipeline.clock.advance(Duration::from_secs(1));
    }
    put_ended(&pipeline, &tenant(), 3).await;
    expected.reverse();

    let all = list(&pipeline, "").await;
    assert_eq!((ids(&all), &all["next_cursor"]), (expected.clone(), &Value::Null));
    let states: Vec<&str> =
        all["replays"].as_array().unwrap().iter().map(|replay| replay["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["running", "running", "done", "done", "done", "done", "done"]);
    let first = pipeline.call("GET", &format!("/api/replays/{}", expected[0]), &Value::Null).await;
    assert_eq!(all["replays"][0], first.body, "as it is read alone");

    let (mut walked, mut query) = (Vec::new(), "?limit=3".to_owned());
    for _ in 0..3 {
        let page = list(&pipeline, &query).await;
        walked.extend(ids(&page));
        query = format!("?limit=3&cursor={}", page["next_cursor"].as_str().unwrap_or_default());
    }
    assert_eq!(walked, expected);
    assert!(query.ends_with("cursor="), "the third page is the last");
}

#[tokio::test]
async fn a_page_of_replays_costs_no_more_than_its_bound_however_many_there_are() {
    let pipeline = Pipeline::with_endpoints(1);
    let other = tenant();
    for _ in 0..500 {
        pipeline.schedule.put_job(&replay_of(&pipeline, &other)).await.unwrap();
    }
    put_ended(&pipeline, &pipeline.tenant, 300).await;
    for _ in 0..10 {
        pipeline.schedule.put_job(&replay_of(&pipeline, &pipeline.tenant)).await.unwrap();
    }
    for (query, bound) in [("", 20), ("?limit=100", 60)] {
        pipeline.tables.schedule.reset_usage();
        let page = list(&pipeline, query).await;
        let units = pipeline.tables.schedule.usage().half_reads / 2;
        println!("{} of 310 replays: {units} read units", ids(&page).len());
        assert!(page["next_cursor"].is_string() && units <= bound, "{query}: {units}");
    }
}
