//! The lines of a tenant, and the requests in flight.

use std::time::Duration;

use domain::delivery::at_once::AtOnce;
use domain::delivery::line::Line;
use domain::endpoint::pace::Pace;
use domain::tenant::id::TenantId;
use domain::testing::{START, endpoint, tenant};
use store::limits::Limits;
use store::limits::admissions::Ended;
use store::table::Table;
use store::unavailable::PortResult;

pub(crate) async fn lines_keep_their_promises(limits: &Limits<impl Table>) -> PortResult<()> {
    let (tenant, other) = (&tenant(), &tenant());
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
    tenants_reserve_apart(limits, tenant, other).await
}

pub(crate) async fn requests_in_flight_are_limited(limits: &Limits<impl Table>) -> PortResult<()> {
    let tenant = &tenant();
    // 1. By their number.
    let (id, thirty) = (endpoint(1).id, AtOnce::requests(30));
    let line = Line::Endpoint(&id);
    for (minute, wanted, given) in [(7, 20, 20), (7, 20, 10), (7, 1, 0), (8, 50, 30)] {
        let started = limits.start_requests(tenant, line, minute, wanted, thirty).await?;
        assert_eq!(started, given, "{wanted} in minute {minute}");
    }

    // 2. By the number of those that succeeded.
    let ended = Ended { requests: 20, succeeded: 3, is_last: true };
    limits.end_requests(tenant, line, 7, ended).await?;
    let endpoint = AtOnce::to_endpoint(Pace::per_second(30));
    assert_eq!(
        limits.start_requests(tenant, line, 7, 30, endpoint).await?,
        3,
        "10 and 3, of which 10 are in flight"
    );
    let ended = Ended { requests: 13, succeeded: 17, is_last: true };
    limits.end_requests(tenant, line, 7, ended).await?;
    for given in [8, 8, 8, 6, 0] {
        assert_eq!(limits.start_requests(tenant, line, 7, 8, endpoint).await?, given, "20 succeeded");
    }
    for requests in [8, 6] {
        let ended = Ended { requests, succeeded: 0, is_last: true };
        limits.end_requests(tenant, line, 7, ended).await?;
    }
    assert_eq!(limits.start_requests(tenant, Line::Slow, 7, 5, thirty).await?, 5, "another line");

    // 3. By the number of their batches, of which the minute has three.
    let start = async |batches| limits.start_requests(tenant, line, 7, 1, thirty.in_batches(batches)).await;
    assert_eq!([start(3).await?, start(4).await?, start(4).await?], [0, 1, 0]);
    let ended = |is_last| Ended { requests: 1, succeeded: 0, is_last };
    limits.end_requests(tenant, line, 7, ended(false)).await?;
    assert_eq!(start(4).await?, 0, "the batch has another request in flight");
    limits.end_requests(tenant, line, 7, ended(true)).await?;
    assert_eq!(start(4).await?, 1);
    Ok(())
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
