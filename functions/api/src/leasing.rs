//! Leases events, and acts on leased events. Each write is conditional on the head that was read. If another request
//! was faster, the head is read again and the decision is made again.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use domain::event::event_type::EventType;
use domain::event::id::EventId;
use domain::inbox::lease::{Acknowledged, LeaseId, LeaseTerms};
use domain::inbox::notice_request::{LastLease, NoticeRequest, Reason};
use domain::inbox::{Head, Status};
use domain::tenant::api_key::KeyRecord;
use domain::tenant::id::TenantId;
use domain::tenant::stats::TenantChange;
use domain::timestamp::Timestamp;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use rand::RngExt;
use store::events::budget::ResponseBudget;
use store::events::lease::{Candidates, FreeEvents};
use store::items::Updated;
use store::ports::Ports;
use store::unavailable::{PortResult, Unavailable};

use crate::counting;
use crate::deps::Api;

/// The largest number of times that one event is read and decided again after a lost race.
const MAX_RACES: usize = 20;

/// The largest number of rounds in which a lease looks for more events after it lost races.
const MAX_ROUNDS: u32 = 8;

/// A round after a lost race looks at this many times the limit of the lease, and begins at a random place among them.
const SPREAD: usize = 16;

/// The number of events that one request changes at the same time.
const CONCURRENT_EVENTS: usize = 16;

/// A change of an event in the inbox.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Acknowledges the event, with or without a lease on it.
    Acknowledge,
    /// Acknowledges the event for the holder of this lease.
    AcknowledgeAs(LeaseId),
    /// Ends this lease of the event. The event can be leased again after the delay.
    Release(LeaseId, Duration),
    /// Moves the end of this lease to this time.
    Extend(LeaseId, Timestamp),
    /// Releases the event from quarantine. The event can be leased again after the delay.
    ReleaseFromQuarantine(Duration),
}

/// The reason why an event was not changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// The event does not exist.
    NotFound,
    /// The lease does not hold the event.
    LeaseLost,
    /// The event is not quarantined, or its last lease has not ended.
    NotQuarantined,
}

/// The result of an act for one event. `Ok` means that the event is as requested, by this or by an earlier request.
pub(crate) type Ended = Result<(), Refused>;

impl Refused {
    /// Returns the reason as the response names it.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::LeaseLost => "lease-lost",
            Self::NotQuarantined => "not-quarantined",
        }
    }
}

impl Act {
    /// Returns the head to write; `None` if the event is as requested already.
    fn decide(&self, head: &Head, now: Timestamp) -> Result<Option<Head>, Refused> {
        match self {
            Self::Acknowledge => Ok(head.acknowledge()),
            Self::AcknowledgeAs(lease) => match head.acknowledge_as(lease, now) {
                Acknowledged::Now(next) => Ok(Some(*next)),
                Acknowledged::Already => Ok(None),
                Acknowledged::Lost => Err(Refused::LeaseLost),
            },
            Self::Release(lease, delay) => {
                head.release(lease, *delay, now).ok_or(Refused::LeaseLost).map(Some)
            }
            Self::Extend(lease, until) => head.extend(lease, *until, now).ok_or(Refused::LeaseLost).map(Some),
            Self::ReleaseFromQuarantine(delay) => {
                head.release_from_quarantine(*delay, now).ok_or(Refused::NotQuarantined).map(Some)
            }
        }
    }

    /// Returns the reason for an event that does not exist. Under a lease it is the same as for an event that the lease
    /// does not hold.
    pub(crate) fn on_absent(&self) -> Refused {
        match self {
            Self::Acknowledge | Self::ReleaseFromQuarantine(_) => Refused::NotFound,
            Self::AcknowledgeAs(_) | Self::Release(..) | Self::Extend(..) => Refused::LeaseLost,
        }
    }
}

/// Acts on these events, which must be at most 100 and all different. Returns their results in the same order.
pub(crate) async fn act<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    act: &Act,
    ids: &[EventId],
    now: Timestamp,
) -> PortResult<Vec<(EventId, Ended)>> {
    // 1. Read all heads in one batch.
    let found = api.events.heads(tenant, ids).await?;
    let mut heads: HashMap<EventId, Head> =
        found.into_iter().map(|found| (found.head.id, found.head)).collect();

    // 2. Change the events, several at the same time.
    let mut acts = Vec::with_capacity(ids.len());
    for id in ids {
        acts.push(act_on(api, tenant, act, heads.remove(id), now));
    }
    let acted: Vec<Acted> = stream::iter(acts).buffered(CONCURRENT_EVENTS).try_collect().await?;

    // 3. Count the acknowledged events.
    let mut results = Vec::with_capacity(ids.len());
    let mut changes = Vec::new();
    for (id, acted) in ids.iter().zip(acted) {
        changes.extend(acted.change);
        results.push((*id, acted.ended));
    }
    counting::count(api, tenant, &changes, now).await;
    Ok(results)
}

/// The result of an act for one event.
struct Acted {
    ended: Ended,
    /// What the act changes in the numbers of the tenant.
    change: Option<TenantChange>,
}

