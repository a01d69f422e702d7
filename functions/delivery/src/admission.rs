//! Whether the messages of a batch may be sent now. Reads each endpoint once per batch, and reserves rate-limit slots for all its
//! messages in one write. While others wait for the same endpoint, at most [`MAX_AT_ONCE`] requests to it are in flight: an endpoint
//! that hangs at a high rate would otherwise hold every instance until its circuit breaker opens.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use domain::delivery::gate::{self, Gate};
use domain::delivery::{Bypass, DeliveryMessage};
use domain::endpoint::Endpoint;
use domain::endpoint::id::EndpointId;
use domain::endpoint::pace::{MAX_AT_ONCE, Pace};
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use futures_util::future::join_all;
use store::control::Control;
use store::limits::Limits;
use store::table::Table;
use store::unavailable::PortResult;

/// A message that finds too many requests in flight comes back after this time, or when its slot begins.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// What one message may do.
#[derive(Clone, Debug)]
pub(crate) enum Admission {
    /// The endpoint could not be read.
    Unknown(String),
    /// The endpoint was deleted.
    Deleted,
    /// The endpoint is disabled.
    Disabled(Box<Endpoint>),
    /// The circuit breaker is open, or the endpoint is paused.
    Parked,
    /// The rate allows the request at this time, and not before.
    Later(Timestamp),
    /// The request may be sent now.
    Open(Box<Endpoint>),
}

type Target<'a> = (&'a TenantId, &'a EndpointId);

/// The admissions of a batch, and the requests that it counts as in flight until it ends.
pub(crate) struct Admissions<'a> {
    /// One for each message, in their order.
    pub(crate) entries: Vec<Admission>,
    in_flight: Vec<(Target<'a>, u32)>,
    minute: u64,
}

impl<'a> Admissions<'a> {
    /// Decides for each of these messages.
    pub(crate) async fn enter<T: Table>(
        control: &Control<T>,
        limits: &Limits<T>,
        messages: &[&'a DeliveryMessage],
        now: Timestamp,
    ) -> Self {
        let mut demands: BTreeMap<Target<'_>, Demand> = BTreeMap::new();
        for message in messages {
            let demand = demands.entry((&message.tenant, &message.endpoint)).or_default();
            demand.waiting += usize::from(message.bypass == Bypass::None);
            demand.paced += usize::from(message.bypass == Bypass::Paced);
        }
        let reservations = demands.into_iter().map(|(target, demand)| async move {
            (target, RateReservation::make(control, limits, target, demand, now).await)
        });
        let mut reservations: HashMap<Target<'a>, RateReservation> =
            join_all(reservations).await.into_iter().collect();
        let in_flight = reservations
            .iter()
            .filter(|(_, reservation)| reservation.in_flight > 0)
            .map(|(target, reservation)| (*target, reservation.in_flight))
            .collect();
        let mut entries = Vec::with_capacity(messages.len());
        for message in messages.iter().copied() {
            entries.push(match reservations.get_mut(&(&message.tenant, &message.endpoint)) {
                Some(reservation) => reservation.admit(message, now),
                None => Admission::Deleted,
            });
        }
        Self { entries, in_flight, minute: now.minutes() }
    }

    /// Counts the requests as ended. What a process that died counted ends with its minute.
    pub(crate) async fn leave<T: Table>(self, limits: &Limits<T>) {
        let ends = self
            .in_flight
            .into_iter()
            .map(|((tenant, endpoint), count)| limits.end_requests(tenant, endpoint, self.minute, count));
        for error in join_all(ends).await.into_iter().filter_map(Result::err) {
            tracing::warn!(cause = %error, "requests still count as in flight until their minute ends");
        }
    }
}

/// How many messages of a batch are for one endpoint.
#[derive(Clone, Copy, Default)]
struct Demand {
    /// Messages that need a rate-limit slot.
    waiting: usize,
    /// Messages whose slot has begun.
    paced: usize,
}

/// One endpoint, and the slots that the batch reserved.
struct RateReservation {
    endpoint: Result<Option<Endpoint>, String>,
    /// When the first slot begins, in microseconds since the epoch; `None` where no slot is needed.
    begin: Option<u64>,
    /// How many of the messages whose slot has begun may still be sent; `None` where all may.
    places: Option<u32>,
    /// When the first slot begins for those that may not.
    retry_begin: Option<u64>,
    /// Requests that count as in flight for this batch.
    in_flight: u32,
    /// Slots used by messages of the batch so far.
    used: usize,
    /// Retry slots used so far.
    used_for_retry: usize,
}

impl RateReservation {
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
        let pace = sending.map(|endpoint| Pace::per_second(endpoint.rate_per_second));
        let mut reservation = Self {
            endpoint,
            begin: None,
            places: None,
            retry_begin: None,
            in_flight: 0,
            used: 0,
            used_for_retry: 0,
        };
        if let Some(pace) = pace
            && let Err(error) = reservation.reserve(limits, target, demand, pace, now).await
        {
            // A rate that cannot be counted must not stop deliveries.
            tracing::warn!(cause = %error, "the rate of an endpoint is not counted");
        }
        reservation
    }

