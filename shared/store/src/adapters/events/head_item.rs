//! A head as an item: short attribute names within the map, so that heads stay under 1 KB.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;

use crate::adapters::item::{Item, Unreadable, bytes, item, map, n, number, s, text};
use crate::keys;
use crate::ports::events::Found;
use domain::delivery::{Delivery, DeliveryState, LastAttempt};
use domain::endpoint::id::EndpointId;
use domain::event::claim::DedupId;
use domain::event::event_type::EventType;
use domain::event::id::EventId;
use domain::inbox::lease::{Lease, LeaseId};
use domain::inbox::{Head, Status};
use domain::sealed::Sealed;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

/// The item of a head. `pending_pk` puts it into the inbox's sparse index.
pub(super) fn write(tenant: &TenantId, head: &Head) -> Item {
    let partition = keys::shard(tenant, head.id.shard());
    let mut attributes = item([
        ("pk", s(partition.clone())),
        ("sk", s(keys::head(head.id))),
        ("type", s(head.event_type.as_str())),
        ("status", s(head.status.as_str())),
        ("deliveries", deliveries(head)),
        ("rev", n(head.rev)),
        ("ttl", n(head.expires_at.seconds())),
    ]);
    if let Some(dedup_id) = &head.dedup_id {
        attributes.insert("dedup_id".to_owned(), s(dedup_id.as_str()));
    }
    if head.status.is_in_inbox() {
        attributes.insert("pending_pk".to_owned(), s(partition));
    }
    attributes
}

/// How an update writes what transitions change: the expression, which also takes the event into the inbox's index or out
/// of it, and its values.
pub(super) fn change(tenant: &TenantId, head: &Head) -> (String, Item) {
    let mut sets = vec!["deliveries = :deliveries", "#status = :status", "rev = :rev"];
    let mut removes = Vec::new();
    let mut values = item([
        (":deliveries", deliveries(head)),
        (":status", s(head.status.as_str())),
        (":rev", n(head.rev)),
        (":seen", n(head.rev - 1)),
    ]);
    let mut optional = |set, name, value: Option<(&str, AttributeValue)>| match value {
        Some((placeholder, value)) => {
            sets.push(set);
            values.insert(placeholder.to_owned(), value);
        }
        None => removes.push(name),
    };
    let partition = || s(keys::shard(tenant, head.id.shard()));
    let pending = head.status.is_in_inbox().then(|| (":pending", partition()));
    optional("pending_pk = :pending", "pending_pk", pending);
    let lease = head.lease.as_ref();
    let holder = lease.and_then(|lease| lease.holder.as_ref()).map(|id| (":lease", s(id.as_str())));
    optional("lease = :lease", "lease", holder);
    let until = lease.map(|lease| (":until", n(lease.until.millis())));
    optional("lease_until = :until", "lease_until", until);
    let count = (head.lease_count > 0).then(|| (":count", n(head.lease_count.into())));
    optional("lease_count = :count", "lease_count", count);
    let remove = if removes.is_empty() { String::new() } else { format!(" REMOVE {}", removes.join(", ")) };
    (format!("SET {}{remove}", sets.join(", ")), values)
}

/// The attribute that holds all deliveries of a head.
fn deliveries(head: &Head) -> AttributeValue {
    let entries = head.deliveries.iter().map(|(id, delivery)| (id.to_string(), entry(delivery)));
    AttributeValue::M(entries.collect::<HashMap<_, _>>())
}

fn entry(delivery: &Delivery) -> AttributeValue {
    let mut attributes = item([
        ("s", s(delivery.state.as_str())),
        ("g", s(&delivery.generation)),
        ("n", n(delivery.attempts.into())),
        ("at", n(delivery.next_at.millis())),
    ]);
    if let Some(LastAttempt { at, duration_ms, answer }) = &delivery.last {
        attributes.extend(item([("a", s(answer)), ("t", n(at.millis())), ("ms", n(*duration_ms))]));
    }
    AttributeValue::M(attributes)
}

/// The head of an item, with its payload where that lies within.
pub(super) fn found(item: &Item) -> Result<Found, Unreadable> {
    Ok(Found { head: read(item)?, inline_payload: bytes(item, "payload").map(Sealed::from_bytes) })
}

/// The head of an item.
pub(super) fn read(item: &Item) -> Result<Head, Unreadable> {
    let deliveries = map(item, "deliveries")?.iter().map(|(id, value)| {
        let entry = value.as_m().map_err(|_| Unreadable("deliveries"))?;
        Ok((EndpointId::from_stored(id), read_entry(entry)?))
    });
    Ok(Head {
        id: EventId::parse(text(item, "sk")?).ok_or(Unreadable("sk"))?,
        event_type: EventType::from_stored(text(item, "type")?),
        dedup_id: text(item, "dedup_id").ok().map(DedupId::from_stored),
        status: Status::parse(text(item, "status")?).ok_or(Unreadable("status"))?,
        deliveries: deliveries.collect::<Result<BTreeMap<_, _>, _>>()?,
        lease: number(item, "lease_until").ok().map(|until| Lease {
            holder: text(item, "lease").ok().map(LeaseId::from_stored),
            until: Timestamp::from_millis(until),
        }),
        lease_count: number(item, "lease_count")
            .unwrap_or_default()
            .try_into()
            .map_err(|_| Unreadable("lease_count"))?,
        rev: number(item, "rev")?,
        expires_at: Timestamp::from_seconds(number(item, "ttl")?),
    })
}

fn read_entry(entry: &Item) -> Result<Delivery, Unreadable> {
    Ok(Delivery {
        state: DeliveryState::parse(text(entry, "s")?).ok_or(Unreadable("s"))?,
        generation: text(entry, "g")?.to_owned(),
        attempts: number(entry, "n")?.try_into().map_err(|_| Unreadable("n"))?,
        next_at: Timestamp::from_millis(number(entry, "at")?),
        last: text(entry, "a").ok().map(|answer| last(entry, answer)).transpose()?,
    })
}

fn last(entry: &Item, answer: &str) -> Result<LastAttempt, Unreadable> {
    let at = Timestamp::from_millis(number(entry, "t")?);
    Ok(LastAttempt { at, duration_ms: number(entry, "ms")?, answer: answer.to_owned() })
}
