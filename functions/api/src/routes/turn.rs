//! The turn of a tenant's requests to receivers that a client waits for: tests, and ownership handshakes.
//!
//! An instance answers nothing else meanwhile, so a tenant has one such request at a time in all instances, and each counts as
//! a delivery in the allowance of the tenant.

use std::time::Duration;

use domain::delivery::line::Line;
use domain::problem::{Kind, Problem};
use domain::tenant::allowance;
use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;
use store::clock::Clock;
use store::limits::test_turn::Turn;
use store::ports::Ports;

use crate::deps::Api;

/// The longest time of a request to a receiver.
pub(super) const REQUEST_TIME: Duration = Duration::from_secs(5);

/// The longest turn. A turn whose process crashed ends with it.
const MAX_TURN: Duration = Duration::from_secs(6);

/// When a request that a limit does not allow may be sent again, in seconds.
const RETRY_SECONDS: u32 = 5;

/// Takes the turn of a tenant, does something in it, and gives the turn back.
///
/// # Errors
/// 429 if the turn is taken, 503 if the table does not answer, and the errors of `act`.
pub(super) async fn take<P: Ports, T>(
    api: &Api<P>,
    tenant: &TenantId,
    act: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let now = api.clock.now();
    let end = now.after(MAX_TURN);
    if let Turn::BusyUntil(until) = api.limits.start_test(tenant, now, end).await? {
        let detail = "another test or ownership handshake of the tenant is under way, and one at a time is allowed; send the request again after `Retry-After`";
        let seconds = until.millis_since(now).div_ceil(1000).clamp(1, MAX_TURN.as_secs());
        let retry_after = u32::try_from(seconds).ok();
        return Err(Problem { retry_after, ..Problem::new(Kind::RateLimited, detail) });
    }
    let done = act.await;
    if let Err(error) = api.limits.end_test(tenant, end).await {
        tracing::warn!(%error, "the turn of a test was not given back; it ends by itself");
    }
    done
}

/// Counts a request as a delivery in the allowance of the tenant.
///
/// # Errors
/// 429 if the allowance is used up, 503 if the table does not answer.
pub(super) async fn count_in_allowance<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    tier: Tier,
) -> Result<(), Problem> {
    let now = api.clock.now();
    let latest = now.millis().saturating_mul(1000);
    let span = allowance::span(tier, 1, now);
    if api.limits.reserve_before(tenant, Line::Allowance, span, latest).await? {
        return Ok(());
    }
    Err(not_now("the delivery allowance of the tenant is used up (see `GET /api/stats`)"))
}

/// Returns the 429 for a request that a limit does not allow.
pub(super) fn not_now(what: &str) -> Problem {
    let detail = format!("{what}, and this request counts as a delivery; send it again after `Retry-After`");
    Problem { retry_after: Some(RETRY_SECONDS), ..Problem::new(Kind::RateLimited, detail) }
}
