//! Health checks.

use std::future::Future;
use std::time::Duration;

use axum::extract::State;
use http::StatusCode;
use runtime::answer;
use runtime::answer::Answer;
use serde_json::json;
use store::clock::Clock;
use store::ports::Ports;
use store::queue::Queue;
use store::unavailable::PortResult;
use tokio::time::timeout;

use crate::deps::{Api, ApiState};
use crate::readiness::Checks;

/// The time limit of each readiness check.
const TIMEOUT: Duration = Duration::from_millis(900);

/// The value of `Retry-After` while the service is not ready. The checks are made again then.
const RETRY_AFTER_SECONDS: u32 = 5;

/// Answers `GET /health` and `/health/live`. No dependency is used.
pub(crate) async fn live() -> Answer {
    answer::json(StatusCode::OK, &json!({"status": "healthy", "version": env!("CARGO_PKG_VERSION")}))
}

/// Answers `GET /health/ready`: whether the queue and the table answer within one second. An instance checks
/// them at most once in [`KNOWN_FOR`](crate::readiness::KNOWN_FOR).
pub(crate) async fn ready<P: Ports>(State(api): ApiState<P>) -> Answer {
    let Checks { queue, table } = api.readiness.get(api.clock.now(), check(&api)).await;
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

/// Checks the queue and the table at the same time.
async fn check<P: Ports>(api: &Api<P>) -> Checks {
    let (queue, table) =
        tokio::join!(passes("queue", api.queues.events.messages.depth()), passes("table", api.events.ping()));
    Checks { queue, table }
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
