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

use domain::delivery::DeliveryMessage;
use domain::delivery::schedule::{drain_delay, drained_per_minute};
use domain::endpoint::Endpoint;
use domain::inbox::Head;
use domain::job::replay::Replay;
use domain::job::{Job, Work};
use domain::tenant::stats::{TenantChange, TenantChanges};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use runtime::batch;
use store::clock::Clock;
use store::events::log::LogRange;
use store::items::Updated;
use store::limits::counters::Counts;
use store::ports::Ports;
use store::queues::Delayed;
use store::unavailable::{PortResult, Unavailable};

use crate::handler::Scheduler;
use crate::jobs::Stepped;

/// So many items are looked at in one step.
const STEP: usize = 100;

/// A step that did not end has opened some of so many heads: twice its own number, since others may have been stored
/// between them meanwhile. Attempts lie between them too, so it may take several looks to see so many.
const LOOKED_BACK: usize = 2 * STEP;

/// Heads that are opened side by side.
const CONCURRENT_HEADS: usize = 16;

/// How often a raced update is decided again before the visit ends.
const MAX_RACES: usize = 20;

impl<P: Ports> Scheduler<P> {
    /// The next step of a replay that has sent so many events in this visit.
    pub(crate) async fn step_of_replay(
        &self,
        job: &Job,
        replay: &Replay,
        sent: &mut usize,
    ) -> PortResult<Stepped> {
        let endpoints = self.control.endpoints(&job.tenant).await?;
        let pace = replay.pace(&endpoints, self.schedule.count_running_replays(&job.tenant).await?);
        if job.is_cancelled {
            return self.cut_off(job, replay, pace).await;
        }
        let room = drained_per_minute(pace).saturating_sub(*sent).clamp(1, STEP);
        let walked = self.events.log_page(&job.tenant, &stretch(replay), room).await?;
        let heads = stream::iter(walked.heads).map(|head| self.open_again(job, replay, &endpoints, head));
        let heads: Vec<Head> = heads.buffered(CONCURRENT_HEADS).try_collect().await?;
        self.send_first_messages(job, &heads, pace, sent).await?;
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

    /// The last step of a replay that was cancelled: what a step that did not end had opened is sent, and nothing else.
    async fn cut_off(&self, job: &Job, replay: &Replay, pace: u32) -> PortResult<Stepped> {
        let (mut heads, mut stretch) = (Vec::new(), stretch(replay));
        while heads.len() < LOOKED_BACK {
            let walked = self.events.log_page(&job.tenant, &stretch, LOOKED_BACK).await?;
            heads.extend(walked.heads);
            stretch.after = walked.reached;
            if stretch.after.is_none() {
                break;
            }
        }
        self.send_first_messages(job, &heads, pace, &mut 0).await?;
        Ok(Stepped::Done(Work::Replay(Box::new(replay.count_unfinished_step(job.id.as_str(), &heads)))))
    }

    /// Sends the messages of what this run opened in these heads and nobody tried yet. Every endpoint gets at most one message
    /// of an event, so events are what is spread over the minute.
    async fn send_first_messages(
        &self,
        job: &Job,
        heads: &[Head],
        pace: u32,
        sent: &mut usize,
    ) -> PortResult<()> {
        let mut messages = Vec::new();
        for head in heads {
            let delay = drain_delay(*sent, pace);
            let before = messages.len();
            messages.extend(first_messages(job, head).map(|message| Delayed { message, delay }));
            *sent += usize::from(messages.len() > before);
        }
        self.deliveries.send(&messages).await
    }

    /// The head as it is once this run has opened what it may.
    async fn open_again(
        &self,
        job: &Job,
        replay: &Replay,
        endpoints: &[Endpoint],
        mut head: Head,
    ) -> PortResult<Head> {
        for _ in 0..MAX_RACES {
            let now = self.clock.now();
            let next = replay.reopen(job.id.as_str(), &head, endpoints, now);
            let Some(next) = next else { return Ok(head) };
            if self.events.reopen(&job.tenant, &head, &next).await? == Updated::Done {
                if !head.status.is_in_inbox() {
                    self.count_return(job, &head).await;
                }
                return Ok(next);
            }
            match self.events.head(&job.tenant, head.id).await? {
                Some(found) => head = found.head,
                None => return Ok(head),
            }
        }
        Err(Unavailable::new("opening a delivery again", "too many races"))
    }

    /// Counts an event that is back in the inbox.
    async fn count_return(&self, job: &Job, head: &Head) {
        let shares =
            TenantChanges::default().with(&job.tenant, &TenantChange::for_reopened(head.id.accepted_at()));
        let counts = Counts { returned: 1, ..Counts::default() };
        batch::count(&self.limits, counts, None, &shares, self.clock.now()).await;
    }
}

/// What a replay has not come through yet of its shard.
fn stretch(Replay { filter, progress, .. }: &Replay) -> LogRange {
    LogRange { shard: progress.shard, since: filter.since, until: filter.until, after: progress.after }
}

/// The messages of what this run opened in a head and nobody tried yet.
fn first_messages<'a>(job: &'a Job, head: &'a Head) -> impl Iterator<Item = DeliveryMessage> + 'a {
    let without_attempt = head.without_attempt_in(job.id.as_str());
    without_attempt
        .map(|(endpoint, delivery)| DeliveryMessage::first(&job.tenant, head.id, endpoint, delivery, false))
}