/// Acts on one event. The first decision uses the head that was read in the batch; a lost race reads it again.
async fn act_on<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    act: &Act,
    mut head: Option<Head>,
    now: Timestamp,
) -> PortResult<Acted> {
    for _ in 0..MAX_RACES {
        let Some(seen) = head.filter(|head| !head.is_expired_or_deleted(now)) else {
            return Ok(Acted { ended: Err(act.on_absent()), change: None });
        };
        let next = match act.decide(&seen, now) {
            Err(refused) => return Ok(Acted { ended: Err(refused), change: None }),
            Ok(None) => return Ok(Acted { ended: Ok(()), change: None }),
            Ok(Some(next)) => next,
        };
        if api.events.update(tenant, &next).await? == Updated::Done {
            let is_acked = next.status == Status::Acked;
            let change = is_acked.then(|| TenantChange::for_acked(seen.id.accepted_at(), seen.in_inbox));
            return Ok(Acted { ended: Ok(()), change });
        }
        head = api.events.head(tenant, seen.id).await?.map(|found| found.head);
    }
    Err(Unavailable::new("changing an event", "other writers were faster too often"))
}

/// Leases the oldest free events, at most `limit`, and stores which events the lease holds.
pub(crate) async fn lease<P: Ports>(
    api: &Api<P>,
    bearer: &KeyRecord,
    terms: &LeaseTerms,
    event_types: Vec<EventType>,
    limit: usize,
    now: Timestamp,
) -> PortResult<Vec<(Head, String)>> {
    let mut events = take_free(api, bearer, terms, event_types, limit, now).await?;
    if events.is_empty() {
        return Ok(events);
    }
    events.sort_unstable_by_key(|(head, _)| head.id);
    let ids: Vec<EventId> = events.iter().map(|(head, _)| head.id).collect();
    // The list is stored after the heads. Without it the client gets no lease id, and the lease ends by itself.
    api.events.record_lease(&bearer.tenant, &terms.holder, &ids, terms.until).await?;
    Ok(events)
}

/// Reads which of these events are free. Requests the notice that an event was quarantined, before this lease takes events of
/// which it is the last allowed one; those of earlier rounds are `announced`. A process that dies after it can lose no
/// notice, and the request does nothing if no event is quarantined. The tenant gets one notice a day; once that one is made,
/// no further request is needed.
async fn find_free<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    ids: &[EventId],
    terms: &LeaseTerms,
    announced: &mut Vec<EventId>,
    now: Timestamp,
) -> PortResult<FreeEvents> {
    let free = api.events.free(tenant, ids, terms, now).await?;
    let last_leases = free.at_last_lease(terms, now);
    if last_leases.is_empty() {
        return Ok(free);
    }
    announced.extend(last_leases);
    let last = LastLease { id: Some(terms.holder.clone()), events: announced.clone(), at: now };
    let request = NoticeRequest::new(tenant, Reason::Quarantined(last), now);
    if !api.limits.has_first_notice(&request).await? {
        api.schedule.request_notice(&request).await?;
    }
    Ok(free)
}

/// Leases free events in rounds.
///
/// The first round takes the oldest candidates. If other clients were faster, the next rounds read more candidates and
/// begin at a random place among them, so that clients that lease at the same time do not compete for the same events
/// again. Reading is cheap: 50 entries of the index are one read unit, and a failed conditional write costs as much as
/// five times that.
async fn take_free<P: Ports>(
    api: &Api<P>,
    bearer: &KeyRecord,
    terms: &LeaseTerms,
    event_types: Vec<EventType>,
    limit: usize,
    now: Timestamp,
) -> PortResult<Vec<(Head, String)>> {
    let shards = bearer.spread.read();
    let mut candidates =
        Candidates { shards, event_types, include_open: terms.include_open, of_each_shard: limit, now };
    let mut events = Vec::new();
    let mut budget = ResponseBudget::default();
    let mut seen: BTreeSet<EventId> = BTreeSet::new();
    let mut announced = Vec::new();
    for round in 0..MAX_ROUNDS {
        // 1. Read candidates that no earlier round has tried.
        let missing = limit - events.len();
        if round > 0 {
            candidates.of_each_shard = (seen.len() + limit * SPREAD).div_ceil(shards.into());
        }
        let mut ids = api.events.candidates(&bearer.tenant, &candidates).await?;
        ids.retain(|id| !seen.contains(id));

        // 2. Lease some of them by conditional writes.
        let chosen = choose(&ids, missing, round);
        if chosen.is_empty() {
            break;
        }
        let free = find_free(api, &bearer.tenant, chosen, terms, &mut announced, now).await?;
        let taken = api.events.lease(&bearer.tenant, free, terms, &mut budget, now).await?;
        seen.extend(taken.events.iter().map(|(head, _)| head.id));
        events.extend(taken.events);
        if events.len() == limit || taken.is_full || taken.lost.is_empty() {
            break;
        }
        seen.extend(taken.lost);
    }
    Ok(events)
}

/// Returns the oldest ids in the first round, and ids from a random place on in later rounds.
fn choose(ids: &[EventId], count: usize, round: u32) -> &[EventId] {
    let last_begin = if round == 0 { 0 } else { ids.len().saturating_sub(count) };
    let begin = rand::rng().random_range(0..=last_begin);
    &ids[begin..ids.len().min(begin + count)]
}
