//! What will expire: the rows that wait until their owner is told, and what is found of it then.

use std::time::Duration;
use store::ports::Ports;
use store::table::Table;

use domain::event::Event;
use domain::event::id::EventId;
use domain::inbox::Head;
use domain::inbox::expiry::{ExpiryBatch, UndeliveredEvents};
use domain::testing::{START, event, tenant};
use domain::timestamp::Timestamp;
use store::events::Events;
use store::schedule::Schedule;
use store::unavailable::PortResult;

/// So late that no scheduler of these days finds it due: 2100-01-01.
const FAR: Timestamp = Timestamp::from_seconds(4_102_444_800);

pub(super) async fn rows_keep_their_promises(schedule: &Schedule<impl Table>) -> PortResult<()> {
    let (ours, other) = (tenant(), tenant());
    let cohort = |tenant, days: u64| {
        let event = event(tenant, "a", "1", FAR.after(Duration::from_hours(24 * days)));
        ExpiryBatch::of(tenant, &Head::new(&event, []))
    };
    let rows = [cohort(&ours, 0), cohort(&ours, 1), cohort(&other, 2)];
    for row in [&rows[2], &rows[1], &rows[0], &rows[0]] {
        schedule.put_expiring(row).await?;
    }
    let before = async |until: Timestamp| {
        let found = schedule.expiring(until, 1000).await?;
        let is_ours = |row: &ExpiryBatch| [&ours, &other].contains(&&row.tenant);
        PortResult::Ok(found.into_iter().filter(is_ours).collect::<Vec<_>>())
    };
    assert_eq!(before(rows[0].notice_at()).await?, []);
    assert_eq!(before(rows[1].notice_at()).await?, rows[..1]);
    assert_eq!(before(rows[2].expired_at()).await?, rows);
    assert_eq!(schedule.expiring(rows[2].expired_at(), 1).await?.len(), 1);
    for _ in 0..2 {
        schedule.delete_expiring(&rows[1]).await?;
    }
    assert_eq!(before(rows[2].expired_at()).await?, [rows[0].clone(), rows[2].clone()]);
    schedule.delete_expiring(&rows[0]).await?;
    schedule.delete_expiring(&rows[2]).await
}

pub(super) async fn what_is_untaken_is_found(events: &Events<impl Ports>) -> PortResult<()> {
    let (ours, other) = (tenant(), tenant());
    let at = |at: Timestamp| {
        let id = EventId::generate(at, 16, &mut rand::rng()); // on any shard
        Event { id, ..event(&ours, "order.created", "1", at) }
    };
    let cohort = ExpiryBatch::of(&ours, &Head::new(&at(START), []));
    let just_before = |moment: Timestamp| Timestamp::from_millis(moment.millis() - 1);
    let hour = |hour| cohort.accepted_from.after(Duration::from_hours(hour));
    let born = [hour(0), hour(5), hour(5), hour(10), hour(20), just_before(cohort.accepted_before())].map(at);
    let outside = [just_before(cohort.accepted_from), cohort.accepted_before()].map(at);
    for event in born.iter().chain(&outside) {
        events.insert(event, &Head::new(event, [])).await?;
    }
    let mut inside: Vec<_> = born.iter().map(|event| (event.id, event.event_type.clone())).collect();
    inside.sort_unstable_by_key(|(id, _)| *id);
    let all = |events| UndeliveredEvents { events, is_all: true };
    assert_eq!(events.undelivered(&cohort, 100).await?, all(inside.clone()));
    let some = events.undelivered(&cohort, 2).await?;
    assert!(!some.is_all && some.events.len() >= 2, "{some:?}");
    assert_eq!(some.events[0], inside[0], "the oldest is always among them");
    let (oldest, _) = inside.remove(0);
    let acked = events.head(&ours, oldest).await?.unwrap().head.acknowledge().unwrap();
    events.update(&ours, &acked).await?;
    assert_eq!(events.undelivered(&cohort, 100).await?, all(inside));
    assert_eq!(events.undelivered(&ExpiryBatch { tenant: other, ..cohort }, 100).await?, all(Vec::new()));
    Ok(())
}
