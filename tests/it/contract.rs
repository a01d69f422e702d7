//! What every table promises, held against the tables in memory here and against the real ones in `deployed/contract.rs`,
//! so that neither can drift from the other.

mod events;
mod expiring;
pub(crate) mod jobs;
pub(crate) mod lines;
mod parked;
mod stats;

use std::sync::Arc;
use std::time::Duration;
use store::claims::Claims;
use store::control::Control;
use store::control::api_keys::{KeyChange, KeyDeletion};
use store::data_keys::DataKeys;
use store::events::Events;
use store::limits::Limits;
use store::ports::Ports;
use store::schedule::Schedule;
use store::table::Table;
use store::testing::clock::FixedClock;
use store::testing::faults::Faults;
use store::testing::memory::Memory;

use domain::delivery::DeliveryMessage;
use domain::delivery::lane::Lane;
use domain::delivery::schedule::{Due, shard_of_event};
use domain::endpoint::health::Failed;
use domain::endpoint::health::window::Window;
use domain::endpoint::slowness::Slowness;
use domain::endpoint::{Endpoint, EndpointState};
use domain::event::claim::{Claim, Claimed};
use domain::event::claim_name::{ClaimName, DedupId};
use domain::event::fingerprint::Fingerprint;
use domain::event::id::EventId;
use domain::inbox::Head;
use domain::inbox::notice_request::{NoticeRequest, Reason};
use domain::tenant::api_key::{KeyRecord, Pepper};
use domain::tenant::backlog::{Backlog, DayChange};
use domain::tenant::id::TenantId;
use domain::tenant::key_deletion::Refusal;
use domain::tenant::rate_limit::{Leased, Meter, Metered};
use domain::tenant::tier::Tier;
use domain::tenant::{InboxMode, Tenant};
use domain::testing::{START, endpoint, endpoint_of, event, key_of, tenant};
use domain::timestamp::Timestamp;
use store::control::endpoints::Added;
use store::control::tenants::TenantSettings;
use store::items::Updated;
use store::limits::backlog::Demand;
use store::limits::counters::{Counts, QueueName, Wait};

use store::unavailable::PortResult;

use events::events_keep_their_promises;
use lines::{lines_keep_their_promises, requests_in_flight_are_limited};

fn memory() -> Memory {
    Memory::new(&Faults::default(), &FixedClock::at(START))
}

pub(crate) async fn claims_keep_their_promises(claims: &Claims<impl Table>) -> PortResult<()> {
    let (ours, other) = (tenant(), tenant());
    let name = ClaimName::Dedup(DedupId::parse("order 7").unwrap());
    let claim = |payload: &str, now: Timestamp| {
        let id = EventId::generate(now, 1, &mut rand::rng());
        Claim::new(id, Fingerprint::of_request(payload), now)
    };
    let first = claim("1", START);
    assert_eq!(claims.claim(&ours, &name, &first, START).await?, Claimed::First);
    assert_eq!(claims.claim(&ours, &name, &first, START).await?, Claimed::First, "our own write again");
    let repeat = claims.claim(&ours, &name, &claim("1", START), START).await?;
    assert_eq!(repeat, Claimed::Repeat(first));
    let mismatch = Claimed::Mismatch(first.id);
    assert_eq!(claims.claim(&ours, &name, &claim("2", START), START).await?, mismatch);
    for is_unconfirmed in [true, false] {
        let marked = Claim { is_unconfirmed, ..first };
        claims.mark(&ours, &name, &marked).await?;
        let repeat = claims.claim(&ours, &name, &claim("1", START), START).await?;
        assert_eq!(repeat, Claimed::Repeat(marked));
    }
    claims.mark(&ours, &name, &claim("2", START)).await?; // another event's mark changes nothing
    assert_eq!(claims.claim(&other, &name, &claim("2", START), START).await?, Claimed::First);
    let last_moment = first.expires_at;
    assert_eq!(claims.claim(&ours, &name, &claim("2", last_moment), last_moment).await?, mismatch);
    let later = Timestamp::from_seconds(last_moment.seconds() + 1);
    assert_eq!(claims.claim(&ours, &name, &claim("2", later), later).await?, Claimed::First);
    Ok(())
}

