//! Refuses a second endpoint that sends the same events to the same URL.

use domain::endpoint::Endpoint;
use domain::endpoint::duplicate::duplicate_of;
use domain::problem::{Kind, Problem};
use domain::tenant::id::TenantId;
use store::ports::Ports;

use crate::deps::Api;

/// Checks that no other endpoint of the tenant sends the same events to the same URL. Two requests at the same time can both
/// pass: the allowance of the tenant bounds what they send.
///
/// # Errors
/// 409 that names the other endpoint.
pub(super) async fn check_no_duplicate<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    endpoint: &Endpoint,
) -> Result<(), Problem> {
    let others = api.control.endpoints(tenant).await?;
    let Some(other) = duplicate_of(endpoint, &others) else { return Ok(()) };
    let id = &other.id;
    let detail = format!(
        "the endpoint {id} sends some of the same event types to the same URL; change it with `PATCH /api/endpoints/{id}`, delete it, or use patterns that match no common type"
    );
    Err(Problem::new(Kind::EndpointExists, detail))
}

/// Checks the same of a changed endpoint, if its URL or its patterns changed.
///
/// # Errors
/// Those of [`check_no_duplicate`].
pub(super) async fn check_change<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    seen: &Endpoint,
    next: &Endpoint,
) -> Result<(), Problem> {
    if seen.url == next.url && seen.event_types == next.event_types {
        return Ok(());
    }
    check_no_duplicate(api, tenant, next).await
}
