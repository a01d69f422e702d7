//! Leasing events, and acting on them, until each is decided: whoever loses a race reads again and decides again.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use rand::RngExt;
use triggers::adapters::events::{Candidates, Room};
use triggers::api_key::KeyRecord;
use triggers::event::{EventId, EventType};
use triggers::inbox::Head;
use triggers::inbox::lease::{Acknowledged, LeaseId, Terms};
use triggers::ports::{Events, PortResult, Unavailable, Updated};
use triggers::stats::Share;
use triggers::tenant::TenantId;
use triggers::timestamp::Timestamp;

use crate::counting;
use crate::deps::Api;

/// How often a raced change is decided again before the client is asked to.
const MOST_RACES: usize = 20;

/// How often others may be faster before a lease contents itself with what it has.
const MOST_ROUNDS: u32 = 8;

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

/// What came of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ended {
    /// It is as asked, now or since an earlier request.
    Done,
    /// There is no such event.
    NotFound,
    /// The lease does not hold it.
    LeaseLost,
    /// It is in no quarantine, or its last lease still holds it.
    NotQuarantined,
}

impl Ended {
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NotFound => "not-found",
            Self::LeaseLost => "lease-lost",
            Self::NotQuarantined => "not-quarantined",
        }
    }
}

/// What an act makes of a head.
enum Decided {
    Write(Box<Head>),
    Ended(Ended),
}

impl Act {
    fn decide(&self, head: &Head, now: Timestamp) -> Decided {
        let next = match self {
            Self::Acknowledge => {
                return head
                    .acknowledge()
                    .map_or(Decided::Ended(Ended::Done), |next| Decided::Write(Box::new(next)));
            }
            Self::AcknowledgeAs(lease) => {
                return match head.acknowledge_as(lease, now) {
                    Acknowledged::Now(next) => Decided::Write(next),
                    Acknowledged::Already => Decided::Ended(Ended::Done),
                    Acknowledged::Lost => Decided::Ended(Ended::LeaseLost),
                };
            }
            Self::Release(lease, delay) => head.release(lease, *delay, now),
            Self::Extend(lease, until) => head.extend(lease, *until, now),
            Self::ReleaseFromQuarantine(delay) => head.release_from_quarantine(*delay, now),
        };
        let refused = match self {
            Self::ReleaseFromQuarantine(_) => Ended::NotQuarantined,
            _ => Ended::LeaseLost,
        };
        next.map_or(Decided::Ended(refused), |next| Decided::Write(Box::new(next)))
    }

    /// What is told of an event that is not there: under a lease no more than that it does not hold it.
    fn on_absent(&self) -> Ended {
        match self {
            Self::Acknowledge | Self::ReleaseFromQuarantine(_) => Ended::NotFound,
            Self::AcknowledgeAs(_) | Self::Release(..) | Self::Extend(..) => Ended::LeaseLost,
        }
    }
}

/// Acts on events of these ids; what came of each, in their order.
pub(crate) async fn act(
    api: &Api,
    tenant: &TenantId,
    act: &Act,
    ids: Vec<String>,
    now: Timestamp,
) -> PortResult<Vec<(String, Ended)>> {
    let known: Vec<EventId> = ids.iter().filter_map(|id| EventId::parse(id)).collect();
    let heads = api.events.heads_of(tenant, &known).await?;
    let acts = ids.into_iter().map(|id| {
        let head = heads.iter().find(|head| head.id.to_string() == id);
        async move { PortResult::Ok((id, act_on(api, tenant, act, head.cloned(), now).await?)) }
    });
    let ended: Vec<(String, (Ended, Option<EventId>))> =
        stream::iter(acts).buffered(CONCURRENT_EVENTS).try_collect().await?;
    let left: Vec<Share> = ended.iter().filter_map(|(_, (_, left))| left.map(Share::acked)).collect();
    counting::count(api, tenant, &left, now).await;
    Ok(ended.into_iter().map(|(id, (ended, _))| (id, ended)).collect())
}

/// What came of it, and the event if it has just left the inbox.
async fn act_on(
    api: &Api,
    tenant: &TenantId,
    act: &Act,
    mut head: Option<Head>,
    now: Timestamp,
) -> PortResult<(Ended, Option<EventId>)> {
    for _ in 0..MOST_RACES {
        let Some(seen) = head.filter(|head| !head.is_gone(now)) else { return Ok((act.on_absent(), None)) };
        let next = match act.decide(&seen, now) {
            Decided::Ended(ended) => return Ok((ended, None)),
            Decided::Write(next) => next,
        };
        if api.events.update(tenant, &next).await? == Updated::Done {
            let left = seen.status.is_in_inbox() && !next.status.is_in_inbox();
            return Ok((Ended::Done, left.then_some(seen.id)));
        }
        head = api.events.head(tenant, seen.id, true).await?.map(|found| found.head);
    }
    Err(Unavailable::new("changing an event", "too many races"))
}

/// Leases the oldest events that nobody has.
///
/// Where others are faster, it looks further and begins at a place of its own, so that many who lease at once do not meet
/// at the same events again. Looking is cheap: fifty entries of the index are one read unit, and a write in vain costs as
/// much as five of those.
pub(crate) async fn lease(
    api: &Api,
    bearer: &KeyRecord,
    terms: &Terms,
    event_types: Vec<EventType>,
    limit: usize,
    now: Timestamp,
) -> PortResult<Vec<(Head, String)>> {
    let (mut events, mut room) = (Vec::new(), Room::default());
    let mut seen: BTreeSet<EventId> = BTreeSet::new();
    let shards = bearer.spread.read();
    let mut candidates =
        Candidates { shards, event_types, include_open: terms.include_open, of_each_shard: 0, now };
    for round in 0..MOST_ROUNDS {
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
        let taken = api.events.take(&bearer.tenant, chosen, terms, &mut room, now).await?;
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
        api.events.note_lease(&bearer.tenant, &terms.holder, &ids, terms.until).await?;
    }
    Ok(events)
}
