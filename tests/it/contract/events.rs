//! What the table `Events` promises.

use std::collections::BTreeSet;
use std::time::Duration;
use store::ports::Ports;

use aws::system_clock::SystemClock;
use domain::delivery::attempt::Attempt;
use domain::delivery::run::Run;
use domain::delivery::verdict::{Answer, Verdict};
use domain::delivery::{Bypass, DeliveryMessage};
use domain::event::Event;
use domain::event::id::EventId;
use domain::inbox::lease::{LeaseId, LeaseTerms};
use domain::inbox::replay::Reopening;
use domain::inbox::{Head, Status};
use domain::tenant::id::TenantId;
use domain::testing::{START, attempted, endpoint, event, tenant};
use domain::timestamp::Timestamp;
use store::clock::Clock;
use store::events::lease::Candidates;
use store::events::log::LogRange;
use store::events::unreadable::UnreadableMessage;
use store::events::{Events, Inserted};
use store::items::Updated;
use store::unavailable::PortResult;

use super::expiring;

pub(super) async fn events_keep_their_promises(events: &Events<impl Ports>) -> PortResult<()> {
    let (ours, other) = (tenant(), tenant());
    for payload in [r#"{"n": 1.50}"#.to_owned(), incompressible(200_000)] {
        let event = event(&ours, "order.created", &payload, START);
        let ids = [endpoint(1).id, endpoint(2).id];
        let born = Head::new(&event, ids.clone());
        assert_eq!(events.head(&ours, event.id).await?, None);
        assert_eq!(events.insert(&event, &born).await?, Inserted::New);
        assert_eq!(events.insert(&event, &born).await?, Inserted::Existing(Box::new(born.clone())));
        let stored = events.head(&ours, event.id).await?.expect("it is stored");
        assert_eq!(stored.head, born);
        assert_eq!(events.payload(&ours, &stored).await?.as_deref(), Some(payload.as_str()));
        assert_eq!(events.head(&other, event.id).await?, None, "another tenant sees nothing");
        updates_keep_their_promises(events, &event, &born).await?;
        deletions_keep_their_promises(events, &event, &born).await?;
    }
    walks_keep_their_promises(events).await?;
    expiring::what_is_untaken_is_found(events).await?;
    let unreadable =
        UnreadableMessage { queue: "q".into(), message_id: "m".into(), tenant: None, body: "{".into() };
    events.keep_unreadable(&unreadable, START).await?;
    events.keep_unreadable(&unreadable, START).await
}

async fn updates_keep_their_promises(
    events: &Events<impl Ports>,
    event: &Event,
    born: &Head,
) -> PortResult<()> {
    let (endpoint, delivery) = born.deliveries.iter().next().unwrap();
    let message = DeliveryMessage::first(&event.tenant, event.id, endpoint, delivery, true);
    let retry = attempted(Verdict::RetryAt(START), "500");
    let next = born.record(&message, &retry).unwrap();
    assert_eq!(events.update(&event.tenant, &next).await?, Updated::Done);
    assert_eq!(events.update(&event.tenant, &next).await?, Updated::Raced, "rev has moved on");
    assert_eq!(events.head(&event.tenant, event.id).await?.unwrap().head, next);
    let holder = LeaseId::generate(&mut rand::rng());
    let until = START.after(Duration::from_secs(60));
    let terms = LeaseTerms { holder: holder.clone(), until, include_open: true, max_leases: 10 };
    let leased = next.lease(&terms, START).unwrap();
    let waits = leased.release(&holder, Duration::from_secs(9), START).unwrap();
    let free = Head { lease: None, lease_count: 0, rev: waits.rev + 1, ..waits.clone() };
    for head in [&leased, &waits, &free] {
        assert_eq!(events.update(&event.tenant, head).await?, Updated::Done);
        assert_eq!(events.head(&event.tenant, event.id).await?.unwrap().head, *head);
    }
    let acked = free.acknowledge().unwrap();
    assert_eq!(events.update(&event.tenant, &acked).await?, Updated::Done);
    assert_eq!(events.insert(event, born).await?, Inserted::Existing(Box::new(acked.clone())));
    assert_eq!(acked.status, Status::Acked);
    let unknown = Head::new(&domain::testing::event(&event.tenant, "a", "1", START), []);
    assert_eq!(events.update(&event.tenant, &Head { rev: 2, ..unknown }).await?, Updated::Raced);
    Ok(())
}

