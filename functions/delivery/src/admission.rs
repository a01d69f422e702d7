//! What stands between a batch of messages and their endpoints: each endpoint is read once, now, and its line is queued
//! up in once for all of them. Where the line is busy, no more than so many requests are under way at once: an endpoint that
//! hangs at a high rate would otherwise hold every instance until its breaker opens.

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
use store::ports::control::Control;
use store::ports::limits::Limits;
use store::unavailable::PortResult;

/// Who finds no place comes back so much later, or when the line has got to him.
const SOONEST: Duration = Duration::from_secs(1);

/// What one message finds before its endpoint.
#[derive(Clone, Debug)]
pub(crate) enum Admission {
    /// The endpoint cannot be read.
    Unknown(String),
    /// It was deleted.
    Deleted,
    /// It is disabled.
    Disabled(Box<Endpoint>),
    /// Its breaker is open, or it is paused.
    Parked,
    /// Its rate allows the request then, and not before.
    Later(Timestamp),
    /// It takes the request now.
    Open(Box<Endpoint>),
}

type Place<'a> = (&'a TenantId, &'a EndpointId);

/// What a batch finds, and the places before endpoints that it holds until it has ended.
pub(crate) struct Admissions<'a> {
    /// What each message finds, in their order.
    pub(crate) entries: Vec<Admission>,
    held: Vec<(Place<'a>, u32)>,
    minute: u64,
}

impl<'a> Admissions<'a> {
    /// What each of these messages finds.
    pub(crate) async fn enter(
        control: &impl Control,
        limits: &impl Limits,
        messages: &[&'a DeliveryMessage],
        now: Timestamp,
    ) -> Self {
        let mut crowds: BTreeMap<Place<'_>, Demand> = BTreeMap::new();
        for message in messages {
            let crowd = crowds.entry((&message.tenant, &message.endpoint)).or_default();
            crowd.waiting += usize::from(message.bypass == Bypass::None);
            crowd.paced += usize::from(message.bypass == Bypass::Paced);
        }
        let lines = crowds.into_iter().map(|(place, crowd)| async move {
            (place, Line::join(control, limits, place, crowd, now).await)
        });
        let mut lines: HashMap<Place<'a>, Line> = join_all(lines).await.into_iter().collect();
        let held =
            lines.iter().filter(|(_, line)| line.held > 0).map(|(place, line)| (*place, line.held)).collect();
        let mut entries = Vec::with_capacity(messages.len());
        for message in messages.iter().copied() {
            let line = lines.get_mut(&(&message.tenant, &message.endpoint));
            entries.push(line.map_or(Admission::Deleted, |line| line.entry(message, now)));
        }
        Self { entries, held, minute: now.minutes() }
    }

    /// Gives the places back. What a process that died held is free again in the next minute.
    pub(crate) async fn leave(self, limits: &impl Limits) {
        let leave = |((tenant, endpoint), count)| limits.leave(tenant, endpoint, self.minute, count);
        for error in join_all(self.held.into_iter().map(leave)).await.into_iter().filter_map(Result::err) {
            tracing::warn!(cause = %error, "places are not given back");
        }
    }
}

/// How many messages of a batch are for one endpoint.
#[derive(Clone, Copy, Default)]
struct Demand {
    /// Those that have to wait for their turn.
    waiting: usize,
    /// Those whose turn has come.
    paced: usize,
}

/// One endpoint, and our part of its line.
struct Line {
    endpoint: Result<Option<Endpoint>, String>,
    /// Where our part begins; `None` where all may go.
    begin: Option<u64>,
    /// How many of those whose turn it is may still go; `None` where all may.
    places: Option<u32>,
    /// Where those stand who may not.
    behind: Option<u64>,
    /// Places that are ours.
    held: u32,
    waited: usize,
    sent_behind: usize,
}

impl Line {
    async fn join(
        control: &impl Control,
        limits: &impl Limits,
        (tenant, id): Place<'_>,
        crowd: Demand,
        now: Timestamp,
    ) -> Self {
        let endpoint = control.endpoint(tenant, id).await.map_err(|error| error.to_string());
        let known = endpoint.as_ref().ok().and_then(Option::as_ref);
        let taking = known.filter(|endpoint| gate::gate(endpoint, Bypass::None) == Gate::Open);
        let rate = taking.map(|endpoint| endpoint.rate_per_second);
        let (begin, places, behind, held) = (None, None, None, 0);
        let mut line = Self { endpoint, begin, places, behind, held, waited: 0, sent_behind: 0 };
        if let Some(rate) = rate
            && let Err(error) = line.queue_up(limits, (tenant, id), crowd, Pace::per_second(rate), now).await
        {
            // A rate that cannot be counted must not hold deliveries up.
            tracing::warn!(cause = %error, "a rate is not counted");
        }
        line
    }

    /// Takes turns for those who wait, and, where others stand in the line too, places for those whose turn it is.
    async fn queue_up(
        &mut self,
        limits: &impl Limits,
        (tenant, id): Place<'_>,
        crowd: Demand,
        pace: Pace,
        now: Timestamp,
    ) -> PortResult<()> {
        let span = pace.span(crowd.waiting, now);
        if crowd.waiting > 0 {
            self.begin = Some(limits.queue_up(tenant, id, span).await?);
        }
        let has_turn =
            |place: &usize| self.begin.is_some_and(|begin| pace.turn(begin, *place, now).is_none());
        let going = crowd.paced + (0..crowd.waiting).filter(has_turn).count();
        let is_idle = crowd.paced == 0 && self.begin == Some(span.earliest);
        if going == 0 || is_idle {
            return Ok(());
        }
        let wanted = u32::try_from(going).unwrap_or(u32::MAX);
        self.held = limits.enter(tenant, id, now.minutes(), wanted, MAX_AT_ONCE).await?;
        self.places = Some(self.held);
        if self.held < wanted {
            let left = going - usize::try_from(self.held).unwrap_or_default();
            self.behind = Some(limits.queue_up(tenant, id, pace.span(left, now)).await?);
        }
        Ok(())
    }

    fn entry(&mut self, message: &DeliveryMessage, now: Timestamp) -> Admission {
        let endpoint = match &self.endpoint {
            Err(error) => return Admission::Unknown(error.clone()),
            Ok(None) => return Admission::Deleted,
            Ok(Some(endpoint)) => Box::new(endpoint.clone()),
        };
        match gate::gate(&endpoint, message.bypass) {
            Gate::Disabled => Admission::Disabled(endpoint),
            Gate::Parked => Admission::Parked,
            Gate::Open if message.bypass == Bypass::Probe => Admission::Open(endpoint),
            Gate::Open => {
                let later = self.turn(message, Pace::per_second(endpoint.rate_per_second), now);
                later.map_or(Admission::Open(endpoint), Admission::Later)
            }
        }
    }

    /// When the message has its turn; `None` means now.
    fn turn(&mut self, message: &DeliveryMessage, pace: Pace, now: Timestamp) -> Option<Timestamp> {
        if message.bypass == Bypass::None {
            self.waited += 1;
            let turn = self.begin.and_then(|begin| pace.turn(begin, self.waited - 1, now));
            if turn.is_some() {
                return turn;
            }
        }
        match &mut self.places {
            None => None,
            Some(0) => {
                self.sent_behind += 1;
                let turn = self.behind.and_then(|behind| pace.turn(behind, self.sent_behind - 1, now));
                Some(turn.unwrap_or(now).max(now.after(SOONEST)))
            }
            Some(places) => {
                *places -= 1;
                None
            }
        }
    }
}
