//! The partition keys and sort keys of all tables. This module separates the tenants.
//!
//! No other code builds a key. A [`TenantId`] comes only from a credential, so a request cannot name an item of another
//! tenant. Seven kinds of items are not in the partition of a tenant: API keys, which are found by their hash; the list of
//! tenants for the operator; the root key; the signups of a day; the counters of `/metrics`; unreadable messages that name no tenant; and the rows that the scheduler reads.

use domain::delivery::DeliveryMessage;
use domain::delivery::attempt::Attempt;
use domain::delivery::line::Line;
use domain::delivery::schedule::{Due, EARLIER_PART, Parked, ParkedPartition, Source};
use domain::endpoint::id::EndpointId;
use domain::event::claim_name::ClaimName;
use domain::event::id::EventId;
use domain::id::hex;
use domain::inbox::expiry::ExpiryBatch;
use domain::inbox::lease::LeaseId;
use domain::inbox::notice_request::{LastLease, NoticeRequest, Reason};
use domain::job::id::JobId;
use domain::tenant::api_key::KeyHash;
use domain::tenant::audit::AuditId;
use domain::tenant::id::TenantId;
use domain::tenant::rate_limit::{Meter, Metered};
use domain::timestamp::Timestamp;

/// The sort key of the only item in a partition.
pub(crate) const ONLY: &str = "-";

/// Returns the partition in `Control` of an API key. The key does not begin with a tenant, because authentication reads
/// it to find the tenant.
pub(crate) fn api_key(hash: &KeyHash) -> String {
    format!("key#{}", hash.as_str())
}

/// Returns the partition in `Control` of a tenant's items.
pub(crate) fn tenant(tenant: &TenantId) -> String {
    format!("t#{tenant}")
}

/// The partition in `Control` of the list of all tenants. The sort key is the id of the tenant.
pub(crate) const TENANTS: &str = "tenants";

/// The sort key in `Control` of the tenant itself.
pub(crate) const TENANT: &str = "tenant";

/// The sort key in `Control` of the tenant's encrypted data key.
pub(crate) const DATA_KEY: &str = "data_key";

/// The partition in `Control` of the root key, which encrypts the data keys.
pub(crate) const ROOT_KEY: &str = "root_key";

/// The sort key in `Control` of the number of the tenant's endpoints.
pub(crate) const ENDPOINT_COUNT: &str = "endpoints";

/// Returns the sort key in `Control` under which a tenant's API key is listed.
pub(crate) fn key_listing(key_id: &str) -> String {
    format!("{KEY_LISTINGS}{key_id}")
}

/// The sort key prefix in `Control` of all API keys of a tenant.
pub(crate) const KEY_LISTINGS: &str = "key#";

/// Returns the sort key in `Control` of an endpoint.
pub(crate) fn endpoint(id: &EndpointId) -> String {
    format!("{ENDPOINTS}{id}")
}

/// The sort key prefix in `Control` of all endpoints of a tenant.
pub(crate) const ENDPOINTS: &str = "endpoint#";

/// Returns the partition in `Control` of a tenant's audit trail. It is not the partition of the tenant's items, which
/// consumer reads for each batch.
pub(crate) fn audit(tenant: &TenantId) -> String {
    format!("t#{tenant}#audit")
}

/// Returns the sort key in `Control` of a record of the audit trail. Later records sort after earlier ones.
pub(crate) fn audit_record(id: &AuditId) -> String {
    id.to_string()
}

/// Returns a sort key in `Control` between the records before `time` and all later records.
pub(crate) fn audit_from(time: Timestamp) -> String {
    AuditId::first_at(time)
}

/// Returns the partition in `Limits` of the tokens of one minute since the epoch.
pub(crate) fn minute(Meter { tenant, metered }: &Meter, minute: u64) -> String {
    match metered {
        Metered::Events => format!("t#{tenant}#minute#{minute}"),
        Metered::EventsOfKey(key) => format!("t#{tenant}#{key}#minute#{minute}"),
        Metered::Requests => format!("t#{tenant}#requests#minute#{minute}"),
    }
}

