//! A head as an item: short attribute names within the map, so that heads stay under 1 KB.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;

use super::super::item::{Item, Unreadable, bytes, item, map, n, number, s, text};
use crate::claim::DedupId;
use crate::delivery::{Delivery, DeliveryState};
use crate::endpoint::EndpointId;
use crate::event::{EventId, EventType};
use crate::inbox::{Head, Status};
use crate::keys;
use crate::ports::Found;
use crate::tenant::TenantId;
use crate::timestamp::Timestamp;

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

/// The attribute that holds all deliveries of a head.
pub(super) fn deliveries(head: &Head) -> AttributeValue {
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
    if let Some(answer) = &delivery.last_answer {
        attributes.insert("a".to_owned(), s(answer));
    }
    AttributeValue::M(attributes)
}

/// The head of an item, with its payload where that lies within.
pub(super) fn found(item: &Item) -> Result<Found, Unreadable> {
    Ok(Found { head: read(item)?, inline_payload: bytes(item, "payload") })
}

/// The head of an item.
pub(super) fn read(item: &Item) -> Result<Head, Unreadable> {
    let deliveries = map(item, "deliveries")?.iter().map(|(id, value)| {
        let entry = value.as_m().map_err(|_| Unreadable("deliveries"))?;
        Ok((EndpointId::from_trusted(id), read_entry(entry)?))
    });
    Ok(Head {
        id: EventId::parse(text(item, "sk")?).ok_or(Unreadable("sk"))?,
        event_type: EventType::from_trusted(text(item, "type")?),
        dedup_id: text(item, "dedup_id").ok().map(DedupId::from_trusted),
        status: Status::parse(text(item, "status")?).ok_or(Unreadable("status"))?,
        deliveries: deliveries.collect::<Result<BTreeMap<_, _>, _>>()?,
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
        last_answer: text(entry, "a").ok().map(str::to_owned),
    })
}
