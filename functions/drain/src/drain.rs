//! Sends the parked deliveries of one minute to an endpoint that takes deliveries, in steps. A row is deleted after its message
//! was sent: a process that ends in between repeats a message and loses none.

use std::collections::BTreeSet;

use domain::delivery::lane::Lane;
use domain::delivery::schedule::{EndpointRow, Parked, drain_delay};
use domain::delivery::share::ParkedEndpoint;
use domain::endpoint::pace::Pace;
use domain::timestamp::Timestamp;
use futures_util::future::try_join_all;
use store::clock::Clock;
use store::ports::Ports;
use store::queues::Delayed;
use store::unavailable::PortResult;

use crate::counts::Counts;
use crate::handler::Drain;

/// The number of deliveries of one endpoint in one step.
const STEP: usize = 200;

/// A partition that has deliveries to send.
struct Open {
    row: EndpointRow,
    /// The last row of the partition that was sent.
    last: Option<Parked>,
}

impl<P: Ports> Drain<P> {
    /// Sends the parked deliveries of one minute by this lane, the oldest events of each part first. Each is due at its place in that
    /// minute, however long the steps before it took.
    pub(crate) async fn drain(
        &self,
        endpoint: &ParkedEndpoint,
        lane: Lane,
        pace: Pace,
        until: Timestamp,
    ) -> PortResult<Counts> {
        let (per_minute, began) = (pace.to_per_minute(), self.clock.now());
        let mut parts: Vec<Open> = endpoint.rows().map(|row| Open { row, last: None }).collect();
        let mut sent = 0;
        while sent < per_minute && self.has_time(until) {
            // 1. Read the next rows. Rows that are parked again meanwhile can lie before `last`, and wait for the next share.
            let rows = self.next_rows(&mut parts, STEP.min(per_minute - sent)).await?;
            if rows.is_empty() {
                break;
            }

            // 2. Send one message for the rows of an attempt, and delete all of its rows only then.
            let elapsed = self.clock.now().since(began);
            let mut attempts = BTreeSet::new();
            let attempts = rows.iter().filter(|row| attempts.insert(row.message.attempt()));
            let delayed = |(parked, place): (&Parked, usize)| Delayed {
                message: parked.message.clone(),
                lane,
                delay: drain_delay(place, pace).saturating_sub(elapsed),
            };
            let messages: Vec<Delayed> = attempts.zip(sent..).map(delayed).collect();
            self.deliveries.send(&messages).await?;
            self.schedule.unpark(&rows).await?;
            sent += messages.len();
        }
        Ok(Counts { drained: u64::try_from(sent).unwrap_or(u64::MAX), ..Counts::default() })
    }

    /// Returns the next rows of the parts, at most `most`, the oldest events first. Removes a part that has no more rows, and
    /// deletes its endpoint row if it had none.
    async fn next_rows(&self, parts: &mut Vec<Open>, most: usize) -> PortResult<Vec<Parked>> {
        let of_each = most.div_ceil(parts.len().max(1));
        let reads = parts.iter().map(|part| self.rows_of(part, of_each));
        let found = try_join_all(reads).await?;
        let has_rows: Vec<bool> = found.iter().map(|rows| !rows.is_empty()).collect();
        let mut has_rows = has_rows.into_iter();
        parts.retain(|_| has_rows.next().unwrap_or_default());
        let mut rows: Vec<Parked> = found.into_iter().flatten().collect();
        rows.sort_by_key(|parked| parked.message.event); // keeps the order of the rows of an event
        rows.truncate(most);
        for part in parts {
            let last = rows.iter().rfind(|parked| parked.partition() == part.row.partition);
            part.last = last.cloned().or(part.last.take());
        }
        Ok(rows)
    }

    /// Returns the next rows of a part, at most `most`. None is left, or this version cannot read them, if it returns none.
    async fn rows_of(&self, Open { row, last }: &Open, most: usize) -> PortResult<Vec<Parked>> {
        let found = self.schedule.parked(&row.partition, last.as_ref(), most).await?;
        if last.is_some() { Ok(found.rows) } else { self.rows_or_retire(row, found).await }
    }
}
