//! One step of a replay: the next events of its stretch are opened again and their messages sent, spread over the minute.
//!
//! ```text
//!   read the next heads ──> open what the filter lets through, each by one conditional update
//!                      ──> send the first messages of everything that this run opened and nobody tried yet
//!                      ──> save the cursor
//! ```
//!
//! A process that dies before the last of these leaves heads that are open under the run's id: the next visit finds them,
//! opens nothing twice, and sends their messages. So does the last step of a replay that was cancelled.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use triggers::batch;
use triggers::delivery::DeliveryMessage;
use triggers::endpoint::Endpoint;
use triggers::inbox::Head;
use triggers::job::{Job, Replay, Work};
use triggers::ports::{
    Clock, Control, Counts, Delayed, DeliveryQueue, Events, Limits, PortResult, Schedule, Stretch,
    Unavailable, Updated,
};
use triggers::schedule::{drain_delay, drained_per_minute};
use triggers::stats::{Share, Shares};

use crate::handler::Scheduler;
use crate::jobs::Stepped;

/// So many items are looked at in one step.
const STEP: usize = 100;

/// Heads that are opened side by side.
const CONCURRENT_HEADS: usize = 16;

/// How often a raced update is decided again before the visit ends.
const MOST_RACES: usize = 20;

impl<C: Control, E: Events, L: Limits, S: Schedule, Q: DeliveryQueue, T: Clock> Scheduler<C, E, L, S, Q, T> {
    /// The next step of a replay that has sent so many messages in this visit.
    pub(crate) async fn step_of_replay(
        &self,
        job: &Job,
        replay: &Replay,
        sent: &mut usize,
    ) -> PortResult<Stepped> {
        let endpoints = self.control.endpoints(&job.tenant).await?;
        let pace = replay.pace(&endpoints);
        let stretch = Stretch {
            shard: replay.progress.shard,
            since: replay.filter.since,
            until: replay.filter.until,
            after: replay.progress.after,
        };
        let room = drained_per_minute(pace).saturating_sub(*sent).clamp(1, STEP);
        let walked = self.events.walk(&job.tenant, &stretch, room).await?;
        let heads = stream::iter(walked.heads).map(|head| self.open_again(job, replay, &endpoints, head));
        let heads: Vec<Head> = heads.buffered(CONCURRENT_HEADS).try_collect().await?;
        let messages: Vec<DeliveryMessage> =
            heads.iter().flat_map(|head| first_messages(job, head)).collect();
        let places = *sent..;
        let delayed = |(message, place): (&DeliveryMessage, usize)| Delayed {
            message: message.clone(),
            delay: drain_delay(place, pace),
        };
        let delayed: Vec<Delayed> = messages.iter().zip(places).map(delayed).collect();
        self.deliveries.send(&delayed).await?;
        *sent += messages.len();
        if job.is_cancelled {
            return Ok(Stepped::Done(job.work.clone())); // what it had opened is sent
        }
        let next = replay.advanced(job.id.as_str(), &heads, walked.reached, self.clock.now());
        let is_done = next.is_done();
        let work = Work::Replay(Box::new(next));
        Ok(if is_done {
            Stepped::Done(work)
        } else if *sent >= drained_per_minute(pace) {
            Stepped::Later(work)
        } else {
            Stepped::On(work)
        })
    }

    /// The head as it is once this run has opened what it may.
    async fn open_again(
        &self,
        job: &Job,
        replay: &Replay,
        endpoints: &[Endpoint],
        mut head: Head,
    ) -> PortResult<Head> {
        for _ in 0..MOST_RACES {
            let now = self.clock.now();
            let next =
                if job.is_cancelled { None } else { replay.reopen(job.id.as_str(), &head, endpoints, now) };
            let Some(next) = next else { return Ok(head) };
            if self.events.update(&job.tenant, &next).await? == Updated::Done {
                if !head.status.is_in_inbox() {
                    self.count_return(job, &head).await;
                }
                return Ok(next);
            }
            match self.events.head(&job.tenant, head.id, true).await? {
                Some(found) => head = found.head,
                None => return Ok(head),
            }
        }
        Err(Unavailable::new("opening a delivery again", "too many races"))
    }

    /// Counts an event that is back in the inbox.
    async fn count_return(&self, job: &Job, head: &Head) {
        let shares = Shares::default().with(&job.tenant, &Share::returned(head.id));
        let counts = Counts { returned: 1, ..Counts::default() };
        batch::count(&self.limits, counts, None, &shares, self.clock.now()).await;
    }
}

/// The messages of what this run opened in a head and nobody tried yet.
fn first_messages<'a>(job: &'a Job, head: &'a Head) -> impl Iterator<Item = DeliveryMessage> + 'a {
    let untried = head.untried_of(job.id.as_str());
    untried
        .map(|(endpoint, delivery)| DeliveryMessage::first(&job.tenant, head.id, endpoint, delivery, false))
}