async fn deletions_keep_their_promises(
    events: &Events<impl Ports>,
    event: &Event,
    born: &Head,
) -> PortResult<()> {
    let tenant = &event.tenant;
    let (ep, delivery) = born.deliveries.iter().next().unwrap();
    let attempt = Attempt {
        message: DeliveryMessage::first(tenant, event.id, ep, delivery, false),
        at: START,
        duration_ms: 5,
        answer: Answer::Status { code: 500, retry_after: None, excerpt: "no".to_owned() },
        verdict: Verdict::GiveUp,
    };
    events.log_attempt(&attempt, born.expires_at).await?;
    let found = events.head(tenant, event.id).await?.unwrap();
    let left = found.head.tombstone(START);
    assert_eq!(events.put_tombstone(tenant, &left).await?, Updated::Done);
    assert_eq!(events.put_tombstone(tenant, &left).await?, Updated::Raced, "rev has moved on");
    for _ in 0..2 {
        events.delete_contents(tenant, event.id).await?;
    }
    let buried = events.head(tenant, event.id).await?.unwrap();
    assert_eq!(buried.head, left);
    assert_eq!(events.payload(tenant, &buried).await?, None);
    assert_eq!(
        events.insert(event, born).await?,
        Inserted::Existing(Box::new(left)),
        "it does not come back"
    );
    let stretch =
        LogRange { shard: 0, since: START, until: START.after(Duration::from_secs(1)), after: None };
    assert_eq!(events.log_page(tenant, &stretch, 100).await?.heads, []);
    Ok(())
}

/// An event that was delivered, before and after a replay opens it again.
async fn opened_again(events: &Events<impl Ports>, tenant: &TenantId) -> PortResult<(Head, Head)> {
    let (event, ids) = (event(tenant, "a", "1", START), BTreeSet::from([endpoint(1).id]));
    let born = Head::new(&event, ids.clone());
    events.insert(&event, &born).await?;
    let (ep, delivery) = born.deliveries.iter().next().unwrap();
    let message = DeliveryMessage::first(tenant, event.id, ep, delivery, false);
    let seen = born.record(&message, &attempted(Verdict::Delivered, "200")).unwrap();
    assert_eq!(events.update(tenant, &seen).await?, Updated::Done);
    let what = Reopening {
        run: &Run::from_stored("rpl_1"),
        endpoints: &ids,
        only_undelivered: false,
        also_to: None,
    };
    let next = seen.reopen(&what, START).unwrap();
    Ok((seen, next))
}

/// `kept` tells which attempts of an event are kept.
pub(super) async fn what_is_opened_again_keeps_its_past(
    events: &Events<impl Ports>,
    kept: impl AsyncFn(&TenantId, EventId) -> Vec<Timestamp>,
) -> PortResult<()> {
    let ours = tenant();
    let (seen, next) = opened_again(events, &ours).await?;
    assert_eq!(kept(&ours, seen.id).await, []);
    assert_eq!(events.reopen(&ours, &seen, &next).await?, Updated::Done);
    assert_eq!(kept(&ours, seen.id).await, [START]);
    assert_eq!(events.reopen(&ours, &seen, &next).await?, Updated::Raced);
    assert_eq!(kept(&ours, seen.id).await, [START], "it is still there");

    let (seen, next) = opened_again(events, &ours).await?;
    assert_eq!(events.put_tombstone(&ours, &seen.tombstone(START)).await?, Updated::Done);
    events.delete_contents(&ours, seen.id).await?;
    assert_eq!(events.reopen(&ours, &seen, &next).await?, Updated::Raced);
    assert_eq!(kept(&ours, seen.id).await, [], "nothing is left of what was deleted meanwhile");
    Ok(())
}

