//! Health checks.

use std::future::Future;
use std::time::Duration;

use axum::extract::State;
use http::StatusCode;
use runtime::answer;
use runtime::answer::Answer;
use serde_json::json;
use store::ports::Ports;
use store::queue::Queue;
use store::unavailable::PortResult;
use tokio::time::timeout;

use crate::deps::ApiState;

/// The time limit of each readiness check.
const TIMEOUT: Duration = Duration::from_millis(900);

/// The value of `Retry-After` while the service is not ready.
const RETRY_AFTER_SECONDS: u32 = 5;

/// Answers `GET /health` and `/health/live`. No dependency is used.
pub(crate) async fn live() -> Answer {
    answer::json(StatusCode::OK, &json!({"status": "healthy", "version": env!("CARGO_PKG_VERSION")}))
}

/// Answers `GET /health/ready`: whether the queue and the table answer within one second.
pub(crate) async fn ready<P: Ports>(State(api): ApiState<P>) -> Answer {
    let (queue, table) =
        tokio::join!(passes("queue", api.queues.events.depth()), passes("table", api.events.ping()),);
    let is_ready = queue && table;
    let word = |passes| if passes { "ok" } else { "failed" };
    let body = json!({
        "status": if is_ready { "ready" } else { "not ready" },
        "checks": {"queue": word(queue), "table": word(table)},
    });
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut answer = answer::json(status, &body);
    if !is_ready {
        answer::retry_after(&mut answer, RETRY_AFTER_SECONDS);
    }
    answer
}

/// Returns whether a check succeeds in time. Logs the cause of a failure.
async fn passes<T>(dependency: &str, check: impl Future<Output = PortResult<T>>) -> bool {
    match timeout(TIMEOUT, check).await {
        Ok(Ok(_)) => return true,
        Ok(Err(error)) => tracing::warn!(dependency, cause = %error, "the readiness check failed"),
        Err(_) => tracing::warn!(dependency, "the readiness check took too long"),
    }
    false
}