/// Returns the partition in `Limits` of a tenant's backlog.
pub(crate) fn backlog(tenant: &TenantId) -> String {
    format!("t#{tenant}#backlog")
}

/// Returns the sort key in `Limits` of the backlog of one day since the epoch.
pub(crate) fn backlog_day(day: u64) -> String {
    day.to_string()
}

/// The sort key in `Limits`, in the partition of a tenant's backlog, of the time that its events waited in the queue.
pub(crate) const WAIT: &str = "wait";

/// Returns the partition in `Limits` of a tenant's statistics.
pub(crate) fn stats(tenant: &TenantId) -> String {
    format!("t#{tenant}#stats")
}

/// Returns the sort key in `Limits` of the statistics of one minute since the epoch. Later minutes sort after earlier
/// ones.
pub(crate) fn stats_minute(minute: u64) -> String {
    format!("{minute:010}")
}

/// Returns the partition in `Limits` of the test of an endpoint that a tenant has under way.
pub(crate) fn test_turn(tenant: &TenantId) -> String {
    format!("t#{tenant}#test_turn")
}

/// Returns the partition in `Limits` of the signups of one day since the epoch: those of one client, or all of them.
pub(crate) fn signups(day: u64, client: Option<&str>) -> String {
    format!("signups#{day}#{}", client.unwrap_or("all"))
}

/// The partition in `Limits` of the waits of the queues, and of the counters that were written together with a wait.
pub(crate) const COUNTERS: &str = "counters";

/// Returns the sort key in `Limits` of one shard of the waits and their counters.
pub(crate) fn counters_shard(shard: u8) -> String {
    shard.to_string()
}

/// Returns the partition in `Limits` of one part of the counters that were written without a wait.
pub(crate) fn counters_part(part: u8) -> String {
    format!("counters#{part}")
}

/// Returns the partition in `Limits` of the reserved time of a line.
pub(crate) fn pace(tenant: &TenantId, line: Line<'_>) -> String {
    format!("t#{tenant}#pace#{}", line_name(line))
}

/// Returns the partition in `Limits` of the requests of a line that are in flight and began in one minute since the epoch.
pub(crate) fn in_flight(tenant: &TenantId, line: Line<'_>, minute: u64) -> String {
    format!("t#{tenant}#under_way#{}#{minute}", line_name(line))
}

/// Returns the name of a line. The id of an endpoint begins with `ep_`, so it is no name of another line.
fn line_name(line: Line<'_>) -> &str {
    match line {
        Line::Endpoint(endpoint) => endpoint.as_str(),
        Line::Slow => "slow",
        Line::Burst => "burst",
        Line::Allowance => "allowance",
    }
}

/// Returns the partition in `Claims` of a client's name for an event or a request.
pub(crate) fn claim(tenant: &TenantId, name: &ClaimName) -> String {
    format!("t#{tenant}#{}", job_name(name))
}

/// Returns the partition in `Events` of one shard of a tenant: its heads and attempts.
pub(crate) fn shard(tenant: &TenantId, shard: u8) -> String {
    format!("t#{tenant}#{shard}")
}

/// Returns the sort key in `Events` of the head of an event.
pub(crate) fn head(event: EventId) -> String {
    event.to_string()
}

/// Returns a sort key in `Events` between the events that were accepted before `time` and all later events.
pub(crate) fn events_from(time: Timestamp) -> String {
    format!("evt_{:012x}", time.millis().min(MAX_EVENT_MILLIS))
}

/// The latest time that an event id can hold, in milliseconds since the epoch.
const MAX_EVENT_MILLIS: u64 = (1 << 48) - 1;

/// Returns a sort key in `Events` between an event with its attempts and the next event.
pub(crate) fn after_event(event: EventId) -> String {
    format!("{event}$") // '$' sorts after the '#' of the attempts
}

