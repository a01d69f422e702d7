//! The health of an endpoint, a map in its item. Its `rev` is an attribute of the item, because it stays when the map
//! is deleted.
//!
//! The first version had no window, no throttle and no last probe. Its maps are read, and it reads a map with them. A version
//! without trials takes a trial for a closed circuit breaker.

use domain::endpoint::health::throttle::Throttle;
use domain::endpoint::health::trial::Trial;
use domain::endpoint::health::window::{FailedEvent, Minute, Window};
use domain::endpoint::health::{Health, Notice, NoticeKind, Open};

use crate::item::{Item, Unreadable, Value};

/// Returns the map.
pub(crate) fn write(health: &Health) -> Item {
    let notice = health.notice.as_ref();
    let probes = health.open.map(|open| (open.probes, open.last_probed));
    let probes = probes.or(health.trial.map(|trial| (trial.probes, trial.last_probed)));
    Item::from([("failures", health.failures.into()), ("told", health.has_failing_notice.into())])
        .with_some("since", health.failing_since)
        .with_some("error", health.last_error.as_deref())
        .with_some("probes", probes.map(|(probes, _)| probes))
        .with_some("probed", probes.and_then(|(_, last_probed)| last_probed))
        .with_some("probe_at", health.open.map(|open| open.next_probe_at))
        .with_some("trial_since", health.trial.map(|trial| trial.since))
        .with_some("refused", health.throttle.map(|throttle| throttle.refused_per_hour))
        .with_some("refused_at", health.throttle.map(|throttle| throttle.at))
        .with("minutes", numbers(health.window.minutes.iter().flat_map(of_minute)))
        .with("failed", numbers(health.window.failed_events.iter().flat_map(of_event)))
        .with_some("notice", notice.map(|notice| notice.kind.event_type()))
        .with_some("notice_at", notice.map(|notice| notice.at))
}

/// Reads the health from an endpoint's item. An endpoint without the map has never failed.
pub(crate) fn read(endpoint: &Item) -> Result<Health, Unreadable> {
    let rev = endpoint.number("health_rev").unwrap_or_default();
    let Ok(map) = endpoint.map("health") else { return Ok(Health { rev, ..Health::default() }) };
    let last_probed = map.number("probed").ok();
    let open = match map.timestamp("probe_at") {
        Ok(next_probe_at) => Some(Open { probes: map.number("probes")?, next_probe_at, last_probed }),
        Err(_) => None,
    };
    let trial = match map.timestamp("trial_since") {
        Ok(since) => Some(Trial { since, probes: map.number("probes")?, last_probed }),
        Err(_) => None,
    };
    let notice = match (map.text("notice"), map.timestamp("notice_at")) {
        (Ok(event_type), Ok(at)) => {
            Some(Notice { kind: NoticeKind::parse(event_type).ok_or(Unreadable("notice"))?, at })
        }
        _ => None,
    };
    let throttle = match (map.number("refused"), map.timestamp("refused_at")) {
        (Ok(refused_per_hour), Ok(at)) => Some(Throttle { refused_per_hour, at }),
        _ => None,
    };
    Ok(Health {
        rev,
        failures: map.number("failures")?,
        failing_since: map.timestamp("since").ok(),
        last_error: map.text("error").ok().map(str::to_owned),
        window: Window {
            minutes: groups(map, "minutes").map(to_minute).collect(),
            failed_events: groups(map, "failed").map(to_event).collect(),
        },
        open,
        trial,
        throttle,
        has_failing_notice: map.is_set("told"),
        notice,
    })
}

/// Returns a list of numbers.
fn numbers(numbers: impl Iterator<Item = u64>) -> Value {
    Value::L(numbers.map(Value::from).collect())
}

/// Returns the numbers of a list in groups of `N`. A missing list is empty.
fn groups<'a, const N: usize>(map: &'a Item, name: &'static str) -> impl Iterator<Item = [u64; N]> + 'a {
    let list = match map.get(name) {
        Some(Value::L(list)) => list.as_slice(),
        _ => &[],
    };
    list.chunks_exact(N).map(|group| std::array::from_fn(|place| to_number(&group[place])))
}

fn to_number(value: &Value) -> u64 {
    let Value::N(number) = value else { return 0 };
    u64::try_from(*number).unwrap_or_default()
}

fn of_minute(minute: &Minute) -> [u64; 3] {
    [minute.minute, minute.attempts.into(), minute.failures.into()]
}

fn to_minute([minute, attempts, failures]: [u64; 3]) -> Minute {
    let count = |number| u32::try_from(number).unwrap_or(u32::MAX);
    Minute { minute, attempts: count(attempts), failures: count(failures) }
}

fn of_event(failed: &FailedEvent) -> [u64; 2] {
    [failed.hash.into(), failed.minute]
}

fn to_event([hash, minute]: [u64; 2]) -> FailedEvent {
    FailedEvent { hash: u32::try_from(hash).unwrap_or_default(), minute }
}

#[cfg(test)]
mod tests {
    use domain::testing::START;

    use super::*;

    fn stored(health: impl Into<Value>) -> Item {
        Item::from([("health_rev", 7_u64.into()), ("health", health.into())])
    }

    #[test]
    fn a_health_is_read_as_it_was_written_and_stays_small() {
        let minute = Minute { minute: START.minutes(), attempts: u32::MAX, failures: 70_000 };
        let event = FailedEvent { hash: u32::MAX, minute: START.minutes() };
        let health = Health {
            rev: 7,
            failures: 3,
            failing_since: Some(START),
            last_error: Some("500".to_owned()),
            window: Window { minutes: vec![minute; 5], failed_events: vec![event; 3] },
            open: Some(Open { probes: 2, next_probe_at: START, last_probed: Some(9) }),
            trial: None,
            throttle: Some(Throttle { refused_per_hour: 108_000, at: START }),
            has_failing_notice: true,
            notice: Some(Notice { kind: NoticeKind::Failing, at: START }),
        };
        assert_eq!(read(&stored(write(&health))).unwrap(), health);
        let trial = Some(Trial { since: START, probes: 3, last_probed: Some(9) });
        let on_trial = Health { open: None, trial, ..health };
        assert_eq!(read(&stored(write(&on_trial))).unwrap(), on_trial);
        assert_eq!(read(&stored(write(&Health::default()))).unwrap(), Health { rev: 7, ..Health::default() });
    }

    #[test]
    fn a_health_of_the_first_version_is_read() {
        let old = Item::from([("failures", 5_u64.into()), ("told", true.into())])
            .with("since", START)
            .with("error", "500")
            .with("probes", 2_u64)
            .with("probe_at", START);
        let read = read(&stored(old)).unwrap();
        assert_eq!(read.open, Some(Open { probes: 2, next_probe_at: START, last_probed: None }));
        assert_eq!((read.failures, read.failing_since, read.has_failing_notice), (5, Some(START), true));
        assert_eq!((read.window, read.throttle), (Window::default(), None));
    }

    #[test]
    fn the_first_version_finds_what_it_needs() {
        let map = write(&Health::default());
        assert!(map.number::<u32>("failures").is_ok() && map.has("told"));
        let open = Some(Open { probes: 1, next_probe_at: START, last_probed: Some(1) });
        let map = write(&Health { open, ..Health::default() });
        assert!(map.number::<u32>("probes").is_ok() && map.timestamp("probe_at").is_ok());
    }
}
