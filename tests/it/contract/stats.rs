//! What is counted of a tenant by the minute.

use domain::tenant::id::TenantId;
use domain::tenant::stats::{Histogram, Stats, StatsByMinute};
use domain::tenant::window::Step;
use domain::testing::START;
use store::limits::Limits;
use store::table::Table;
use store::unavailable::PortResult;

pub(super) async fn keep_their_promises(
    limits: &Limits<impl Table>,
    ours: &TenantId,
    other: &TenantId,
) -> PortResult<()> {
    let minute = START.minutes();
    let some = |first_attempt_ms| Stats { accepted: 2, stored: 1, first_attempt_ms, ..Stats::default() };
    let later = Stats { delivered: 1, failed: 2, acked: 3, ..Stats::default() };
    let (first, second) = (some(Histogram::of(20)), some(Histogram::of(20_000)));
    limits.add_stats(ours, minute, &Stats::default()).await?;
    limits.add_stats(ours, minute, &first).await?;
    limits.add_stats(ours, minute, &second).await?;
    limits.add_stats(ours, minute + 2, &later).await?;
    let (both, all) = (first.clone().plus(&second), first.plus(&second).plus(&later));
    let within = async |first, last| {
        let found = limits.stats(ours, minute + first - 1, minute + last - 1).await?;
        PortResult::Ok(found.sum())
    };
    assert_eq!(within(0, 0).await?, Stats::default());
    assert_eq!((within(0, 1).await?, within(1, 2).await?), (both.clone(), both.clone()));
    assert_eq!((within(1, 3).await?, within(0, 9).await?), (all.clone(), all));
    assert_eq!((within(3, 3).await?, within(2, 2).await?), (later.clone(), Stats::default()));
    assert_eq!(limits.stats(other, 0, minute + 9).await?, StatsByMinute::default());
    let step = Step::parse("1m").expect("a minute");
    let each = limits.stats(ours, minute, minute + 2).await?.buckets(step, minute, minute + 2);
    assert_eq!(each, [(minute, both), (minute + 1, Stats::default()), (minute + 2, later)]);
    Ok(())
}