async fn walks_keep_their_promises(events: &Events<impl Ports>) -> PortResult<()> {
    let ours = tenant();
    let at = |seconds| START.after(Duration::from_secs(seconds));
    let mut ids = Vec::new();
    for second in 0..5 {
        let event = event(&ours, "a", "1", at(second));
        events.insert(&event, &Head::new(&event, [])).await?;
        ids.push(event.id);
    }
    let stretch = LogRange { shard: 0, since: at(1), until: at(4), after: None };
    let walk = async |stretch: &LogRange, most| {
        let walked = events.log_page(&ours, stretch, most).await?;
        PortResult::Ok((walked.heads.iter().map(|head| head.id).collect::<Vec<_>>(), walked.reached))
    };
    assert_eq!(walk(&stretch, 100).await?, (ids[1..4].to_vec(), None), "from `since` on, and before `until`");
    assert_eq!(walk(&stretch, 2).await?, (ids[1..3].to_vec(), Some(ids[2])));
    let rest = LogRange { after: Some(ids[2]), ..stretch.clone() };
    assert_eq!(walk(&rest, 100).await?, (vec![ids[3]], None));
    assert_eq!(walk(&LogRange { shard: 1, ..stretch.clone() }, 100).await?, (vec![], None));
    assert_eq!(walk(&LogRange { until: START, ..stretch }, 100).await?, (vec![], None));
    assert_eq!(events.purge(&tenant(), 0, 100).await?, 0, "another tenant has nothing");
    let mut purged = Vec::new();
    while purged.last() != Some(&0) {
        purged.push(events.purge(&ours, 0, 2).await?);
    }
    assert_eq!(purged, [2, 2, 1, 0]);
    for id in ids {
        assert_eq!(events.head(&ours, id).await?, None);
    }
    Ok(())
}

/// The table deletes what has expired days late. It must not stand in the way of what has not.
pub(super) async fn an_attempt_that_was_kept_stays_as_it_is(events: &Events<impl Ports>) -> PortResult<()> {
    let (ours, ep) = (tenant(), endpoint(1).id);
    let event = event(&ours, "a", "1", START);
    let born = Head::new(&event, [ep.clone()]);
    let delivered = |pass, excerpt: &str| Attempt {
        message: DeliveryMessage::first(&ours, event.id, &ep, &born.deliveries[&ep], false).delayed(pass),
        at: START,
        duration_ms: 5,
        answer: Answer::Status { code: 200, retry_after: None, excerpt: excerpt.to_owned() },
        verdict: Verdict::Delivered,
    };
    for attempt in [delivered(Bypass::Probe, "thanks"), delivered(Bypass::None, "")] {
        events.log_attempt(&attempt, born.expires_at).await?;
    }
    let kept = events.attempts_of(&ours, event.id, 10).await?;
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].is_probe, kept[0].answer.as_deref()), (true, Some("thanks")));
    assert_eq!(events.attempts(&ours, &ep, None, 10).await?.attempts, kept);
    Ok(())
}

pub(super) async fn what_has_expired_is_not_offered(events: &Events<impl Ports>) -> PortResult<()> {
    let (ours, now) = (tenant(), SystemClock.now());
    let mut kept = Vec::new();
    for (n, days) in [1, 1, 7, 1, 7].into_iter().enumerate() {
        let event = event(&ours, "a", &n.to_string(), now);
        events.insert(&event, &Head::new(&event, []).limit_retention(days)).await?;
        kept.extend((days > 1).then_some(event.id));
    }
    kept.sort();
    let (event_types, now) = (vec![], now.after(Duration::from_hours(48)));
    let wanted = Candidates { shards: 1, event_types, include_open: false, of_each_shard: 10, now };
    assert_eq!(events.candidates(&ours, &wanted).await?, kept);
    Ok(())
}

fn incompressible(bytes: usize) -> String {
    let digits: String = (0..bytes).map(|_| char::from(rand::random_range(b'a'..=b'z'))).collect();
    format!("\"{digits}\"")
}
