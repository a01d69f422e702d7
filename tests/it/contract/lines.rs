//! The lines of a tenant, and the requests in flight.

use std::time::Duration;

use domain::delivery::line::Line;
use domain::endpoint::pace::Pace;
use domain::tenant::id::TenantId;
use domain::testing::{START, endpoint};
use store::limits::Limits;
use store::table::Table;
use store::unavailable::PortResult;

pub(super) async fn keep_their_promises(
    limits: &Limits<impl Table>,
    tenant: &TenantId,
    other: &TenantId,
) -> PortResult<()> {
    let (id, span) = (endpoint(1).id, Pace::per_second(10).span(50, START));
    let line = Line::Endpoint(&id);
    assert_eq!(limits.reserve(tenant, line, span).await?, span.earliest);
    assert_eq!(limits.reserve(tenant, line, span).await?, span.earliest + span.length);
    assert_eq!(limits.reserve(other, line, span).await?, span.earliest);
    let slow = Pace::per_hour(60).span(1, START);
    let latest = START.after(Duration::from_mins(1)).millis() * 1000;
    let reserve = || limits.reserve_throttled(tenant, line, slow, latest);
    let begun = [reserve().await?, reserve().await?, reserve().await?];
    assert_eq!(begun, [Some(slow.earliest), Some(slow.earliest + slow.length), None], "within a minute");
    let later = Pace::per_second(10).span(1, START.after(Duration::from_secs(60)));
    assert_eq!(limits.reserve(tenant, line, later).await?, later.earliest, "the line was idle");
    for (minute, wanted, given) in [(7, 20, 20), (7, 20, 10), (7, 1, 0), (8, 50, 30)] {
        assert_eq!(
            limits.start_requests(tenant, line, minute, wanted, |_| 30).await?,
            given,
            "{wanted} in minute {minute}"
        );
    }
    limits.end_requests(tenant, line, 7, 20, 3).await?;
    let most = |succeeded| if succeeded == 3 { 30 } else { 10 };
    assert_eq!(limits.start_requests(tenant, line, 7, 30, most).await?, 20);
    assert_eq!(limits.start_requests(tenant, Line::Slow, 7, 5, |_| 30).await?, 5, "another line");
    tenants_reserve_apart(limits, tenant, other).await
}

/// Each line of a tenant has its own time, and a span that would begin too late takes none.
async fn tenants_reserve_apart(
    limits: &Limits<impl Table>,
    tenant: &TenantId,
    other: &TenantId,
) -> PortResult<()> {
    let second = Pace::per_second(1).span(1, START);
    let now = START.millis() * 1000;
    for line in [Line::Slow, Line::Burst, Line::Allowance] {
        assert_eq!(limits.reserved_until(tenant, line).await?, None);
        let reserve = || limits.reserve_before(tenant, line, second, now);
        assert_eq!([reserve().await?, reserve().await?, reserve().await?], [true, true, false], "{line:?}");
        assert_eq!(
            limits.reserve(tenant, line, second).await?,
            now + second.length,
            "the refused one took no time"
        );
        assert_eq!(limits.reserved_until(other, line).await?, None);
    }
    Ok(())
}
