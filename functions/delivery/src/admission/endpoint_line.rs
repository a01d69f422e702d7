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
        let is_throttled = self.is_throttled;
        for candidate in &mut self.candidates {
            let bypass = candidate.message.bypass;
            candidate.is_new = bypass == Bypass::None || (is_throttled && bypass == Bypass::Paced);
        }
        let reserved = if is_throttled {
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
        self.was_idle = count == self.candidates.len() && begin == span.earliest;
        for (slot, candidate) in self.new_ones().enumerate() {
            candidate.turn = candidate.turn.not_before(pace.turn(begin, slot, now));
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
        self.was_idle = count == self.candidates.len() && begin == Some(span.earliest);
        for (slot, candidate) in self.new_ones().enumerate() {
            candidate.turn = match begin {
                Some(begin) if slot < slots => candidate.turn.not_before(pace.turn(begin, slot, now)),
                _ => Turn::TooLate,
            };
        }
        Ok(())
    }

    fn count_new(&self) -> usize {
        self.candidates.iter().filter(|candidate| candidate.is_new).count()
    }

    fn new_ones(&mut self) -> impl Iterator<Item = &mut Candidate<'a>> {
        self.candidates.iter_mut().filter(|candidate| candidate.is_new)
    }
}
