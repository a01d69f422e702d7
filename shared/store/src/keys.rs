//! Where tenants are separated: every partition and sort key of every table, built from a [`TenantId`].
//!
//! There is no other place that forms a key, and a `TenantId` comes from a credential alone; so no request
//! can name another tenant's item. What belongs to no tenant: an API key by its hash, which leads to its tenant, the
//! counters, messages that nobody can read, and what the scheduler walks through (rows that name a tenant behind).

use domain::delivery::DeliveryMessage;
use domain::delivery::attempt::Attempt;
use domain::delivery::schedule::Due;
use domain::endpoint::id::EndpointId;
use domain::event::claim::ClaimName;
use domain::event::id::EventId;
use domain::id::hex;
use domain::inbox::expiry::ExpiryBatch;
use domain::inbox::lease::LeaseId;
use domain::job::JobId;
use domain::tenant::api_key::KeyHash;
use domain::tenant::id::TenantId;
use domain::tenant::rate_limit::{Meter, Metered};
use domain::timestamp::Timestamp;

/// The sort key of an item that is alone in its partition.
pub const ONLY: &str = "-";

/// `Control`: a key by its hash. It leads to the tenant, so it is the one key that no tenant leads.
#[must_use]
pub fn api_key(hash: &KeyHash) -> String {
    format!("key#{}", hash.as_str())
}

/// `Control`: the partition of all that belongs to a tenant.
#[must_use]
pub fn tenant(tenant: &TenantId) -> String {
    format!("t#{tenant}")
}

/// `Control`, sort key: the tenant itself.
pub const TENANT: &str = "tenant";

/// `Control`, sort key: the tenant's data key, encrypted.
pub const DATA_KEY: &str = "data_key";

/// `Control`, sort key: how many endpoints the tenant has.
pub const ENDPOINT_COUNT: &str = "endpoints";

/// `Control`, sort key: what is shown of a key.
#[must_use]
pub fn key_listing(key_id: &str) -> String {
    format!("{KEY_LISTINGS}{key_id}")
}

/// `Control`, sort key prefix: all of a tenant's keys.
pub const KEY_LISTINGS: &str = "key#";

/// `Control`, sort key: one endpoint.
#[must_use]
pub fn endpoint(id: &EndpointId) -> String {
    format!("{ENDPOINTS}{id}")
}

/// `Control`, sort key prefix: all of a tenant's endpoints.
pub const ENDPOINTS: &str = "endpoint#";

/// `Limits`: the tokens of one minute.
#[must_use]
pub fn minute(Meter { tenant, metered }: &Meter, minute: u64) -> String {
    match metered {
        Metered::Events => format!("t#{tenant}#minute#{minute}"),
        Metered::EventsOfKey(key) => format!("t#{tenant}#{key}#minute#{minute}"),
        Metered::Requests => format!("t#{tenant}#requests#minute#{minute}"),
    }
}

/// `Limits`: how many of a tenant's events wait.
#[must_use]
pub fn backlog(tenant: &TenantId) -> String {
    format!("t#{tenant}#backlog")
}

/// `Limits`, sort key: the events of one day since the epoch.
#[must_use]
pub fn backlog_day(day: u64) -> String {
    day.to_string()
}

/// `Limits`: what happened to a tenant's events of late.
#[must_use]
pub fn stats(tenant: &TenantId) -> String {
    format!("t#{tenant}#stats")
}

/// `Limits`, sort key: one minute since the epoch of that; sorts by time.
#[must_use]
pub fn stats_minute(minute: u64) -> String {
    format!("{minute:010}")
}

/// `Limits`: the counters behind `/metrics`.
pub const COUNTERS: &str = "counters";

/// `Limits`, sort key: one of the items over which the counters are spread.
#[must_use]
pub fn counters_shard(shard: u8) -> String {
    shard.to_string()
}

/// `Limits`: when the next request to an endpoint has its turn.
#[must_use]
pub fn pace(tenant: &TenantId, endpoint: &EndpointId) -> String {
    format!("t#{tenant}#pace#{endpoint}")
}

/// `Limits`: the requests under way to an endpoint that began in one minute.
#[must_use]
pub fn under_way(tenant: &TenantId, endpoint: &EndpointId, minute: u64) -> String {
    format!("t#{tenant}#under_way#{endpoint}#{minute}")
}

/// `Claims`: a client's own name for an event or a request.
#[must_use]
pub fn claim(tenant: &TenantId, name: &ClaimName) -> String {
    format!("t#{tenant}#{}", job_name(name))
}

