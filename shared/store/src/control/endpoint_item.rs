//! The item of an endpoint, in the partition of its tenant with the sort key `endpoint#<id>`.

use domain::endpoint::handshake::Permission;
use domain::endpoint::id::EndpointId;
use domain::endpoint::pattern::Pattern;
use domain::endpoint::slowness::Slowness;
use domain::endpoint::{Endpoint, EndpointState, Signing};
use domain::sealed::Sealed;
use domain::tenant::id::TenantId;

use super::health_item;
use super::tenant_item::SUSPENDED;
use crate::item::{Item, Key, Unreadable, Value};
use crate::keys;

/// The attribute with the time of the last recorded delivery. The previous version does not know it.
pub(crate) const DELIVERED_AT: &str = "delivered_at";

/// The attributes with the time that a request takes, in seconds, and when it was recorded.
pub(crate) const SLOW_SECONDS: &str = "slow_s";
pub(crate) const SLOW_AT: &str = "slow_at";

/// The attribute of an endpoint whose URLs must pass the ownership handshake. The previous version does not know it.
const NEEDS_HANDSHAKE: &str = "handshake";

/// The attributes with the time of the receiver's permission, and with the allowed rate in requests per minute.
const PERMITTED_AT: &str = "permitted_at";
const PERMITTED_RATE: &str = "permitted_rpm";

pub(crate) const ACTIVE: &str = "active";
pub(crate) const DISABLED: &str = "disabled";

/// Returns the key of an endpoint's item.
pub(crate) fn key(tenant: &TenantId, id: &EndpointId) -> Key {
    Key::new(keys::tenant(tenant), keys::endpoint(id))
}

/// Returns whether an item of a tenant is an endpoint.
pub(crate) fn is_endpoint(item: &Item) -> bool {
    item.text("sk").is_ok_and(|sk| sk.starts_with(keys::ENDPOINTS))
}

/// Returns the item of a new endpoint.
pub(crate) fn write(tenant: &TenantId, endpoint: &Endpoint) -> Item {
    let item = optional_settings(endpoint)
        .into_iter()
        .fold(settings(endpoint), |item, (name, value)| item.with_some(name, value));
    item.with("created_at", endpoint.created_at)
        .with_some(DELIVERED_AT, endpoint.last_delivered_at)
        .with_some(SLOW_SECONDS, endpoint.slowness.map(|slowness| slowness.seconds))
        .with_some(SLOW_AT, endpoint.slowness.map(|slowness| slowness.at))
        .with("health_rev", endpoint.health.rev)
        .with_some(SUSPENDED, endpoint.is_suspended.then_some(true))
        .at(key(tenant, &endpoint.id))
}

/// Returns the attributes that the tenant can change.
pub(crate) fn settings(endpoint: &Endpoint) -> Item {
    let patterns = endpoint.event_types.iter().map(|pattern| pattern.as_str().into());
    let state = match endpoint.state {
        EndpointState::Active => ACTIVE,
        EndpointState::Disabled => DISABLED,
    };
    Item::from([
        ("url", endpoint.url.as_str().into()),
        ("description", endpoint.description.as_str().into()),
        ("event_types", Value::L(patterns.collect())),
        ("signing", endpoint.signing.as_str().into()),
        ("sealed", endpoint.sealed.bytes().to_vec().into()),
        ("rev", endpoint.rev.into()),
        ("state", state.into()),
        ("paused", endpoint.is_paused.into()),
        ("rate", endpoint.rate_per_second.into()),
    ])
}

/// Returns the attributes that a change can also remove.
pub(crate) fn optional_settings(endpoint: &Endpoint) -> [(&'static str, Option<Value>); 3] {
    let permission = endpoint.permission;
    [
        (NEEDS_HANDSHAKE, endpoint.needs_handshake.then_some(true).map(Value::from)),
        (PERMITTED_AT, permission.map(|permission| permission.at.into())),
        (PERMITTED_RATE, permission.and_then(|permission| permission.rate_per_minute).map(Value::from)),
    ]
}

/// Reads an endpoint.
pub(crate) fn read(item: &Item) -> Result<Endpoint, Unreadable> {
    let id = item.text("sk")?.strip_prefix(keys::ENDPOINTS).ok_or(Unreadable("sk"))?;
    let patterns = item.texts("event_types")?;
    Ok(Endpoint {
        id: EndpointId::from_stored(id),
        url: item.text("url")?.to_owned(),
        description: item.text("description")?.to_owned(),
        event_types: patterns.into_iter().map(Pattern::from_stored).collect(),
        signing: Signing::parse(item.text("signing")?).ok_or(Unreadable("signing"))?,
        sealed: Sealed::from_bytes(item.bytes("sealed")?.to_vec()),
        created_at: item.timestamp("created_at")?,
        rev: item.number("rev")?,
        state: match item.text("state")? {
            ACTIVE => EndpointState::Active,
            DISABLED => EndpointState::Disabled,
            _ => return Err(Unreadable("state")),
        },
        is_paused: item.is_set("paused"),
        is_suspended: item.is_set(SUSPENDED),
        rate_per_second: item.number("rate")?,
        health: health_item::read(item)?,
        last_delivered_at: item.timestamp(DELIVERED_AT).ok(),
        slowness: read_slowness(item),
        needs_handshake: item.is_set(NEEDS_HANDSHAKE),
        permission: read_permission(item),
    })
}

fn read_slowness(item: &Item) -> Option<Slowness> {
    Some(Slowness { seconds: item.number(SLOW_SECONDS).ok()?, at: item.timestamp(SLOW_AT).ok()? })
}

fn read_permission(item: &Item) -> Option<Permission> {
    Some(Permission {
        at: item.timestamp(PERMITTED_AT).ok()?,
        rate_per_minute: item.number(PERMITTED_RATE).ok(),
    })
}
