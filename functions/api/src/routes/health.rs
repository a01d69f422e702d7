//! Whether the service lives, and whether it can work.

use std::time::Duration;

use axum::extract::State;
use http::StatusCode;
use runtime::answer;
use runtime::answer::Answer;
use serde_json::json;
use store::queue::Queue;
use store::unavailable::PortResult;
use tokio::time::timeout;

use crate::deps::ApiState;
use store::ports::Ports;

/// A dependency that takes longer is not ready.
const PATIENCE: Duration = Duration::from_millis(900);

/// `GET /health`, `/health/live`: the process answers; nothing else is touched.
pub(crate) async fn live() -> Answer {
    answer::json(StatusCode::OK, &json!({"status": "healthy", "version": env!("CARGO_PKG_VERSION")}))
}

/// `GET /health/ready`: queue and table answer within a second.
pub(crate) async fn ready<P: Ports>(State(api): ApiState<P>) -> Answer {
    let queue = async { passes(timeout(PATIENCE, api.queues.events.depth()).await) };
    let table = async { passes(timeout(PATIENCE, api.events.ping()).await) };
    let (queue, table) = tokio::join!(queue, table);
    let (status, text) = if queue && table {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    let word = |passes| if passes { "ok" } else { "failed" };
    let mut answer = answer::json(
        status,
        &json!({"status": text, "checks": {"queue": word(queue), "table": word(table)}}),
    );
    if !(queue && table) {
        answer::add_header(&mut answer, "retry-after", "5");
    }
    answer
}

fn passes<T, E>(check: Result<PortResult<T>, E>) -> bool {
    match check {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            tracing::warn!(cause = %error, "not ready");
            false
        }
        Err(_) => false,
    }
}