pub(crate) async fn limits_keep_their_promises(limits: &Limits<impl Table>) -> PortResult<()> {
    let meter = |metered| Meter { tenant: tenant(), metered };
    let (ours, other) = (meter(Metered::Events), meter(Metered::Events));
    let further = [Metered::Requests, Metered::EventsOfKey("key_1".to_owned())];
    assert_eq!(limits.lease(&ours, 7, 40, 100).await?, Leased::Granted { taken: 40 });
    assert_eq!(limits.lease(&ours, 7, 40, 100).await?, Leased::Granted { taken: 80 });
    assert_eq!(limits.lease(&ours, 7, 40, 100).await?, Leased::Exhausted { left: 20 });
    assert_eq!(limits.lease(&ours, 7, 20, 100).await?, Leased::Granted { taken: 100 });
    assert_eq!(limits.lease(&ours, 8, 40, 100).await?, Leased::Granted { taken: 40 });
    assert_eq!(limits.lease(&other, 7, 40, 100).await?, Leased::Granted { taken: 40 });
    for metered in further {
        let meter = Meter { metered, ..ours.clone() };
        assert_eq!(limits.lease(&meter, 7, 40, 100).await?, Leased::Granted { taken: 40 });
    }
    assert_eq!(limits.backlog(&ours.tenant).await?, Backlog::default());
    for change in [[(20_000, 2), (20_001, 1)], [(20_000, -1), (20_001, -1)]] {
        let counted = limits.change_backlog(&ours.tenant, &Backlog::of(change)).await?;
        let sums =
            change.map(|(day, by)| (day, by, if by > 0 { by } else { 20_001 - i64::try_from(day).unwrap() }));
        assert_eq!(counted, sums.map(|(day, change, count)| DayChange { day, change, count }));
    }
    for (at, first) in [(START, START), (START.after(Duration::from_mins(5)), START)] {
        let request = NoticeRequest::new(&ours.tenant, Reason::Filling, at);
        assert_eq!(limits.first_notice_at(&request, at).await?, first, "one time for a day");
    }
    assert_eq!(limits.backlog(&ours.tenant).await?.plus(&Backlog::default()), Backlog::of([(20_000, 1)]));
    let own = Wait { queue: QueueName::Events, waited_ms: 700_000, at: START };
    limits.record_wait(&ours.tenant, &own).await?;
    assert_eq!(limits.demand(&ours.tenant).await?.wait, Some(own));
    assert_eq!(limits.demand(&other.tenant).await?, Demand::default());
    stats::keep_their_promises(limits, &ours.tenant, &other.tenant).await?;
    limits.count(Counts::default(), None).await?;
    let wait = Wait { queue: QueueName::Events, waited_ms: 1000, at: START };
    limits.count(Counts::default(), Some(wait)).await?;
    assert!(limits.wait(QueueName::Events).await?.is_some_and(|latest| latest.at >= wait.at));
    let one_each =
        Counts { accepted: 1, stored: 1, delivered: 1, failed: 1, settled: 1, returned: 1, unreadable: 1 };
    for lane in Lane::ALL {
        let queue = QueueName::Deliveries(lane);
        limits.count(one_each, Some(Wait { queue, ..wait })).await?;
        assert!(limits.waits().await?.iter().any(|latest| latest.queue == queue && latest.at >= wait.at));
    }
    jobs::counters_are_forgotten(limits).await
}

async fn endpoints_keep_their_promises(control: &Control<impl Table>, tenant: &TenantId) -> PortResult<()> {
    let found = control.endpoints(tenant).await?;
    assert_eq!(found.len(), 1);
    let standing = control.settings(tenant).await?;
    assert_eq!(standing.endpoints[..], found[..]);
    let alone = control.settings_without_endpoints(tenant).await?;
    assert_eq!(alone, Some(TenantSettings { endpoints: Arc::default(), ..standing }));
    let seen = found[0].clone();
    assert_eq!(control.endpoint(tenant, &seen.id).await?, Some(seen.clone()));
    let failed = |is_gone| {
        let not_before = Some(START.after(Duration::from_hours(1)));
        Failed { not_before, is_gone, ..domain::testing::failed(false) }
    };
    let change = seen.health.after_failure(&failed(false), &Window::default(), START).unwrap();
    let old = Endpoint { url: "https://old.example.com/".to_owned(), ..seen.clone() };
    assert_eq!(
        control.change_health(tenant, &old, &change).await?,
        Updated::Raced,
        "its URL has changed since"
    );
    let mut now = seen.clone();
    for n in 0..12 {
        let told = || now.health.notice.is_some().then(|| now.health.with_notice_sent());
        let change =
            told().or_else(|| now.health.after_failure(&failed(n > 9), &Window::default(), START)).unwrap();
        assert_eq!(control.change_health(tenant, &now, &change).await?, Updated::Done);
        assert_eq!(control.change_health(tenant, &now, &change).await?, Updated::Raced, "rev has moved on");
        now = control.endpoint(tenant, &seen.id).await?.unwrap();
        assert_eq!(now.health, change.health);
        assert_eq!(now.state == EndpointState::Disabled, n > 9);
    }
    assert!(now.health.open.is_some());
    slowness_is_recorded_once(control, tenant, &now).await?;
    let stranger = domain::testing::tenant();
    assert_eq!(control.endpoint(&stranger, &seen.id).await?, None);
    assert_eq!(control.endpoints(&stranger).await?, []);
    assert_eq!(control.settings(&stranger).await?, TenantSettings::default());
    assert_eq!(control.change_health(&stranger, &seen, &change).await?, Updated::Raced);
    assert_eq!(control.settings(&stranger).await?.tier, None);
    assert_eq!(control.settings_without_endpoints(&stranger).await?, None);
    Ok(())
}

