//! Decides which messages of a batch may be sent now.
//!
//! ```text
//!   read each endpoint once ── deleted, disabled, paused, breaker open, on the wrong lane ──> decided
//!       │
//!       ├── the next time of the tenant's lines, if it is charged or slow ([`tenant_lines`])
//!       ├── the next time of the endpoint's line, when the tenant's time has come ([`endpoint_line`])
//!       └── a place among the requests in flight, where they are counted ([`places`])
//! ```
//!
//! The message of an idle endpoint that answers quickly needs one write: the time of its endpoint.

mod candidate;
mod endpoint_line;
mod in_flight;
mod places;
mod tenant_lines;

use std::collections::BTreeMap;

use domain::delivery::gate::{self, Gate};
use domain::delivery::lane::Lane;
use domain::delivery::{Bypass, DeliveryMessage};
use domain::endpoint::Endpoint;
use domain::endpoint::id::EndpointId;
use domain::tenant::capacity::Capacity;
use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;
use domain::timestamp::Timestamp;
use futures_util::future::join_all;
use store::control::Control;
use store::limits::Limits;
use store::table::Table;
use store::unavailable::PortResult;

use self::candidate::{Candidate, Group, Turn};
use self::in_flight::InFlight;
use self::places::Places;
use crate::tiers::Tiers;

/// The decision on one message, and the lane of the messages that follow it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admission {
    pub(crate) decision: Decision,
    /// The lane of the endpoint, as it was read.
    pub(crate) lane: Lane,
}

/// The decision on one message.
#[derive(Clone, Debug)]
pub(crate) enum Decision {
    /// The endpoint could not be read.
    Unknown(String),
    /// The endpoint was deleted.
    Deleted,
    /// The endpoint is disabled.
    Disabled(Box<Endpoint>),
    /// The circuit breaker is open, the endpoint is paused, or the lower rate of a throttled endpoint allows no request
    /// soon.
    Parked {
        /// Whether the message has waited in the lines of its tenant.
        has_waited: bool,
    },
    /// A line allows the request at this time.
    Later {
        at: Timestamp,
        /// The checks that the message skips then.
        bypass: Bypass,
        /// Whether the message has waited in the lines of its tenant.
        has_waited: bool,
    },
    /// The endpoint is slow, and the message came by the quick lane.
    Moves,
    /// The request may be sent now.
    Open(Box<Endpoint>),
}

impl Default for Decision {
    fn default() -> Self {
        Self::Unknown("no decision was made".to_owned())
    }
}

/// The tenant and the endpoint that a message is for.
type Target<'a> = (&'a TenantId, &'a EndpointId);

/// What admissions are decided with.
pub(crate) struct Admitter<'s, T> {
    pub(crate) control: &'s Control<T>,
    pub(crate) limits: &'s Limits<T>,
    pub(crate) tiers: &'s Tiers,
    pub(crate) capacity: Capacity,
    /// The lane that the messages came by.
    pub(crate) lane: Lane,
    pub(crate) now: Timestamp,
}

/// The admissions of a batch, and the requests that count as in flight.
pub(crate) struct Admissions<'a> {
    /// The admission of each message, in order; [`Decision::Unknown`] for one that cannot be read.
    pub(crate) entries: Vec<Admission>,
    pub(crate) in_flight: InFlight<'a>,
}