/// Returns a sort key in `Events` between the previous event with its attempts and this event.
pub(crate) fn before_event(event: EventId) -> String {
    let mut key = head(event);
    // The key is the id whose last character is one less. '~' sorts after the '#' of the attempts.
    let last = key.pop().map(|digit| char::from(u8::try_from(digit).unwrap_or(b'1') - 1));
    key.extend(last);
    key + "~"
}

/// Returns the sort key prefix in `Events` of the attempts of an event.
pub(crate) fn attempts_of(event: EventId) -> String {
    format!("{event}#")
}

/// Returns the partition in `Events` of the list of events that a lease held when it began.
pub(crate) fn lease(tenant: &TenantId, lease: &LeaseId) -> String {
    format!("t#{tenant}#lease#{lease}")
}

/// Returns the sort key in `Events` of an attempt, after the head of its event. The time at which the attempt began
/// makes the key unique.
pub(crate) fn attempt(Attempt { message, at, .. }: &Attempt) -> String {
    let DeliveryMessage { event, endpoint, n, .. } = message;
    format!("{event}#{endpoint}#{n:02}#{}", at.millis())
}

/// Returns the partition in the index `attempts` of the attempts at an endpoint.
pub(crate) fn attempts(tenant: &TenantId, endpoint: &EndpointId) -> String {
    format!("t#{tenant}#attempts#{endpoint}")
}

/// The partition in `Events` that a health check reads. It has no items.
pub(crate) const PING: &str = "ping";

/// Returns the partition in `Events` of a payload that is too large for the head.
pub(crate) fn payload(tenant: &TenantId, event: EventId) -> String {
    format!("t#{tenant}#payload#{event}")
}

/// Returns the partition in `Schedule` of one shard of the messages that are due later.
pub(crate) fn due(shard: u8) -> String {
    format!("due#{shard}")
}

/// Returns the sort key in `Schedule` of a message that is due later. Later messages sort after earlier ones.
pub(crate) fn due_row(Due { message, at }: &Due) -> String {
    let DeliveryMessage { tenant, endpoint, .. } = message;
    format!("{}#{tenant}#{endpoint}#{}", due_until(*at), attempt_of(message))
}

/// Returns a sort key in `Schedule` between the rows that are due before `at` and all later rows.
pub(crate) fn due_until(at: Timestamp) -> String {
    format!("{:015}", at.millis())
}

/// Returns the partition in `Schedule` of a part of the parked deliveries of an endpoint. The part of earlier versions has no
/// number.
#[must_use]
pub fn parked(ParkedPartition { tenant, endpoint, part }: &ParkedPartition) -> String {
    match part {
        &EARLIER_PART => format!("t#{tenant}#parked#{endpoint}"),
        part => format!("t#{tenant}#parked#{endpoint}#{part}"),
    }
}

/// Returns the sort key in `Schedule` of a parked delivery. The oldest event sorts first, and the rows of one attempt are
/// neighbours.
pub(crate) fn parked_row(Parked { message, source, .. }: &Parked) -> String {
    match source {
        Source::Message(id) => format!("{}#{id}", attempt_of(message)),
        Source::Token(_) => attempt_of(message),
    }
}

/// Returns what names an attempt in the sort keys of `Schedule`.
fn attempt_of(DeliveryMessage { event, run, n, .. }: &DeliveryMessage) -> String {
    format!("{event}#{run}#{n}")
}

/// Returns the partition in `Schedule` of one shard of the rows of endpoints that have parked deliveries.
pub(crate) fn parking(shard: u8) -> String {
    format!("parking#{shard}")
}

/// Returns the sort key in `Schedule` of the row of an endpoint that has parked deliveries in this partition.
pub(crate) fn parking_row(ParkedPartition { tenant, endpoint, part }: &ParkedPartition) -> String {
    match part {
        &EARLIER_PART => format!("t#{tenant}#{endpoint}"),
        part => format!("t#{tenant}#{endpoint}#{part}"),
    }
}

/// The partition in `Schedule` of all running jobs.
pub(crate) const JOBS: &str = "jobs";

