//! What only the operator of a stack may read, with api as it is configured in AWS.

use std::sync::Arc;

use api::deps::Api;
use api::router::{answer, router};
use axum::body::{Body, to_bytes};
use domain::testing::START;
use http::Request;
use store::testing::clock::FixedClock;
use store::testing::faults::Faults;
use store::testing::memory::Memory;

use crate::support::client::Reply;
use crate::support::configs::{self, ADMIN_TOKEN};

#[tokio::test]
async fn only_the_operator_sees_the_numbers() {
    let ports = Memory::new(&Faults::default(), &FixedClock::at(START));
    let api = Arc::new(Api::new(&ports, configs::api()));
    let metrics = async |token: Option<&str>| {
        let request = token
            .into_iter()
            .fold(Request::get("/metrics"), |request, token| request.header("X-Admin-Token", token));
        let request = request.body(Body::empty()).unwrap();
        let (head, body) =
            answer(&api, router(Arc::clone(&api)), request, "/metrics", "request").await.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Reply { status: head.status.as_u16(), headers: head.headers, body }
    };
    metrics(None).await.problem(401, "unauthorized");
    metrics(Some("wrong")).await.problem(401, "unauthorized");
    metrics(Some(ADMIN_TOKEN)).await.expect(200);
}