    /// Reserves slots and, where others wait for the endpoint too, requests in flight.
    async fn reserve<T: Table>(
        &mut self,
        limits: &Limits<T>,
        (tenant, id): Target<'_>,
        demand: Demand,
        pace: Pace,
        now: Timestamp,
    ) -> PortResult<()> {
        // Step 1: slots for the messages that need one.
        let span = pace.span(demand.waiting, now);
        if demand.waiting > 0 {
            self.begin = Some(limits.reserve(tenant, id, span).await?);
        }
        // Step 2: how many messages could be sent now.
        let has_begun = |slot: &usize| self.begin.is_some_and(|begin| pace.turn(begin, *slot, now).is_none());
        let going = demand.paced + (0..demand.waiting).filter(has_begun).count();
        // Where nobody waited before us, the number in flight needs no bound.
        let is_idle = demand.paced == 0 && self.begin == Some(span.earliest);
        if going == 0 || is_idle {
            return Ok(());
        }
        // Step 3: the bound. Messages beyond it get slots at the end.
        let wanted = u32::try_from(going).unwrap_or(u32::MAX);
        self.in_flight = limits.start_requests(tenant, id, now.minutes(), wanted, MAX_AT_ONCE).await?;
        self.places = Some(self.in_flight);
        if self.in_flight < wanted {
            let left = going - usize::try_from(self.in_flight).unwrap_or_default();
            self.retry_begin = Some(limits.reserve(tenant, id, pace.span(left, now)).await?);
        }
        Ok(())
    }

    fn admit(&mut self, message: &DeliveryMessage, now: Timestamp) -> Admission {
        let endpoint = match &self.endpoint {
            Err(error) => return Admission::Unknown(error.clone()),
            Ok(None) => return Admission::Deleted,
            Ok(Some(endpoint)) => Box::new(endpoint.clone()),
        };
        match gate::gate(&endpoint, message.bypass) {
            Gate::Disabled => Admission::Disabled(endpoint),
            Gate::Parked => Admission::Parked,
            Gate::Open if message.bypass == Bypass::Probe => Admission::Open(endpoint),
            Gate::Open => match self.slot(message, Pace::per_second(endpoint.rate_per_second), now) {
                Some(at) => Admission::Later(at),
                None => Admission::Open(endpoint),
            },
        }
    }

    /// Returns when the message may be sent; `None` means now.
    fn slot(&mut self, message: &DeliveryMessage, pace: Pace, now: Timestamp) -> Option<Timestamp> {
        if message.bypass == Bypass::None {
            let slot = self.used;
            self.used += 1;
            let later = self.begin.and_then(|begin| pace.turn(begin, slot, now));
            if later.is_some() {
                return later;
            }
        }
        match &mut self.places {
            None => None,
            Some(0) => {
                let slot = self.used_for_retry;
                self.used_for_retry += 1;
                let later = self.retry_begin.and_then(|begin| pace.turn(begin, slot, now));
                Some(later.unwrap_or(now).max(now.after(MIN_PAUSE)))
            }
            Some(places) => {
                *places -= 1;
                None
            }
        }
    }
}
