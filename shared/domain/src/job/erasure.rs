//! The erasure of a tenant: the order in which its data is deleted, and the numbers for the receipt.
//!
//! First the tenant is marked, and then nothing of it is stored or delivered. Its data key is deleted with its keys
//! and endpoints, so no copy of a payload can be decrypted any more. Then everything is deleted. A process that read
//! the tenant before the mark may still write. So after a pause all data is searched again, until a search finds
//! nothing.

use std::time::Duration;

use crate::tenant::tier::Tier;
use crate::timestamp::Timestamp;

/// The next step of an erasure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Mark the tenant.
    Mark,
    /// Delete the keys, the endpoints, the data key and the name of the tenant.
    Control,
    /// Delete the events, payloads and attempts of this shard.
    Shard(u8),
    /// Delete the audit trail, the counters, the replays, and the messages that could not be parsed.
    Rest,
    /// Wait until this time, and then search all data again.
    Pause(Timestamp),
    /// The erasure has ended.
    Done,
}

/// The progress of an erasure.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Erasure {
    /// The next step.
    pub phase: Phase,
    /// The number of deleted items.
    pub deleted: u64,
    /// The number of items deleted in the current search.
    pub found: u64,
    /// The number of finished searches.
    pub looks: u32,
    /// When the data key was deleted. Five minutes later no instance has it in its cache, and no payload can be
    /// decrypted.
    pub key_dropped_at: Option<Timestamp>,
}

impl Erasure {
    /// Makes the progress of a new erasure.
    #[must_use]
    pub fn begin() -> Self {
        Self { phase: Phase::Mark, deleted: 0, found: 0, looks: 0, key_dropped_at: None }
    }

    /// Records a step that deleted `deleted` items; `is_empty` says that the phase has no more. `pause` must be
    /// longer than a process can work with a tenant that it read before the mark: a key is cached for up to 60 s, and
    /// a batch takes up to 60 s.
    #[must_use]
    pub fn advanced(&self, deleted: u64, is_empty: bool, now: Timestamp, pause: Duration) -> Self {
        let mut next = self.clone();
        next.deleted += deleted;
        next.found += deleted;
        next.phase = match self.phase {
            Phase::Control => Phase::Shard(0),
            Phase::Shard(shard) if !is_empty => Phase::Shard(shard),
            Phase::Shard(shard) if shard + 1 < Tier::MAX_SHARDS => Phase::Shard(shard + 1),
            Phase::Rest if !is_empty => Phase::Rest,
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
        if self.phase == Phase::Rest && is_empty {
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
    fn data_is_searched_again_after_a_pause_until_nothing_is_found() {
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
        assert_eq!(shards, 3 * 16, "two searches found something, and the third nothing");
        assert_eq!((erasure.deleted, erasure.found, erasure.looks), (2, 0, 3));
        assert_eq!(erasure.key_dropped_at, Some(START));
    }

    #[test]
    fn the_rest_is_read_to_its_end_before_the_search_counts() {
        let erasure = Erasure { phase: Phase::Rest, ..Erasure::begin() };
        let next = erasure.advanced(200, false, START, PAUSE);
        assert_eq!((next.phase, next.looks, next.found), (Phase::Rest, 0, 200));
        let last = next.advanced(0, true, START, PAUSE);
        assert_eq!((last.phase, last.looks, last.found), (Phase::Pause(START.after(PAUSE)), 1, 0));
    }

    #[test]
    fn a_shard_is_read_to_its_end() {
        let erasure = Erasure { phase: Phase::Shard(3), ..Erasure::begin() };
        assert_eq!(erasure.advanced(100, false, START, PAUSE).phase, Phase::Shard(3));
        assert_eq!(erasure.advanced(0, true, START, PAUSE).phase, Phase::Shard(4));
    }
}
