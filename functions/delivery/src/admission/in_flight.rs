//! Gives places back while other requests of the same batch are still in flight: a batch ends with its slowest request.
//! Requests that end within a second share a write, so a batch whose receivers answer quickly makes one write for each line.

use std::time::Duration;

use domain::delivery::line::Line;
use futures_util::future::join_all;
use store::limits::Limits;
use store::limits::admissions::Ended;
use store::table::Table;
use tokio::sync::watch;
use tokio::time::timeout;

use super::places::Places;

/// The longest time from the end of a request to the write that gives its place back.
const GATHER: Duration = Duration::from_secs(1);

/// The places that the messages of a batch hold.
pub(crate) struct InFlight<'a> {
    held: Vec<Held<'a>>,
    minute: u64,
}

/// The places of one line, and which of them are no longer needed.
struct Held<'a> {
    places: Places<'a>,
    ended: watch::Sender<Freed>,
}

/// The places of a line whose requests have ended.
#[derive(Clone, Copy, Default)]
struct Freed {
    /// Messages that have ended.
    messages: usize,
    /// Places that are no longer needed.
    places: u32,
    /// Requests to the endpoint of the line that succeeded.
    succeeded: u32,
}

impl<'a> InFlight<'a> {
    /// Keeps places that were taken in this minute.
    pub(super) fn new(places: Vec<Places<'a>>, minute: u64) -> Self {
        let taken = places.into_iter().filter(|places| places.count > 0);
        Self { held: taken.map(|places| Held { places, ended: watch::Sender::default() }).collect(), minute }
    }

    /// Records that the message at this place of the batch is handled.
    pub(crate) fn end(&self, message: usize, is_delivered: bool) {
        for held in self.held.iter().filter(|held| held.places.holders.contains(&message)) {
            held.ended.send_modify(|ended| *ended = ended.plus(&held.places, is_delivered));
        }
    }

    /// Gives back each place after its message has ended. Ends when all messages that hold places have ended. The count is
    /// per minute, so the count of a crashed process ends with its minute.
    pub(crate) async fn give_back<T: Table>(&self, limits: &Limits<T>) {
        join_all(self.held.iter().map(|held| held.give_back(limits, self.minute))).await;
    }
}

impl Held<'_> {
    async fn give_back<T: Table>(&self, limits: &Limits<T>, minute: u64) {
        let Places { tenant, line, count, .. } = self.places;
        let mut ended = self.ended.subscribe();
        let mut given = Freed::default();
        while given.places < count {
            // 1. Wait for a place that is no longer needed, and a little longer for the others. The sender lives as long as `self`.
            let _ = ended.wait_for(|ended| ended.places > given.places).await;
            let _ = timeout(GATHER, ended.wait_for(|ended| ended.places == count)).await;
            let now = *ended.borrow();

            // 2. Give them back with one write.
            let ended = Ended {
                requests: now.places - given.places,
                succeeded: now.succeeded - given.succeeded,
                is_last: now.places == count,
            };
            if let Err(error) = limits.end_requests(tenant, line, minute, ended).await {
                tracing::warn!(cause = %error, "webhook requests that have ended still count as in flight, until the next minute starts; until then fewer requests are sent at the same time");
            }
            given = now;
        }
    }
}

impl Freed {
    /// Returns this after one more of the messages that hold `places` has ended. The place of a burst is held by all of them.
    fn plus(self, places: &Places<'_>, is_delivered: bool) -> Self {
        let messages = self.messages + 1;
        let is_of_endpoint = matches!(places.line, Line::Endpoint(_));
        Self {
            messages,
            places: match places.line {
                Line::Burst => u32::from(messages == places.holders.len()),
                _ => self.places + 1,
            },
            succeeded: self.succeeded + u32::from(is_delivered && is_of_endpoint),
        }
    }
}
