//! Decides which messages of a batch may be sent now. Reads each endpoint once per batch, and reserves the rate-limit slots
//! of all its messages in one write. If other messages wait for the same endpoint, a limited number of requests to it are
//! in flight ([`max_at_once`]): otherwise an endpoint with a high rate that answers slowly could occupy every instance until
//! its circuit breaker opens, and a burst would send a dead endpoint many requests before the first one fails.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use domain::delivery::gate::{self, Gate};
use domain::delivery::{Bypass, DeliveryMessage};
use domain::endpoint::Endpoint;
use domain::endpoint::id::EndpointId;
use domain::endpoint::pace::{MAX_THROTTLED_WAIT, Pace, Span, max_at_once};
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use futures_util::future::join_all;
use store::control::Control;
use store::limits::Limits;
use store::table::Table;
use store::unavailable::PortResult;

/// The shortest delay of a message that is not sent because too many requests are in flight.
const MIN_DELAY: Duration = Duration::from_secs(1);

/// The decision on one message.
#[derive(Clone, Debug)]
pub(crate) enum Admission {
    /// The endpoint could not be read.
    Unknown(String),
    /// The endpoint was deleted.
    Deleted,
    /// The endpoint is disabled.
    Disabled(Box<Endpoint>),
    /// The circuit breaker is open, the endpoint is paused, or the lower rate of a throttled endpoint allows no request
    /// soon.
    Parked,
    /// The rate limit allows the request at this time. The message then has this bypass.
    Later(Timestamp, Bypass),
    /// The request may be sent now.
    Open(Box<Endpoint>),
}

/// The tenant and the endpoint that a message is for.
type Target<'a> = (&'a TenantId, &'a EndpointId);

/// The admissions of a batch, and the requests that count as in flight until the batch ends.
pub(crate) struct Admissions<'a> {
    /// The admission of each message, in order.
    pub(crate) entries: Vec<Admission>,
    in_flight: Vec<(Target<'a>, u32)>,
    minute: u64,
}

