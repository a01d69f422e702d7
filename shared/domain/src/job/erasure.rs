//! The erasure of a tenant: in which order everything goes, and the receipt for it.
//!
//! First the tenant is marked: from then on nothing of it is stored and nothing delivered. Its data key goes with its
//! keys and endpoints: no copy of a payload can be read any more, wherever it is. Then everything is deleted. Whoever
//! read the mark's absence a moment before may still write; so after a pause everything is looked through once more, until
//! nothing is found.

use std::time::Duration;

use crate::tenant::tier::Tier;
use crate::timestamp::Timestamp;

/// What comes next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// The tenant is marked.
    Mark,
    /// Keys, endpoints, the data key and the tenant's name.
    Control,
    /// Events, payloads and attempts of this shard.
    Shard(u8),
    /// Counters, replays, messages that nobody could read.
    Rest,
    /// Nothing until then; then everything is looked through once more.
    Pause(Timestamp),
    /// Nothing more.
    Done,
}

/// How far an erasure has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Erasure {
    /// What comes next.
    pub phase: Phase,
    /// Items that were deleted.
    pub deleted: u64,
    /// Those of them in this look through everything.
    pub found: u64,
    /// How often everything was looked through.
    pub looks: u32,
    /// When the data key was dropped: no payload can be decrypted after five minutes more.
    pub key_dropped_at: Option<Timestamp>,
}

impl Erasure {
    /// Nothing is done yet.
    #[must_use]
    pub fn begin() -> Self {
        Self { phase: Phase::Mark, deleted: 0, found: 0, looks: 0, key_dropped_at: None }
    }

    /// The erasure after a step that deleted so much, and found nothing more where `is_empty`. The pause must be longer than
    /// anybody works with what he read before the mark: a key is believed for 60 s, a batch takes as long at most.
    #[must_use]
    pub fn advanced(&self, deleted: u64, is_empty: bool, now: Timestamp, pause: Duration) -> Self {
        let mut next = self.clone();
        next.deleted += deleted;
        next.found += deleted;
        next.phase = match self.phase {
            Phase::Control => Phase::Shard(0),
            Phase::Shard(shard) if !is_empty => Phase::Shard(shard),
            Phase::Shard(shard) if shard + 1 < Tier::MAX_SHARDS => Phase::Shard(shard + 1),
            Phase::Shard(_) => Phase::Rest,
            Phase::Rest if self.looks > 0 && next.found == 0 => Phase::Done,
            Phase::Rest => Phase::Pause(now.after(pause)),
            Phase::Pause(until) if now < until => Phase::Pause(until),
            Phase::Mark | Phase::Pause(_) => Phase::Control,
            Phase::Done => Phase::Done,
        };
        if self.phase == Phase::Control && self.key_dropped_at.is_none() {
            next.key_dropped_at = Some(now);
        }
        if self.phase == Phase::Rest {
            next.looks += 1;
            next.found = 0;
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::START;

    const PAUSE: Duration = Duration::from_mins(3);

    #[test]
    fn everything_is_looked_through_until_nothing_is_found_after_a_pause() {
        let mut erasure = Erasure::begin();
        let mut now = START;
        let mut order = Vec::new();
        let found = |look: u32, phase| u64::from(look < 2 && phase == Phase::Shard(1));
        while erasure.phase != Phase::Done {
            order.push(erasure.phase);
            let deleted = found(erasure.looks, erasure.phase);
            erasure = erasure.advanced(deleted, true, now, PAUSE);
            if let Phase::Pause(until) = erasure.phase {
                assert_eq!(erasure.advanced(0, true, now, PAUSE).phase, erasure.phase, "it waits");
                assert_eq!(until.since(now), PAUSE);
                now = until;
            }
        }
        assert_eq!(order[..3], [Phase::Mark, Phase::Control, Phase::Shard(0)]);
        let shards = order.iter().filter(|phase| matches!(phase, Phase::Shard(_))).count();
        assert_eq!(shards, 3 * 16, "twice something was found, and the third time nothing");
        assert_eq!((erasure.deleted, erasure.found, erasure.looks), (2, 0, 3));
        assert_eq!(erasure.key_dropped_at, Some(START));
    }

    #[test]
    fn a_shard_is_gone_through_to_its_end() {
        let erasure = Erasure { phase: Phase::Shard(3), ..Erasure::begin() };
        assert_eq!(erasure.advanced(100, false, START, PAUSE).phase, Phase::Shard(3));
        assert_eq!(erasure.advanced(0, true, START, PAUSE).phase, Phase::Shard(4));
    }
}