impl<T: Table> Admitter<'_, T> {
    /// Decides on each of these messages, and counts their requests as in flight. `None` is a message that cannot be read.
    pub(crate) async fn admit<'a>(&self, messages: &[Option<&'a DeliveryMessage>]) -> Admissions<'a> {
        // 1. Read each endpoint, and decide on the messages that it does not allow.
        let mut entries = vec![Admission::default(); messages.len()];
        let mut groups: Vec<Group<'a>> = Vec::new();
        for (target, endpoint, places) in self.read_endpoints(messages).await {
            let refused = match endpoint {
                Ok(Some(endpoint)) => {
                    groups.push(self.group(target, endpoint, places, messages, &mut entries));
                    continue;
                }
                Ok(None) => Decision::Deleted,
                Err(error) => Decision::Unknown(error.to_string()),
            };
            for place in places {
                entries[place] = Admission { decision: refused.clone(), lane: Lane::of(None, self.now) };
            }
        }

        // 2. Give each candidate its turn. The groups are sorted by tenant.
        let by_tenant = groups.chunk_by_mut(|a, b| a.tenant == b.tenant);
        let in_flight = join_all(by_tenant.map(|groups| self.decide_turns(groups))).await;

        // 3. Collect the decisions.
        for group in groups {
            let bypass = if group.is_throttled { Bypass::Throttled } else { Bypass::Paced };
            for &Candidate { place, message, turn, has_waited } in &group.candidates {
                entries[place].decision = match turn {
                    Turn::Now => Decision::Open(Box::new(group.endpoint.clone())),
                    Turn::Waiting(at) => Decision::Later { at, bypass: message.bypass, has_waited },
                    Turn::Later(at) => Decision::Later { at, bypass, has_waited },
                    Turn::TooLate => Decision::Parked { has_waited },
                };
            }
        }
        let in_flight = InFlight::new(in_flight.into_iter().flatten().collect(), self.now.minutes());
        Admissions { entries, in_flight }
    }

    /// Reads each endpoint once; returns it with the places of its messages in the batch. They are sorted by tenant.
    async fn read_endpoints<'a>(
        &self,
        messages: &[Option<&'a DeliveryMessage>],
    ) -> Vec<(Target<'a>, PortResult<Option<Endpoint>>, Vec<usize>)> {
        let mut targets: BTreeMap<Target<'a>, Vec<usize>> = BTreeMap::new();
        let readable = messages.iter().enumerate().filter_map(|(place, message)| Some((place, (*message)?)));
        for (place, message) in readable {
            targets.entry((&message.tenant, &message.endpoint)).or_default().push(place);
        }
        let reads = targets.into_iter().map(|(target, places)| async move {
            (target, self.control.endpoint(target.0, target.1).await, places)
        });
        join_all(reads).await
    }

    /// Decides on the messages that an endpoint does not allow, on those that move, and on probes; returns the others.
    fn group<'a>(
        &self,
        (tenant, id): Target<'a>,
        endpoint: Endpoint,
        places: Vec<usize>,
        messages: &[Option<&'a DeliveryMessage>],
        entries: &mut [Admission],
    ) -> Group<'a> {
        let lane = Lane::of(Some(&endpoint), self.now);
        let mut candidates = Vec::new();
        for (place, message) in places.into_iter().filter_map(|place| Some((place, messages[place]?))) {
            let has_waited = message.has_waited;
            let decision = match gate::gate(&endpoint, message.bypass) {
                Gate::Disabled => Decision::Disabled(Box::new(endpoint.clone())),
                Gate::Parked => Decision::Parked { has_waited },
                Gate::Open if self.lane.moves_to(lane) => Decision::Moves,
                Gate::Open if message.bypass.is_probe() => Decision::Open(Box::new(endpoint.clone())),
                Gate::Open => {
                    candidates.push(Candidate { place, message, turn: Turn::Now, has_waited });
                    Decision::default() // its turn decides
                }
            };
            entries[place] = Admission { decision, lane };
        }
        let is_throttled = endpoint.throttled_pace(self.now).is_some();
        Group { tenant, id, endpoint, is_throttled, was_idle: false, candidates }
    }

    /// Gives the candidates of a tenant their turns; returns the places that they take. Deliveries must not stop because a table
    /// does not answer: what it would limit is then not limited.
    async fn decide_turns<'a>(&self, groups: &mut [Group<'a>]) -> Vec<Places<'a>> {
        let (limits, capacity, now) = (self.limits, self.capacity, self.now);
        warn(self.take_allowance(groups).await, "the allowance of a tenant is not applied");
        let waited = tenant_lines::wait_for_slow(limits, groups, capacity, now).await;
        warn(waited, "requests to the slow endpoints of a tenant do not wait");
        join_all(groups.iter_mut().map(|group| group.reserve_times(limits, now))).await;

        let unlimited = "the requests in flight of a tenant are not limited";
        let slow = places::take_for_slow(limits, groups, capacity, now).await;
        let mut taken: Vec<Places<'a>> = warn(slow, unlimited).flatten().into_iter().collect();
        let burst = warn(self.take_burst(groups).await, unlimited).flatten();
        let batches = capacity.endpoint_at_once(burst.as_ref().map(|(tier, _)| *tier));
        taken.extend(burst.map(|(_, places)| places));
        let of_endpoints = groups.iter_mut().filter(|group| group.count_ready() > 0);
        let of_endpoints = of_endpoints.map(|group| places::take_for_endpoint(limits, group, batches, now));
        for places in join_all(of_endpoints).await {
            taken.extend(warn(places, "the requests in flight to an endpoint are not limited").flatten());
        }
        taken
    }

    async fn take_allowance(&self, groups: &mut [Group<'_>]) -> PortResult<()> {
        let mut candidates = groups.iter().flat_map(|group| &group.candidates);
        if !candidates.any(tenant_lines::is_charged) {
            return Ok(());
        }
        let tier = self.tiers.tier(self.control, groups[0].tenant, self.now).await?;
        tenant_lines::take_allowance(self.limits, groups, tier, self.now).await
    }

    /// Takes the place of a burst; returns it with the tier of the tenant, if this is one.
    async fn take_burst<'a>(&self, groups: &mut [Group<'a>]) -> PortResult<Option<(Tier, Places<'a>)>> {
        if !places::is_burst(groups, self.now) {
            return Ok(None);
        }
        let tier = self.tiers.tier(self.control, groups[0].tenant, self.now).await?;
        let places = places::take_for_burst(self.limits, groups, self.capacity, tier, self.now).await?;
        Ok(places.map(|places| (tier, places)))
    }
}

/// Returns the value; logs an error as this warning.
fn warn<R>(result: PortResult<R>, warning: &'static str) -> Option<R> {
    result.inspect_err(|error| tracing::warn!(cause = %error, "{warning}")).ok()
}