/// Of two requests that have read the same endpoint, one records how slowly it answers.
async fn slowness_is_recorded_once(
    control: &Control<impl Table>,
    tenant: &TenantId,
    seen: &Endpoint,
) -> PortResult<()> {
    let slow = |seconds| Slowness { seconds, at: START.after(Duration::from_secs(seconds.into())) };
    assert_eq!(control.record_slowness(tenant, seen, slow(4)).await?, Updated::Done);
    assert_eq!(
        control.record_slowness(tenant, seen, slow(12)).await?,
        Updated::Raced,
        "it is recorded already"
    );
    let first = control.endpoint(tenant, &seen.id).await?.unwrap();
    assert_eq!((first.slowness, &first.health), (Some(slow(4)), &seen.health));
    assert_eq!(control.record_slowness(tenant, &first, slow(12)).await?, Updated::Done);
    let elsewhere =
        Endpoint { url: "https://old.example.com/".to_owned(), slowness: Some(slow(12)), ..first };
    assert_eq!(
        control.record_slowness(tenant, &elsewhere, slow(13)).await?,
        Updated::Raced,
        "of another URL"
    );
    let unknown = Endpoint { id: endpoint(99).id, ..seen.clone() };
    assert_eq!(control.record_slowness(tenant, &unknown, slow(13)).await?, Updated::Raced, "a deleted one");
    Ok(())
}

pub(crate) async fn schedules_keep_their_promises(schedule: &Schedule<impl Table>) -> PortResult<()> {
    let (ours, place) = (tenant(), endpoint(1).id);
    let event = event(&ours, "a", "1", START);
    let head = Head::new(&event, [place.clone()]);
    let first = DeliveryMessage::first(&ours, event.id, &place, &head.deliveries[&place], false);
    let (second, shard) = (first.next(), shard_of_event(event.id));
    let due = |message: &DeliveryMessage, minutes| Due {
        message: message.clone(),
        at: START.after(Duration::from_mins(minutes)),
    };
    let rows = [due(&first, 1), due(&second, 2)];
    for row in [&rows[1], &rows[0], &rows[0]] {
        schedule.put_due(row, head.expires_at).await?;
    }
    let until = |minutes| START.after(Duration::from_mins(minutes));
    let ours_due =
        |found: Vec<Due>| found.into_iter().filter(|row| row.message.tenant == ours).collect::<Vec<_>>();
    assert_eq!(ours_due(schedule.due(shard, until(1), 1000).await?), []);
    assert_eq!(ours_due(schedule.due(shard, until(2), 1000).await?), rows[..1]);
    assert_eq!(ours_due(schedule.due(shard, until(3), 1000).await?), rows);
    schedule.delete_due(&rows[..1]).await?;
    schedule.delete_due(&rows[..1]).await?;
    assert_eq!(ours_due(schedule.due(shard, until(3), 1000).await?), rows[1..]);
    schedule.delete_due(&rows).await?;

    parked::rows_keep_their_promises(schedule).await?;
    jobs::jobs_keep_their_promises(schedule).await?;
    expiring::rows_keep_their_promises(schedule).await
}

#[tokio::test]
async fn tables_in_memory_keep_their_promises() {
    let tables = memory().tables;
    claims_keep_their_promises(&Claims::new(tables.claims)).await.unwrap();
    limits_keep_their_promises(&Limits::new(tables.limits.clone())).await.unwrap();
    lines_keep_their_promises(&Limits::new(tables.limits.clone())).await.unwrap();
    requests_in_flight_are_limited(&Limits::new(tables.limits)).await.unwrap();
    schedules_keep_their_promises(&Schedule::new(tables.schedule)).await.unwrap();
    all_events_keep_their_promises(&memory(), "key", &|name| name.to_owned()).await;
    all_endpoints_and_keys_keep_their_promises(&Control::new(tables.control)).await;
}

pub(crate) async fn all_events_keep_their_promises<P: Ports>(
    ports: &P,
    kms_key: &str,
    table: &dyn Fn(&str) -> String,
) {
    let keys = DataKeys::<P>::new(ports.table(&table("Control")), ports.vault(kms_key), ports.clock());
    let events = Events::new(ports.table(&table("Events")), keys);
    events_keep_their_promises(&events).await.unwrap();
    events::what_has_expired_is_not_offered(&events).await.unwrap();
    events::an_attempt_that_was_kept_stays_as_it_is(&events).await.unwrap();
    let kept = async |tenant: &TenantId, event| {
        let kept = events.attempts_of(tenant, event, 10).await.unwrap();
        kept.iter().map(|attempt| attempt.at).collect()
    };
    events::what_is_opened_again_keeps_its_past(&events, kept).await.unwrap();
}

