//! An endpoint's health as a map within its item; its `rev` stands beside it, since it outlives the map.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::adapters::item::{Item, Unreadable, item, map, n, number, s, text};
use domain::endpoint::health::{Health, Notice, NoticeKind, Open};
use domain::timestamp::Timestamp;

/// The map of a health.
pub(super) fn write(health: &Health) -> AttributeValue {
    let mut attributes =
        item([("failures", n(health.failures.into())), ("told", AttributeValue::Bool(health.is_told))]);
    let mut insert = |name: &str, value| attributes.insert(name.to_owned(), value);
    if let Some(since) = health.failing_since {
        insert("since", n(since.millis()));
    }
    if let Some(error) = &health.last_error {
        insert("error", s(error));
    }
    if let Some(open) = health.open {
        insert("probes", n(open.probes.into()));
        insert("probe_at", n(open.next_probe_at.millis()));
    }
    if let Some(notice) = &health.notice {
        insert("notice", s(notice.kind.event_type()));
        insert("notice_at", n(notice.at.millis()));
    }
    AttributeValue::M(attributes)
}

/// The health of an endpoint's item; one that was never written is good.
pub(super) fn read(endpoint: &Item) -> Result<Health, Unreadable> {
    let rev = number(endpoint, "health_rev").unwrap_or_default();
    let Ok(map) = map(endpoint, "health") else { return Ok(Health { rev, ..Health::default() }) };
    let moment = |name| number(map, name).ok().map(Timestamp::from_millis);
    let count = |name| number(map, name)?.try_into().map_err(|_| Unreadable(name));
    let open = match moment("probe_at") {
        None => None,
        Some(next_probe_at) => Some(Open { probes: count("probes")?, next_probe_at }),
    };
    let notice = match (text(map, "notice").ok(), moment("notice_at")) {
        (Some(event_type), Some(at)) => {
            Some(Notice { kind: NoticeKind::parse(event_type).ok_or(Unreadable("notice"))?, at })
        }
        _ => None,
    };
    Ok(Health {
        rev,
        failures: count("failures")?,
        failing_since: moment("since"),
        last_error: text(map, "error").ok().map(str::to_owned),
        open,
        is_told: map.get("told").and_then(|value| value.as_bool().ok()).copied().unwrap_or_default(),
        notice,
    })
}
