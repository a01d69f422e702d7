//! Runs one step of a replay: opens the next events again, and sends their messages, spread over the minute.
//!
//! ```text
//!   read the next heads ──> open those that match the filter, each by one conditional update
//!                      ──> send the first message of each delivery that this replay opened
//!                          and that has no attempt
//!                      ──> save the cursor
//! ```
//!
//! A crash before the cursor is saved leaves heads that this replay has opened. The next run finds them, opens nothing
//! twice, and sends their messages. The last step of a cancelled replay does so too.

use domain::delivery::DeliveryMessage;
use domain::delivery::lane::Lane;
use domain::delivery::run::Run;
use domain::delivery::schedule::drain_delay;
use domain::endpoint::Endpoint;
use domain::endpoint::pace::Pace;
use domain::inbox::Head;
use domain::job::replay::Replay;
use domain::job::{Job, Work};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use store::clock::Clock;
use store::events::log::LogRange;
use store::items::Updated;
use store::ports::Ports;
use store::queues::Delayed;
use store::races::{Round, until_won};
use store::unavailable::PortResult;

use crate::handler::Scheduler;
use crate::step::StepResult;

/// The largest number of items that one step reads.
const STEP: usize = 100;

/// The number of heads that an unfinished step may have reached. It is twice the number of items of a step, because other
/// events may have been stored between them since. Attempts are stored between the heads too, so it can take several
/// pages to read this number of heads.
const MAX_UNFINISHED: usize = 2 * STEP;

/// The largest number of heads that are opened at the same time.
const CONCURRENT_HEADS: usize = 16;

impl<P: Ports> Scheduler<P> {
    /// Runs the next step of a replay. `sent` is the number of events that it sent in this run of the scheduler.
    pub(crate) async fn step_of_replay(
        &self,
        job: &Job,
        replay: &Replay,
        sent: &mut usize,
    ) -> PortResult<StepResult> {
        let endpoints = self.control.endpoints(&job.tenant).await?;
        let under_way = self.schedule.count_running_replays(&job.tenant).await?;
        let rate = replay.pace(&endpoints, under_way);
        if job.is_cancelled {
            return self.end_cancelled(job, replay, &endpoints, rate).await;
        }
        if endpoints.iter().any(|endpoint| endpoint.is_suspended) {
            // Every delivery would be parked at once: the replay waits until the tenant is resumed.
            return Ok(StepResult::NextRun(Work::Replay(Box::new(replay.clone()))));
        }
        let per_run = Pace::per_second(rate).to_per_minute();

        // 1. Read the next heads, no more than may be sent in this run.
        let limit = per_run.saturating_sub(*sent).clamp(1, STEP);
        let page = self.events.log_page(&job.tenant, &range_left(replay), limit).await?;

        // 2. Open those that match the filter.
        let heads = stream::iter(page.heads).map(|head| self.reopen(job, replay, &endpoints, head));
        let heads: Vec<Head> = heads.buffered(CONCURRENT_HEADS).try_collect().await?;

        // 3. Send their messages.
        self.send_first_messages(job, &endpoints, &heads, rate, sent).await?;

        let next = replay.advanced(&run_of(job), &heads, page.reached, self.clock.now());
        let is_done = next.is_done();
        let work = Work::Replay(Box::new(next));
        Ok(if is_done {
            StepResult::Done(work)
        } else if *sent >= per_run {
            StepResult::NextRun(work)
        } else {
            StepResult::Continue(work)
        })
    }

    /// Runs the last step of a cancelled replay: sends only what an unfinished step has opened.
    async fn end_cancelled(
        &self,
        job: &Job,
        replay: &Replay,
        endpoints: &[Endpoint],
        rate: u32,
    ) -> PortResult<StepResult> {
        let mut heads = Vec::new();
        let mut range = range_left(replay);
        while heads.len() < MAX_UNFINISHED {
            let page = self.events.log_page(&job.tenant, &range, MAX_UNFINISHED).await?;
            heads.extend(page.heads);
            range.after = page.reached;
            if range.after.is_none() {
                break;
            }
        }
        self.send_first_messages(job, endpoints, &heads, rate, &mut 0).await?;
        let ended = replay.count_unfinished_step(&run_of(job), &heads);
        Ok(StepResult::Done(Work::Replay(Box::new(ended))))
    }

    /// Sends the first message of each delivery that this replay opened in these heads and that has no attempt. An endpoint
    /// gets at most one message of an event, so the events are spread over the minute.
    async fn send_first_messages(
        &self,
        job: &Job,
        endpoints: &[Endpoint],
        heads: &[Head],
        rate: u32,
        sent: &mut usize,
    ) -> PortResult<()> {
        if heads.is_empty() {
            return Ok(());
        }
        let (run, now) = (run_of(job), self.clock.now());
        let mut messages = Vec::new();
        for head in heads {
            let delay = drain_delay(*sent, Pace::per_second(rate));
            let count_before = messages.len();
            messages.extend(first_messages(job, &run, head).map(|message| {
                let lane = Lane::among(endpoints, &message.endpoint, now);
                Delayed { message, lane, delay }
            }));
            *sent += usize::from(messages.len() > count_before);
        }
        self.deliveries.send(&messages).await
    }

    /// Opens a head for this replay, if the replay allows it. Returns the head as it is stored then.
    async fn reopen(
        &self,
        job: &Job,
        replay: &Replay,
        endpoints: &[Endpoint],
        head: Head,
    ) -> PortResult<Head> {
        if let Round::Ended(head) = self.try_reopen(job, replay, endpoints, &head).await? {
            return Ok(head);
        }
        // Another writer changed the head since it was read: read it again, and decide again.
        until_won("reopening an event", || async {
            match self.events.head(&job.tenant, head.id).await? {
                Some(found) => self.try_reopen(job, replay, endpoints, &found.head).await,
                None => Ok(Round::Ended(head.clone())),
            }
        })
        .await
    }

    /// Opens a head by one update, on the condition that it is unchanged.
    async fn try_reopen(
        &self,
        job: &Job,
        replay: &Replay,
        endpoints: &[Endpoint],
        head: &Head,
    ) -> PortResult<Round<Head>> {
        let Some(next) = replay.reopen(&run_of(job), head, endpoints, self.clock.now()) else {
            return Ok(Round::Ended(head.clone()));
        };
        if self.events.reopen(&job.tenant, head, &next).await? == Updated::Raced {
            return Ok(Round::Lost);
        }
        Ok(Round::Ended(next))
    }
}

/// Returns the run of the deliveries that a replay opens.
fn run_of(job: &Job) -> Run {
    Run::Replay(job.id.clone())
}

/// Returns the part of the current shard that the replay has not read.
fn range_left(Replay { filter, progress, .. }: &Replay) -> LogRange {
    LogRange { shard: progress.shard, since: filter.since, until: filter.until, after: progress.after }
}

/// Returns the first message of each delivery that this replay opened in a head and that has no attempt.
fn first_messages<'a>(
    job: &'a Job,
    run: &'a Run,
    head: &'a Head,
) -> impl Iterator<Item = DeliveryMessage> + 'a {
    let without_attempt = head.without_attempt_in(run);
    without_attempt.map(|(endpoint, delivery)| {
        DeliveryMessage::first(&job.tenant, head.id, endpoint, delivery, false).charged(head.units)
    })
}
