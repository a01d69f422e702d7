//! Where tenants are separated: every partition and sort key of every table, built from a [`TenantId`].
//!
//! There is no other place that forms a key, and a `TenantId` comes from a credential alone; so no request
//! can name another tenant's item. What belongs to no tenant: an API key by its hash, which leads to its tenant, the
//! counters, messages that nobody can read, and what the scheduler walks through (rows that name a tenant behind).

use crate::api_key::{KeyHash, hex};
use crate::attempt::Attempt;
use crate::claim::ClaimName;
use crate::delivery::DeliveryMessage;
use crate::endpoint::EndpointId;
use crate::event::EventId;
use crate::expiry::Cohort;
use crate::rate_limit::{Meter, Metered};
use crate::schedule::Due;
use crate::tenant::TenantId;
use crate::timestamp::Timestamp;

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
    format!("t#{tenant}#{}#{}", name.kind(), hex(&name.digest()))
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

/// `Events`, sort key: before every event that was accepted at this moment or later, and after every other.
#[must_use]
pub fn heads_from(accepted_at: Timestamp) -> String {
    format!("evt_{:012x}", accepted_at.millis())
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

/// `Schedule`: events that will expire, of all tenants.
pub const EXPIRING: &str = "expiring";

/// `Schedule`, sort key: a tenant's events of one span of time; sorts by when their owner is told.
#[must_use]
pub fn expiring_row(cohort: &Cohort) -> String {
    format!("{}#{}#{}", due_until(cohort.warn_at()), cohort.tenant, cohort.born_from.millis())
}

/// `Events`: messages that nobody could read, by the queue they came from.
#[must_use]
pub fn unreadable(queue: &str) -> String {
    format!("unreadable#{queue}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::claim::DedupId;
    use crate::tenant::Tier;

    #[test]
    fn the_events_of_a_moment_begin_at_its_key() {
        let now = Timestamp::from_millis(1_700_000_000_123);
        let head =
            |millis| head(EventId::generate(Timestamp::from_millis(millis), Tier::Free, &mut rand::rng()));
        let (before, at, after) = (head(now.millis() - 1), head(now.millis()), head(now.millis() + 1));
        assert!(before < heads_from(now) && heads_from(now) < at && at < after);
    }

    #[test]
    fn two_tenants_share_no_key() {
        let now = Timestamp::from_millis(1);
        let event = EventId::generate(now, Tier::Free, &mut rand::rng());
        let name = ClaimName::Dedup(DedupId::parse("same").unwrap());
        let endpoint = EndpointId::from_trusted("ep_1");
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
            ]
        };
        let (a, b) = (TenantId::generate(now, &mut rand::rng()), TenantId::generate(now, &mut rand::rng()));
        let all: HashSet<String> = keys(&a).into_iter().chain(keys(&b)).collect();
        assert_eq!(all.len(), 26);
        for key in keys(&a) {
            assert!(key.starts_with(&format!("t#{a}")), "{key}");
        }
    }
}
