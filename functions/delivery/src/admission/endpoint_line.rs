//! The rate of an endpoint: reserves the times of all its messages in a batch with one write.

use domain::delivery::Bypass;
use domain::delivery::line::Line;
use domain::endpoint::pace::MAX_THROTTLED_WAIT;
use domain::timestamp::Timestamp;
use store::limits::Limits;
use store::table::Table;
use store::unavailable::PortResult;

use super::candidate::{Candidate, Group, Turn};

impl<'a> Group<'a> {
    /// Gives each candidate without a time the next free time of the endpoint. Without the table, all are sent now.
    pub(crate) async fn reserve_times<T: Table>(&mut self, limits: &Limits<T>, now: Timestamp) {
        let reserved = if self.is_throttled {
            self.reserve_throttled(limits, now).await
        } else {
            self.reserve(limits, now).await
        };
        if let Err(error) = reserved {
            // Deliveries must not stop because the table of rate limits does not answer.
            tracing::warn!(cause = %error, "the rate limit of an endpoint is not applied");
        }
    }

    async fn reserve<T: Table>(&mut self, limits: &Limits<T>, now: Timestamp) -> PortResult<()> {
        let pace = self.endpoint.full_pace();
        let count = self.count_new();
        if count == 0 {
            return Ok(());
        }
        let span = pace.span(count, now);
        let begin = limits.reserve(self.tenant, Line::Endpoint(self.id), span).await?;
        self.was_idle = self.has_no_earlier() && begin == span.earliest;
        for (slot, candidate) in self.new_ones().enumerate() {
            candidate.turn = pace.turn(begin, slot, now).map_or(Turn::Now, Turn::Later);
        }
        Ok(())
    }

    async fn reserve_throttled<T: Table>(&mut self, limits: &Limits<T>, now: Timestamp) -> PortResult<()> {
        let pace = self.endpoint.pace(now);
        let count = self.count_new();
        let slots = pace.throttled_slots(count);
        if slots == 0 {
            return Ok(());
        }
        let span = pace.span(slots, now);
        let latest = now.after(MAX_THROTTLED_WAIT).millis().saturating_mul(1000);
        let begin = limits.reserve_throttled(self.tenant, Line::Endpoint(self.id), span, latest).await?;
        self.was_idle = self.has_no_earlier() && begin == Some(span.earliest);
        for (slot, candidate) in self.new_ones().enumerate() {
            candidate.turn = match begin {
                Some(begin) if slot < slots => pace.turn(begin, slot, now).map_or(Turn::Now, Turn::Later),
                _ => Turn::TooLate,
            };
        }
        Ok(())
    }

    /// Returns whether no candidate got its time before this batch.
    fn has_no_earlier(&self) -> bool {
        !self.candidates.iter().any(|candidate| has_time(candidate, self.is_throttled))
    }

    fn count_new(&self) -> usize {
        self.candidates.iter().filter(|candidate| needs_time(candidate, self.is_throttled)).count()
    }

    fn new_ones(&mut self) -> impl Iterator<Item = &mut Candidate<'a>> {
        let is_throttled = self.is_throttled;
        self.candidates.iter_mut().filter(move |candidate| needs_time(candidate, is_throttled))
    }
}

/// Returns whether a candidate needs a time of its endpoint. One that waits for its tenant comes back first.
fn needs_time(candidate: &Candidate<'_>, is_throttled: bool) -> bool {
    !has_time(candidate, is_throttled) && !matches!(candidate.turn, Turn::Waiting(_))
}

/// Returns whether a candidate has come at its time in the line of its endpoint.
fn has_time(candidate: &Candidate<'_>, is_throttled: bool) -> bool {
    let bypass = candidate.message.bypass;
    bypass == Bypass::Throttled || (bypass == Bypass::Paced && !is_throttled)
}
