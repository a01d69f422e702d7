//! The item of a head. The names in the map of deliveries are short, so that a head has less than 1 KB: one write unit.

use std::collections::BTreeMap;

use domain::delivery::run::Run;
use domain::delivery::{Delivery, DeliveryState, LastAttempt};
use domain::endpoint::id::EndpointId;
use domain::event::claim_name::DedupId;
use domain::event::event_type::EventType;
use domain::event::id::EventId;
use domain::inbox::lease::{Lease, LeaseId};
use domain::inbox::{Head, Status};
use domain::sealed::Sealed;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

use crate::item::{Item, Key, Name, Unreadable, Value};
use crate::keys;
use crate::table::write::Update;

/// The attribute that puts an event into the index of the inbox.
const PENDING: &str = "pending_pk";

/// The attribute that only the head of an event has: its main item. The attempts of the event, which are items of the
/// same partition, do not have it.
pub(crate) const DELIVERIES: &str = "deliveries";

/// A stored head, and its payload if it is in the head.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The head.
    pub head: Head,
    /// The encrypted payload; `None` if it is a separate item.
    pub inline_payload: Option<Sealed>,
}

/// Returns the key of a head.
pub(crate) fn key(tenant: &TenantId, id: EventId) -> Key {
    Key::new(keys::shard(tenant, id.shard()), keys::head(id))
}

/// Returns the item of a head.
pub(crate) fn write(tenant: &TenantId, head: &Head) -> Item {
    let key = key(tenant, head.id);
    let pending = head.in_inbox.then(|| key.pk.clone());
    Item::from([
        ("type", head.event_type.as_str().into()),
        ("status", head.status.as_str().into()),
        (DELIVERIES, deliveries(head).into()),
        ("rev", head.rev.into()),
        ("ttl", head.expires_at.seconds().into()),
    ])
    .with_some("units", (head.units > 1).then_some(head.units))
    .with_some("dedup_id", head.dedup_id.as_ref().map(DedupId::as_str))
    .with_some(PENDING, pending)
    .at(key)
}

/// Returns the update of the attributes that a transition can change.
pub(crate) fn change(tenant: &TenantId, head: &Head) -> Update {
    let key = key(tenant, head.id);
    let pending = head.in_inbox.then(|| key.pk.clone());
    let lease = head.lease.as_ref();
    let holder = lease.and_then(|lease| lease.holder.as_ref()).map(LeaseId::as_str);
    let count = (head.lease_count > 0).then_some(head.lease_count);
    Update::new(key)
        .set(DELIVERIES, deliveries(head))
        .set("status", head.status.as_str())
        .set("rev", head.rev)
        .set_or_remove(PENDING, pending)
        .set_or_remove("lease", holder)
        .set_or_remove("lease_until", lease.map(|lease| lease.until))
        .set_or_remove("lease_count", count)
}

/// Returns the map of all deliveries of a head.
fn deliveries(head: &Head) -> Item {
    let entries = head.deliveries.iter();
    entries.map(|(id, delivery)| (Name::Owned(id.to_string()), entry(delivery).into())).collect()
}

fn entry(delivery: &Delivery) -> Item {
    let last = delivery.last.as_ref();
    Item::from([
        ("s", delivery.state.as_str().into()),
        ("g", delivery.run.as_str().into()),
        ("n", delivery.attempts.into()),
        ("at", delivery.next_at.into()),
    ])
    .with_some("a", last.map(|last| last.answer.as_str()))
    .with_some("t", last.map(|last| last.at))
    .with_some("ms", last.map(|last| last.duration_ms))
    .with_some("w", delivery.put_off_since)
}

/// Reads a head, and its payload if it is in the head.
pub(crate) fn found(item: &Item) -> Result<Found, Unreadable> {
    let inline_payload = item.bytes("payload").ok().map(|bytes| Sealed::from_bytes(bytes.to_vec()));
    Ok(Found { head: read(item)?, inline_payload })
}

/// Reads a head; logs an unreadable one and returns `None`.
pub(crate) fn readable(item: &Item) -> Option<Found> {
    let report = |error: &Unreadable| tracing::error!(cause = %error, "a head is unreadable; it is left out");
    found(item).inspect_err(report).ok()
}

/// Reads a head.
pub(crate) fn read(item: &Item) -> Result<Head, Unreadable> {
    let mut deliveries = BTreeMap::new();
    for (id, value) in item.map(DELIVERIES)?.iter() {
        let Value::M(entry) = value else { return Err(Unreadable(DELIVERIES)) };
        deliveries.insert(EndpointId::from_stored(id), read_entry(entry)?);
    }
    let holder = item.text("lease").ok().map(LeaseId::from_stored);
    let lease = item.timestamp("lease_until").ok().map(|until| Lease { holder, until });
    Ok(Head {
        id: EventId::parse(item.text("sk")?).ok_or(Unreadable("sk"))?,
        event_type: EventType::from_stored(item.text("type")?),
        dedup_id: item.text("dedup_id").ok().map(DedupId::from_stored),
        status: Status::parse(item.text("status")?).ok_or(Unreadable("status"))?,
        deliveries,
        in_inbox: item.has(PENDING),
        lease,
        lease_count: if item.has("lease_count") { item.number("lease_count")? } else { 0 },
        units: if item.has("units") { item.number("units")? } else { 1 },
        rev: item.number("rev")?,
        expires_at: Timestamp::from_seconds(item.number("ttl")?),
    })
}

fn read_entry(entry: &Item) -> Result<Delivery, Unreadable> {
    let last = match entry.text("a") {
        Ok(answer) => Some(LastAttempt {
            at: entry.timestamp("t")?,
            duration_ms: entry.number("ms")?,
            answer: answer.to_owned(),
        }),
        Err(_) => None,
    };
    Ok(Delivery {
        state: DeliveryState::parse(entry.text("s")?).ok_or(Unreadable("s"))?,
        run: Run::from_stored(entry.text("g")?),
        attempts: entry.number("n")?,
        next_at: entry.timestamp("at")?,
        last,
        put_off_since: entry.timestamp("w").ok(),
    })
}
