//! How many deliveries of an endpoint are parked: the count goes past the 1 MB of a query's page where one endpoint is read,
//! and a list counts only on request, a hundred of each endpoint at most.

use std::sync::Arc;

use api::deps::Api;
use api::router;
use axum::body::{self, Body};
use domain::testing::endpoint;
use http::Request;
use serde_json::Value;
use store::item::Key;
use store::testing::memory::Memory;
use store::testing::table::usage::Operation;

use crate::pipeline::Pipeline;
use crate::support::configs;

/// Rows of this size fill a page of 1 MB before they are counted.
const ROW_BYTES: usize = 300_000;
const ROWS: usize = 9;

/// A tenant whose endpoint has parked deliveries of more than 2 MB.
async fn with_many_parked() -> Pipeline {
    let pipeline = Pipeline::parked(1).await;
    pipeline.deliver().await;
    let items = pipeline.tables.schedule.items();
    let parked = items.iter().find(|item| item.has("message")).expect("a parked delivery");
    for number in 1..ROWS {
        let key = Key::new(parked.text("pk").unwrap(), format!("{number:08}"));
        let row = parked.clone().with("padding", "x".repeat(ROW_BYTES));
        pipeline.tables.schedule.put_item(row.at(key));
    }
    pipeline
}

/// Asks the API over the tables of this pipeline.
async fn get(pipeline: &Pipeline, path: &str) -> Value {
    let ports = Memory { tables: pipeline.tables.clone(), ..Memory::new(&pipeline.faults, &pipeline.clock) };
    let api = Arc::new(Api::new(&ports, configs::api()));
    let routes = router::router(Arc::clone(&api));
    let (route, _) = path.split_once('?').unwrap_or((path, ""));
    let request = Request::get(path).header("x-api-key", pipeline.key.expose()).body(Body::empty()).unwrap();
    let answer = router::answer(&api, routes, request, route, "request").await;
    assert_eq!(answer.status(), 200);
    let body = body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn parked_deliveries_are_counted_past_one_page_of_a_query() {
    let pipeline = with_many_parked().await;
    pipeline.tables.schedule.reset_usage();
    let shown = get(&pipeline, &format!("/api/endpoints/{}", endpoint(1).id)).await;
    assert_eq!(shown["pending"], ROWS, "{shown}");
    let queries = pipeline.tables.schedule.usage().calls_of(Operation::Query);
    assert!(queries > 1, "{queries} pages hold more than 2 MB");
}

#[tokio::test]
async fn a_list_of_endpoints_counts_no_parked_deliveries() {
    let pipeline = with_many_parked().await;
    pipeline.tables.schedule.reset_usage();
    let listed = get(&pipeline, "/api/endpoints").await;
    assert_eq!(listed["endpoints"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(pipeline.tables.schedule.usage().calls_of(Operation::Query), 0);
}

/// Gives an endpoint this many parked deliveries, of the size of a real one.
fn park_more(pipeline: &Pipeline, count: usize) {
    let items = pipeline.tables.schedule.items();
    let parked = items.iter().find(|item| item.has("message")).expect("a parked delivery");
    let name = parked.text("sk").unwrap();
    for number in 1..count {
        let key = Key::new(parked.text("pk").unwrap(), format!("{name}{number:04}"));
        pipeline.tables.schedule.put_item(parked.clone().at(key));
    }
}

#[tokio::test]
async fn a_list_counts_parked_deliveries_on_request_and_stops_at_a_hundred() {
    const MANY: usize = 3000;
    let pipeline = Pipeline::parked(1).await;
    pipeline.deliver().await;
    let listed = get(&pipeline, "/api/endpoints?pending=true").await;
    assert_eq!(listed["endpoints"][0]["pending"], 1, "{listed}");
    park_more(&pipeline, MANY);
    pipeline.tables.schedule.reset_usage();
    let listed = get(&pipeline, "/api/endpoints?pending=true").await;
    let units = pipeline.tables.schedule.usage().half_reads / 2;
    println!("a list that counts {MANY} parked deliveries of an endpoint reads {units} units of Schedule");
    assert_eq!(listed["endpoints"][0]["pending"], 100, "{listed}");
    assert!(units <= 10, "{units}");
    pipeline.tables.schedule.reset_usage();
    let one = get(&pipeline, &format!("/api/endpoints/{}", endpoint(1).id)).await;
    assert_eq!(one["pending"], MANY, "one endpoint is counted further");
    println!("one endpoint alone: {} units", pipeline.tables.schedule.usage().half_reads / 2);
}
