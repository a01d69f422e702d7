//! The health of an endpoint, a map in its item. Its `rev` is an attribute of the item, because it stays when the map
//! is deleted.

use domain::endpoint::health::{Health, Notice, NoticeKind, Open};

use crate::item::{Item, Unreadable};

/// Returns the map.
pub(crate) fn write(health: &Health) -> Item {
    let notice = health.notice.as_ref();
    Item::from([("failures", health.failures.into()), ("told", health.has_failing_notice.into())])
        .with_some("since", health.failing_since)
        .with_some("error", health.last_error.as_deref())
        .with_some("probes", health.open.map(|open| open.probes))
        .with_some("probe_at", health.open.map(|open| open.next_probe_at))
        .with_some("notice", notice.map(|notice| notice.kind.event_type()))
        .with_some("notice_at", notice.map(|notice| notice.at))
}

/// Reads the health from an endpoint's item. An endpoint without the map has never failed.
pub(crate) fn read(endpoint: &Item) -> Result<Health, Unreadable> {
    let rev = endpoint.number("health_rev").unwrap_or_default();
    let Ok(map) = endpoint.map("health") else { return Ok(Health { rev, ..Health::default() }) };
    let open = match map.timestamp("probe_at") {
        Ok(next_probe_at) => Some(Open { probes: map.number("probes")?, next_probe_at }),
        Err(_) => None,
    };
    let notice = match (map.text("notice"), map.timestamp("notice_at")) {
        (Ok(event_type), Ok(at)) => {
            Some(Notice { kind: NoticeKind::parse(event_type).ok_or(Unreadable("notice"))?, at })
        }
        _ => None,
    };
    Ok(Health {
        rev,
        failures: map.number("failures")?,
        failing_since: map.timestamp("since").ok(),
        last_error: map.text("error").ok().map(str::to_owned),
        open,
        has_failing_notice: map.is_set("told"),
        notice,
    })
}