/// `Events`: the heads of one shard of a tenant; their sort key is the event's id.
#[must_use]
pub fn shard(tenant: &TenantId, shard: u8) -> String {
    format!("t#{tenant}#{shard}")
}

/// `Events`, sort key: the head of one event.
#[must_use]
pub fn head(event: EventId) -> String {
    event.to_string()
}

/// `Events`, sort key: before every event that was accepted at this moment or later, and behind all others.
#[must_use]
pub fn events_from(moment: Timestamp) -> String {
    format!("evt_{:012x}", moment.millis().min(LAST_MOMENT))
}

/// Later than any event: the most that an id can tell.
const LAST_MOMENT: u64 = (1 << 48) - 1;

/// `Events`, sort key: behind an event and its attempts, and before the next event.
#[must_use]
pub fn after_event(event: EventId) -> String {
    format!("{event}$") // '$' sorts behind the '#' of its attempts
}

/// `Events`, sort key: before an event, and behind the event before it and its attempts.
#[must_use]
pub fn before_event(event: EventId) -> String {
    let mut key = head(event);
    let last = key.pop().map(|digit| char::from(u8::try_from(digit).unwrap_or(b'1') - 1));
    key.extend(last);
    key + "~"
}

/// `Events`, sort key prefix: the attempts of one event.
#[must_use]
pub fn attempts_of(event: EventId) -> String {
    format!("{event}#")
}

/// `Events`: the events that one lease held when it began.
#[must_use]
pub fn lease(tenant: &TenantId, lease: &LeaseId) -> String {
    format!("t#{tenant}#lease#{lease}")
}

/// `Events`, sort key: one attempt, under its event; unlike any other since it began at a moment of its own.
#[must_use]
pub fn attempt(Attempt { message, at, .. }: &Attempt) -> String {
    let DeliveryMessage { event, endpoint, n, .. } = message;
    format!("{event}#{endpoint}#{n:02}#{}", at.millis())
}

/// `Events`, index `attempts`: the attempts at one endpoint.
#[must_use]
pub fn attempts(tenant: &TenantId, endpoint: &EndpointId) -> String {
    format!("t#{tenant}#attempts#{endpoint}")
}

/// `Events`: the item that a health check asks for; there is none.
pub const PING: &str = "ping";

/// `Events`: a payload too large for its head.
#[must_use]
pub fn payload(tenant: &TenantId, event: EventId) -> String {
    format!("t#{tenant}#payload#{event}")
}

/// `Schedule`: one of the partitions of messages that are due later.
#[must_use]
pub fn due(shard: u8) -> String {
    format!("due#{shard}")
}

/// `Schedule`, sort key: one message that is due later; sorts by when.
#[must_use]
pub fn due_row(Due { message, at }: &Due) -> String {
    let DeliveryMessage { tenant, endpoint, .. } = message;
    format!("{}#{tenant}#{endpoint}#{}", due_until(*at), parked_row(message))
}

/// `Schedule`, sort key: after every message that is due before this moment.
#[must_use]
pub fn due_until(at: Timestamp) -> String {
    format!("{:015}", at.millis())
}

/// `Schedule`: the parked deliveries of an endpoint.
#[must_use]
pub fn parked(tenant: &TenantId, endpoint: &EndpointId) -> String {
    format!("t#{tenant}#parked#{endpoint}")
}

/// `Schedule`, sort key: one parked delivery; the oldest event sorts first.
#[must_use]
pub fn parked_row(message: &DeliveryMessage) -> String {
    format!("{}#{}#{}", message.event, message.generation, message.n)
}

/// `Schedule`: one of the partitions of endpoints that have parked deliveries.
#[must_use]
pub fn parking(shard: u8) -> String {
    format!("parking#{shard}")
}

/// `Schedule`, sort key: one endpoint that has parked deliveries.
#[must_use]
pub fn parking_row(tenant: &TenantId, endpoint: &EndpointId) -> String {
    format!("t#{tenant}#{endpoint}")
}

/// `Schedule`: the jobs that the scheduler advances.
pub const JOBS: &str = "jobs";

/// `Schedule`, sort key: a job under way. An erasure is found by its id alone: it outlives its tenant's keys.
#[must_use]
pub fn job_row(tenant: &TenantId, job: &JobId) -> String {
    match JobId::parse_erasure(job.as_str()) {
        Some(erasure) => erasure_row(&erasure),
        None => format!("{}{job}", replays_of(tenant)),
    }
}