/// The tenant of a key.
pub(crate) fn owner(key: &KeyRecord) -> Tenant {
    Tenant {
        id: key.tenant.clone(),
        organization_name: "Contract".to_owned(),
        tier: key.tier,
        spread: key.spread,
        inbox: InboxMode::All,
        wanted_retention_days: None,
        needs_handshake: false,
        suspension: None,
        rev: 1,
        created_at: START,
    }
}

pub(crate) async fn all_endpoints_and_keys_keep_their_promises(control: &Control<impl Table>) {
    let (tenant, pepper) = (tenant(), Pepper::new("pepper"));
    let (key, record) = key_of(&tenant, Tier::Pro);
    let owner = owner(&record);
    control.create_tenant(&owner, &key.hash(&pepper), &record).await.unwrap();
    let first = endpoint_of(&tenant, 1);
    assert_eq!(control.add_endpoint(&tenant, &first).await.unwrap(), Added::Done);
    assert_eq!(control.add_endpoint(&tenant, &first).await.unwrap(), Added::Exists);
    let other = Endpoint { url: "https://other.example.com/".to_owned(), is_paused: true, ..first.clone() };
    assert_eq!(control.change_endpoint(&tenant, &first, &other).await.unwrap(), Updated::Done);
    assert_eq!(control.change_endpoint(&tenant, &first, &other).await.unwrap(), Updated::Raced);
    let changed = control.endpoint(&tenant, &first.id).await.unwrap().unwrap();
    assert_eq!((changed.rev, changed.health.rev), (2, 1), "another URL has a health of its own");
    assert_eq!(changed, Endpoint { rev: 2, health: changed.health.clone(), ..other });
    endpoints_keep_their_promises(control, &tenant).await.unwrap();
    let rev = control.settings(&tenant).await.unwrap().endpoints_rev;
    assert_eq!(rev, 3, "added, which counts twice, and changed; what attempts write does not count");

    assert_eq!(control.key(&key.hash(&pepper)).await.unwrap(), Some(record.clone()));
    assert_eq!(control.tenant_with_keys(&tenant).await.unwrap(), Some((owner, vec![record.clone()])));
    let noted = |minutes: u64| Timestamp::from_seconds(START.seconds() + minutes * 60);
    for (minutes, last_used) in [(0, 0), (14, 0), (15, 15)] {
        control.record_use(&tenant, &record.id, noted(minutes)).await.unwrap();
        let (_, listed) = control.tenant_with_keys(&tenant).await.unwrap().unwrap();
        assert_eq!(listed[0].last_used_at, Some(noted(last_used)), "after {minutes} minutes");
    }
    control.record_use(&tenant, "key_unknown", START).await.unwrap();
    let (_, listed) = control.tenant_with_keys(&tenant).await.unwrap().unwrap();
    assert_eq!(listed.len(), 1, "a key that is gone is not made by its use");
    let (other, other_record) = key_of(&tenant, Tier::Pro);
    let (old, new) = ((&key.hash(&pepper), &record), (&other.hash(&pepper), &other_record));
    let delete = async |asking, id| control.delete_key(asking, id, START).await.unwrap();
    assert_eq!(delete(old, &record.id).await, KeyDeletion::Refused(Refusal::LastAdmin));
    assert_eq!(control.add_key(old.0, new.0, new.1).await.unwrap(), KeyChange::Done);
    assert_eq!(delete(old, "key_unknown").await, KeyDeletion::NoSuchKey);
    assert_eq!(delete(new, &record.id).await, KeyDeletion::Done(key.hash(&pepper)));
    assert_eq!(control.key(&key.hash(&pepper)).await.unwrap(), None);
    assert_eq!(delete(new, &record.id).await, KeyDeletion::NoSuchKey);
    let (third, third_record) = key_of(&tenant, Tier::Pro);
    assert_eq!(control.add_key(new.0, &third.hash(&pepper), &third_record).await.unwrap(), KeyChange::Done);
    assert_eq!(delete(old, &other_record.id).await, KeyDeletion::AskingGone);
    let (other, other_record) = key_of(&tenant, Tier::Pro);
    let new = (&other.hash(&pepper), &other_record);
    for old_ends in [None, Some(START)] {
        assert_eq!(control.rotate_key(old, new, old_ends).await.unwrap(), KeyChange::KeyGone);
    }
    assert_eq!(control.add_key(old.0, new.0, new.1).await.unwrap(), KeyChange::KeyGone);
    assert_eq!(control.key(new.0).await.unwrap(), None, "a dead key makes no other");
}