/// Returns the sort key in `Schedule` of a running job. The key of an erasure holds only its id: the erasure can still
/// be read after the API keys of the tenant are deleted.
pub(crate) fn job_row(tenant: &TenantId, job: &JobId) -> String {
    match JobId::parse_erasure(job.as_str()) {
        Some(erasure) => erasure_row(&erasure),
        None => format!("{}{job}", replays_of(tenant)),
    }
}

/// Returns the sort key in `Schedule` of a running erasure.
pub(crate) fn erasure_row(job: &JobId) -> String {
    format!("erasure#{job}")
}

/// Returns the sort key prefix in `Schedule` of a tenant's running replays.
pub(crate) fn replays_of(tenant: &TenantId) -> String {
    format!("t#{tenant}#")
}

/// Returns a sort key in `Schedule` between the jobs that take turns with this job and the next jobs: after all running
/// replays of its tenant, or after this erasure.
pub(crate) fn after_turn(tenant: &TenantId, job: &JobId) -> String {
    match JobId::parse_erasure(job.as_str()) {
        Some(erasure) => erasure_row(&erasure),
        None => format!("{}~", replays_of(tenant)), // '~' sorts after the ids of replays
    }
}

/// The partition in `Schedule` of the place in [`JOBS`] where the next visit of the scheduler begins.
pub(crate) const TURN: &str = "turn";

/// Returns the partition in `Schedule` of a tenant's ended replays, whose sort key is their id, and of the names of its
/// requests for replays.
pub(crate) fn ended_replays(tenant: &TenantId) -> String {
    format!("t#{tenant}#jobs")
}

/// The sort key prefix in `Schedule` of the ended replays in the partition of a tenant.
pub(crate) const REPLAY_IDS: &str = "rpl_";

/// Returns the sort key in `Schedule` of a client's name for its request for a replay.
pub(crate) fn job_name(name: &ClaimName) -> String {
    format!("{}#{}", name.kind(), hex(&name.digest()))
}

/// Returns the partition in `Schedule` of the receipt of an erasure.
pub(crate) fn receipt(job: &JobId) -> String {
    format!("receipt#{job}")
}

/// The partition in `Schedule` of the batches of events that will expire, of all tenants.
pub(crate) const EXPIRING: &str = "expiring";

/// Returns the sort key in `Schedule` of a batch of events that will expire. Batches sort by the time of their notice.
pub(crate) fn expiring_row(batch: &ExpiryBatch) -> String {
    format!("{}#{}#{}", due_until(batch.notice_at()), batch.tenant, batch.accepted_from.millis())
}

/// The partition in `Schedule` of the requests for notices, of all tenants.
pub(crate) const NOTICES: &str = "notices";

/// Returns the sort key in `Schedule` of a request for a notice: one for each tenant, kind and day, and for each lease that
/// may quarantine events.
pub(crate) fn notice_row(request: &NoticeRequest) -> String {
    let row = format!("{}#{}#{}", request.tenant, request.reason.event_type(), request.day);
    match &request.reason {
        Reason::Quarantined(LastLease { id: Some(lease), .. }) => format!("{row}#{lease}"),
        Reason::Quarantined(_) | Reason::Filling => row,
    }
}

/// Returns the sort key, in the partition of a tenant's backlog, of the first notice of a kind on one day.
pub(crate) fn first_notice(request: &NoticeRequest) -> String {
    format!("{}#{}", request.reason.event_type(), request.day)
}

/// Returns the partition in `Events` of unreadable messages: those that name this tenant, or those that name none.
pub(crate) fn unreadable_of(tenant: Option<&TenantId>) -> String {
    tenant.map_or_else(|| "unreadable".to_owned(), |tenant| format!("t#{tenant}#unreadable"))
}

/// Returns the sort key in `Events` of an unreadable message.
pub(crate) fn unreadable(queue: &str, message_id: &str) -> String {
    format!("{queue}#{message_id}")
}

#[cfg(test)]
mod tests;