/// `Schedule`, sort key: an erasure under way.
#[must_use]
pub fn erasure_row(job: &JobId) -> String {
    format!("erasure#{job}")
}

/// `Schedule`, sort key prefix: a tenant's replays under way.
#[must_use]
pub fn replays_of(tenant: &TenantId) -> String {
    format!("t#{tenant}#")
}

/// `Schedule`: a tenant's replays that have ended, whose sort key is their id, and the names of its requests for replays.
#[must_use]
pub fn ended_replays(tenant: &TenantId) -> String {
    format!("t#{tenant}#jobs")
}

/// `Schedule`, sort key: a client's own name for its request for a replay.
#[must_use]
pub fn job_name(name: &ClaimName) -> String {
    format!("{}#{}", name.kind(), hex(&name.digest()))
}

/// `Schedule`: the receipt of an erasure that has ended.
#[must_use]
pub fn receipt(job: &JobId) -> String {
    format!("receipt#{job}")
}

/// `Schedule`: events that will expire, of all tenants.
pub const EXPIRING: &str = "expiring";

/// `Schedule`, sort key: a tenant's events of one span of time; sorts by when their owner is told.
#[must_use]
pub fn expiring_row(cohort: &ExpiryBatch) -> String {
    format!("{}#{}#{}", due_until(cohort.notice_at()), cohort.tenant, cohort.accepted_from.millis())
}

/// `Events`: messages that nobody could read: those that name a tenant, and the others.
#[must_use]
pub fn unreadable_of(tenant: Option<&TenantId>) -> String {
    tenant.map_or_else(|| "unreadable".to_owned(), |tenant| format!("t#{tenant}#unreadable"))
}

/// `Events`, sort key: one of them, by the queue it came from.
#[must_use]
pub fn unreadable(queue: &str, message_id: &str) -> String {
    format!("{queue}#{message_id}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use domain::event::claim::DedupId;

    #[test]
    fn two_tenants_share_no_key() {
        let now = Timestamp::from_millis(1);
        let event = EventId::generate(now, 1, &mut rand::rng());
        let name = ClaimName::Dedup(DedupId::parse("same").unwrap());
        let endpoint = EndpointId::from_stored("ep_1");
        let lease_id = LeaseId::generate(&mut rand::rng());
        let job = JobId::generate_replay(now, &mut rand::rng());
        let keys = |id: &TenantId| {
            let minute = |metered| minute(&Meter { tenant: id.clone(), metered }, 7);
            [
                tenant(id),
                minute(Metered::Events),
                minute(Metered::EventsOfKey("key_1".to_owned())),
                minute(Metered::Requests),
                claim(id, &name),
                shard(id, event.shard()),
                payload(id, event),
                backlog(id),
                stats(id),
                pace(id, &endpoint),
                under_way(id, &endpoint, 7),
                parked(id, &endpoint),
                attempts(id, &endpoint),
                lease(id, &lease_id),
                job_row(id, &job),
                ended_replays(id),
                unreadable_of(Some(id)),
            ]
        };
        let (a, b) = (TenantId::generate(now, &mut rand::rng()), TenantId::generate(now, &mut rand::rng()));
        let all: HashSet<String> = keys(&a).into_iter().chain(keys(&b)).collect();
        assert_eq!(all.len(), 34);
        for key in keys(&a) {
            assert!(key.starts_with(&format!("t#{a}")), "{key}");
        }
    }

    #[test]
    fn an_event_and_its_attempts_lie_between_the_bounds_around_it() {
        let id = |last| EventId::parse(&format!("evt_018bcfe5687b7fff8ffffffffffff{last}")).unwrap();
        for (before, event, after) in [("000", "001", "002"), ("009", "00a", "00b"), ("0ff", "100", "101")] {
            let (before, event, after) = (id(before), id(event), id(after));
            let attempt = |event: EventId| format!("{event}#ep_1#01#7");
            let sorted = [
                events_from(event.accepted_at()),
                head(before),
                attempt(before),
                before_event(event),
                head(event),
                attempt(event),
                after_event(event),
                head(after),
                attempt(after),
                events_from(Timestamp::from_millis(event.accepted_at().millis() + 1)),
                events_from(Timestamp::from_millis(u64::MAX)),
            ];
            assert!(sorted.is_sorted(), "{sorted:#?}");
        }
    }
}