impl<'a> Admissions<'a> {
    /// Decides on each of these messages, and counts their requests as in flight.
    pub(crate) async fn enter<T: Table>(
        control: &Control<T>,
        limits: &Limits<T>,
        messages: &[&'a DeliveryMessage],
        now: Timestamp,
    ) -> Self {
        // 1. Count the messages for each endpoint.
        let mut demands: BTreeMap<Target<'_>, Demand> = BTreeMap::new();
        for message in messages {
            let demand = demands.entry((&message.tenant, &message.endpoint)).or_default();
            demand.unpaced += usize::from(message.bypass == Bypass::None);
            demand.paced += usize::from(message.bypass == Bypass::Paced);
            demand.throttled += usize::from(message.bypass == Bypass::Throttled);
        }

        // 2. Read each endpoint, and reserve its slots.
        let reservations = demands.into_iter().map(|(target, demand)| async move {
            (target, RateReservation::make(control, limits, target, demand, now).await)
        });
        let mut reservations: HashMap<Target<'a>, RateReservation> =
            join_all(reservations).await.into_iter().collect();
        let in_flight = reservations.iter().map(|(target, reservation)| (*target, reservation.in_flight));
        let in_flight = in_flight.filter(|(_, count)| *count > 0).collect();

        // 3. Give the slots to the messages, in order.
        let mut entries = Vec::with_capacity(messages.len());
        for message in messages.iter().copied() {
            entries.push(match reservations.get_mut(&(&message.tenant, &message.endpoint)) {
                Some(reservation) => reservation.admit(message, now),
                None => Admission::Deleted,
            });
        }
        Self { entries, in_flight, minute: now.minutes() }
    }

    /// Counts the requests as no longer in flight, and those of `delivered` as successes. The count is per minute, so the
    /// count of a crashed process ends with its minute.
    pub(crate) async fn leave<T: Table>(self, limits: &Limits<T>, delivered: &[&DeliveryMessage]) {
        let ends = self.in_flight.into_iter().map(|(target, count)| {
            let of_target = delivered.iter().filter(|message| (&message.tenant, &message.endpoint) == target);
            let succeeded = u32::try_from(of_target.count()).unwrap_or(u32::MAX).min(count);
            limits.end_requests(target.0, target.1, self.minute, count, succeeded)
        });
        for error in join_all(ends).await.into_iter().filter_map(Result::err) {
            tracing::warn!(cause = %error, "webhook requests that have ended still count as in flight, until the next minute starts; until then their endpoint gets fewer requests at the same time");
        }
    }
}

/// The numbers of messages for one endpoint.
#[derive(Clone, Copy, Default)]
struct Demand {
    /// Messages without a rate-limit slot.
    unpaced: usize,
    /// Messages whose slot at the full rate has begun.
    paced: usize,
    /// Messages whose slot at a lower rate has begun.
    throttled: usize,
}

/// One endpoint, and the slots that are reserved for the messages of the batch.
struct RateReservation {
    endpoint: Result<Option<Endpoint>, String>,
    pace: Pace,
    /// Whether the rate is lower than the configured one. A slot at the full rate does not count then, and a message
    /// without a slot is parked.
    is_throttled: bool,
    /// The start of the first slot, in microseconds since the epoch; `None` if no slot is reserved.
    begin: Option<u64>,
    /// The number of reserved slots.
    slots: usize,
    /// The number of messages that may still be sent now; `None` for no limit.
    sends_left: Option<u32>,
    /// The start of the first slot for the messages beyond that number.
    retry_begin: Option<u64>,
    /// The requests that count as in flight for this batch.
    in_flight: u32,
    /// The number of slots given to messages.
    used: usize,
    /// The number of retry slots given to messages.
    used_for_retry: usize,
}

/// When a message may be sent.
enum Turn {
    Now,
    Later(Timestamp),
    /// Not within the time for which a throttled endpoint reserves slots.
    TooLate,
}

impl RateReservation {
    /// Reads the endpoint, and reserves slots if it gets requests now.
    async fn make<T: Table>(
        control: &Control<T>,
        limits: &Limits<T>,
        target: Target<'_>,
        demand: Demand,
        now: Timestamp,
    ) -> Self {
        let endpoint = control.endpoint(target.0, target.1).await.map_err(|error| error.to_string());
        let known = endpoint.as_ref().ok().and_then(Option::as_ref);
        let sending = known.filter(|endpoint| gate::gate(endpoint, Bypass::None) == Gate::Open);
        let paces = sending.map(|endpoint| (endpoint.pace(now), endpoint.full_pace()));
        let mut reservation = Self {
            endpoint,
            pace: paces.map_or(Pace::per_second(1), |(pace, _)| pace),
            is_throttled: paces.is_some_and(|(pace, full)| pace < full),
            begin: None,
            slots: usize::MAX,
            sends_left: None,
            retry_begin: None,
            in_flight: 0,
            used: 0,
            used_for_retry: 0,
        };
        if paces.is_some()
            && let Err(error) = reservation.reserve(limits, target, demand, now).await
        {
            // Deliveries must not stop because the table of rate limits does not answer.
            tracing::warn!(cause = %error, "the rate limit of an endpoint is not applied");
            reservation.slots = usize::MAX;
        }
        reservation
    }

