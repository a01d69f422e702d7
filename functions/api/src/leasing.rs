//! Leasing events, and acting on them, until each is decided: whoever loses a race reads again and decides again.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use domain::event::event_type::EventType;
use domain::event::id::EventId;
use domain::inbox::Head;
use domain::inbox::lease::{Acknowledged, LeaseId, LeaseTerms};
use domain::tenant::api_key::KeyRecord;
use domain::tenant::id::TenantId;
use domain::tenant::stats::TenantChange;
use domain::timestamp::Timestamp;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use rand::RngExt;
use store::events::budget::ResponseBudget;
use store::events::lease::Candidates;
use store::items::Updated;
use store::unavailable::{PortResult, Unavailable};

use crate::counting;
use crate::deps::Api;
use store::ports::Ports;

/// How often a raced change is decided again before the client is asked to.
const MAX_RACES: usize = 20;

/// How often others may be faster before a lease contents itself with what it has.
const MAX_ROUNDS: u32 = 8;

/// Among so many times the events that it wants, a lease looks for a place of its own once others were faster.
const SPREAD: usize = 16;

/// Events that are decided side by side.
const CONCURRENT_EVENTS: usize = 16;

/// What is done with an event.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// It is acknowledged, whoever holds it.
    Acknowledge,
    /// It is acknowledged by the holder of this lease.
    AcknowledgeAs(LeaseId),
    /// The holder of this lease gives it back, for nobody to get it before the delay has passed.
    Release(LeaseId, Duration),
    /// The holder of this lease has it until then.
    Extend(LeaseId, Timestamp),
    /// It is out of quarantine.
    ReleaseFromQuarantine(Duration),
}

/// Why nothing was done with an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// There is no such event.
    NotFound,
    /// The lease does not hold it.
    LeaseLost,
    /// It is in no quarantine, or its last lease still holds it.
    NotQuarantined,
}

/// What came of an act: it is as asked, now or since an earlier request, or nothing was done.
pub(crate) type Ended = Result<(), Refused>;

impl Refused {
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::LeaseLost => "lease-lost",
            Self::NotQuarantined => "not-quarantined",
        }
    }
}

impl Act {
    /// The head to be written; none where it is as asked already.
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

    /// What is told of an event that is not there: under a lease no more than that it does not hold it.
    fn on_absent(&self) -> Refused {
        match self {
            Self::Acknowledge | Self::ReleaseFromQuarantine(_) => Refused::NotFound,
            Self::AcknowledgeAs(_) | Self::Release(..) | Self::Extend(..) => Refused::LeaseLost,
        }
    }
}

/// Acts on these events, at most a hundred and all different; what came of each, in their order.
pub(crate) async fn act<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    act: &Act,
    ids: &[EventId],
    now: Timestamp,
) -> PortResult<Vec<(EventId, Ended)>> {
    let heads = api.events.heads(tenant, ids).await?;
    let mut heads: HashMap<EventId, Head> =
        heads.into_iter().map(|found| (found.head.id, found.head)).collect();
    let acts = ids.iter().map(|id| {
        let head = heads.remove(id);
        async move { PortResult::Ok((*id, act_on(api, tenant, act, head, now).await?)) }
    });
    let acts: Vec<_> = acts.collect();
    let ended: Vec<(EventId, (Ended, bool))> =
        stream::iter(acts).buffered(CONCURRENT_EVENTS).try_collect().await?;
    let left = ended.iter().filter(|(_, (_, has_left))| *has_left);
    let left: Vec<TenantChange> = left.map(|(id, _)| TenantChange::for_acked(id.accepted_at())).collect();
    counting::count(api, tenant, &left, now).await;
    Ok(ended.into_iter().map(|(id, (ended, _))| (id, ended)).collect())
}

/// What came of it, and whether the event has left the inbox by it.
async fn act_on<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    act: &Act,
    mut head: Option<Head>,
    now: Timestamp,
) -> PortResult<(Ended, bool)> {
    for _ in 0..MAX_RACES {
        let Some(seen) = head.filter(|head| !head.is_expired_or_deleted(now)) else {
            return Ok((Err(act.on_absent()), false));
        };
        let next = match act.decide(&seen, now) {
            Err(refused) => return Ok((Err(refused), false)),
            Ok(None) => return Ok((Ok(()), false)),
            Ok(Some(next)) => next,
        };
        if api.events.update(tenant, &next).await? == Updated::Done {
            return Ok((Ok(()), seen.status.is_in_inbox() && !next.status.is_in_inbox()));
        }
        head = api.events.head(tenant, seen.id).await?.map(|found| found.head);
    }
    Err(Unavailable::new("changing an event", "too many races"))
}

/// Leases the oldest events that nobody has.
///
/// Where others are faster, it looks further and begins at a place of its own, so that many who lease at once do not meet
/// at the same events again. Looking is cheap: fifty entries of the index are one read unit, and a write in vain costs as
/// much as five of those.
pub(crate) async fn lease<P: Ports>(
    api: &Api<P>,
    bearer: &KeyRecord,
    terms: &LeaseTerms,
    event_types: Vec<EventType>,
    limit: usize,
    now: Timestamp,
) -> PortResult<Vec<(Head, String)>> {
    let (mut events, mut room) = (Vec::new(), ResponseBudget::default());
    let mut seen: BTreeSet<EventId> = BTreeSet::new();
    let shards = bearer.spread.read();
    let mut candidates =
        Candidates { shards, event_types, include_open: terms.include_open, of_each_shard: 0, now };
    for round in 0..MAX_ROUNDS {
        let wanted = limit - events.len();
        candidates.of_each_shard =
            if round == 0 { wanted } else { (seen.len() + limit * SPREAD).div_ceil(shards.into()) };
        let mut ids = api.events.candidates(&bearer.tenant, &candidates).await?;
        ids.retain(|id| !seen.contains(id));
        let begin =
            if round == 0 { 0 } else { rand::rng().random_range(0..=ids.len().saturating_sub(wanted)) };
        let chosen = &ids[begin..ids.len().min(begin + wanted)];
        if chosen.is_empty() {
            break;
        }
        let taken = api.events.lease(&bearer.tenant, chosen, terms, &mut room, now).await?;
        seen.extend(taken.events.iter().map(|(head, _)| head.id));
        events.extend(taken.events);
        if events.len() == limit || taken.is_full || taken.lost.is_empty() {
            break;
        }
        seen.extend(taken.lost);
    }
    events.sort_unstable_by_key(|(head, _)| head.id);
    if !events.is_empty() {
        let ids: Vec<EventId> = events.iter().map(|(head, _)| head.id).collect();
        api.events.record_lease(&bearer.tenant, &terms.holder, &ids, terms.until).await?;
    }
    Ok(events)
}