    /// Reserves slots. If other messages wait for the endpoint, also limits the requests in flight.
    async fn reserve<T: Table>(
        &mut self,
        limits: &Limits<T>,
        target: Target<'_>,
        demand: Demand,
        now: Timestamp,
    ) -> PortResult<()> {
        // 1. Reserve slots for the messages that need one.
        let (waiting, with_slot) = if self.is_throttled {
            (demand.unpaced + demand.paced, demand.throttled)
        } else {
            (demand.unpaced, demand.paced + demand.throttled)
        };
        let span = self.reserve_slots(limits, target, waiting, now).await?;

        // 2. Count the messages whose slot has begun. A single one needs no limit if no message waited before it.
        let has_begun =
            |slot: &usize| self.begin.is_some_and(|begin| self.pace.turn(begin, *slot, now).is_none());
        let ready = with_slot + (0..waiting.min(self.slots)).filter(has_begun).count();
        let was_idle = with_slot == 0 && self.begin == Some(span.earliest);
        if ready == 0 || (was_idle && ready == 1) {
            return Ok(());
        }

        // 3. Apply the limit. The messages beyond it get slots behind all others.
        let (tenant, id) = target;
        let wanted = u32::try_from(ready).unwrap_or(u32::MAX);
        self.in_flight = limits.start_requests(tenant, id, now.minutes(), wanted, max_at_once).await?;
        self.sends_left = Some(self.in_flight);
        if self.in_flight < wanted && !self.is_throttled {
            let refused = ready - usize::try_from(self.in_flight).unwrap_or_default();
            self.retry_begin = Some(limits.reserve(tenant, id, self.pace.span(refused, now)).await?);
        }
        Ok(())
    }

    /// Reserves slots for this number of messages. Returns the span of the slots.
    async fn reserve_slots<T: Table>(
        &mut self,
        limits: &Limits<T>,
        (tenant, id): Target<'_>,
        waiting: usize,
        now: Timestamp,
    ) -> PortResult<Span> {
        if !self.is_throttled {
            let span = self.pace.span(waiting, now);
            if waiting > 0 {
                self.begin = Some(limits.reserve(tenant, id, span).await?);
            }
            return Ok(span);
        }
        let count = self.pace.throttled_slots(waiting);
        let span = self.pace.span(count, now);
        if count > 0 {
            let latest = now.after(MAX_THROTTLED_WAIT).millis().saturating_mul(1000);
            self.begin = limits.reserve_throttled(tenant, id, span, latest).await?;
            self.slots = if self.begin.is_some() { count } else { 0 };
        }
        Ok(span)
    }

    /// Decides on one message.
    fn admit(&mut self, message: &DeliveryMessage, now: Timestamp) -> Admission {
        let endpoint = match &self.endpoint {
            Err(error) => return Admission::Unknown(error.clone()),
            Ok(None) => return Admission::Deleted,
            Ok(Some(endpoint)) => Box::new(endpoint.clone()),
        };
        let bypass = if self.is_throttled { Bypass::Throttled } else { Bypass::Paced };
        match gate::gate(&endpoint, message.bypass) {
            Gate::Disabled => Admission::Disabled(endpoint),
            Gate::Parked => Admission::Parked,
            Gate::Open if message.bypass.is_probe() => Admission::Open(endpoint),
            Gate::Open => match self.turn(message, now) {
                Turn::Now => Admission::Open(endpoint),
                Turn::Later(at) => Admission::Later(at, bypass),
                Turn::TooLate => Admission::Parked,
            },
        }
    }

    /// Returns when the message may be sent.
    fn turn(&mut self, message: &DeliveryMessage, now: Timestamp) -> Turn {
        let needs_slot =
            message.bypass == Bypass::None || (self.is_throttled && message.bypass == Bypass::Paced);
        if needs_slot {
            let slot = self.used;
            self.used += 1;
            if slot >= self.slots {
                return Turn::TooLate;
            }
            if let Some(later) = self.begin.and_then(|begin| self.pace.turn(begin, slot, now)) {
                return Turn::Later(later);
            }
        }
        match &mut self.sends_left {
            None => Turn::Now,
            Some(0) if self.is_throttled => Turn::TooLate,
            Some(0) => {
                let slot = self.used_for_retry;
                self.used_for_retry += 1;
                let later = self.retry_begin.and_then(|begin| self.pace.turn(begin, slot, now));
                Turn::Later(later.unwrap_or(now).max(now.after(MIN_DELAY)))
            }
            Some(left) => {
                *left -= 1;
                Turn::Now
            }
        }
    }
}
