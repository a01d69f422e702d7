//! Partitions that take a limited number of units a second, for simulations of capacity. A test turns it on
//! ([`MemoryTable::throttle_partitions`](super::MemoryTable::throttle_partitions)), and lets tokio's time pass.
//!
//! What is modelled:
//! - *Limits.* A partition of a table or of an index takes at most 1,000 write units and 3,000 read units a second, reads and
//!   writes apart (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html>).
//! - *Partitions.* Each partition key has a partition of its own, as adaptive capacity isolates a hot key after some time of load.
//! - *Admission.* A partition gathers the units of up to one second. A call is admitted if any are left, and then takes all that it
//!   costs, so the next calls wait until its debt is paid.
//! - *Indexes.* A write is refused if a partition of its entries in an index has no units left: the index pushes back on the table.
//! - *Batches.* The keys of a throttled partition are left unprocessed. The SDK repeats only a batch without any other key.
//! - *Transactions.* A transaction is canceled if one of its partitions has no units left. The SDK makes no other attempt.
//! - *Retries.* A refused call is made three times in all, as `shared/aws` configures the SDK for functions behind a queue, after a
//!   random part of 50 and of 100 ms.
//!
//! What is not modelled: a cold table, whose keys share partitions; partitions that are split within a partition key; the quota of a
//! whole table; the SDK's quota of retries; the two attempts of ingest and api.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

use super::usage::Billed;
use crate::table::query::Index;

/// The time whose units a partition gathers while it is not used.
const BURST: Duration = Duration::from_secs(1);

/// The attempts of a call that is throttled.
pub(super) const ATTEMPTS: u32 = 3;

/// What a call does to a partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Access {
    Read,
    Write,
}

/// A partition key of the table, or of an index.
pub(super) type Place<'p> = (Option<Index>, &'p str);

/// What a partition was asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Load {
    /// The index; `None` for the table itself.
    pub index: Option<Index>,
    /// The partition key.
    pub partition: String,
    /// Read units, counted in halves.
    pub half_reads: u64,
    /// Write units.
    pub writes: u64,
    /// The attempts that this partition refused.
    pub refused: u64,
}

/// The partitions of a table and its indexes.
#[derive(Default)]
pub(super) struct Throttle(BTreeMap<Option<Index>, HashMap<String, Partition>>);

#[derive(Default)]
struct Partition {
    load: Load,
    /// When the units that were taken will all be paid; `None` if none were taken.
    reads_paid_at: Option<Instant>,
    writes_paid_at: Option<Instant>,
}

impl Partition {
    fn paid_at(&mut self, access: Access) -> &mut Option<Instant> {
        match access {
            Access::Read => &mut self.reads_paid_at,
            Access::Write => &mut self.writes_paid_at,
        }
    }

    fn take(&mut self, access: Access, time: Duration) {
        let now = Instant::now();
        let paid_at = self.paid_at(access);
        *paid_at = Some(paid_at.map_or(now, |at| at.max(now)) + time);
    }
}

impl Throttle {
    /// Returns whether a partition has units left for this access. Counts a refusal.
    pub(super) fn admits(&mut self, access: Access, (index, partition): Place<'_>) -> bool {
        let partitions = self.0.get_mut(&index);
        let Some(partition) = partitions.and_then(|all| all.get_mut(partition)) else { return true };
        let is_open = partition.paid_at(access).is_none_or(|at| at < Instant::now() + BURST);
        partition.load.refused += u64::from(!is_open);
        is_open
    }

    /// Takes what was billed from its partitions.
    pub(super) fn take(&mut self, billed: &Billed) {
        let place = (billed.index, billed.key.pk.as_str());
        if billed.half_reads > 0 {
            let partition = self.partition(place);
            partition.load.half_reads += billed.half_reads;
            partition.take(Access::Read, Duration::from_secs(billed.half_reads) / 6_000);
        }
        let entries = billed.index_writes.iter();
        let of_entries = entries.map(|entry| ((Some(entry.index), entry.partition.as_str()), entry.units));
        for (place, units) in std::iter::once((place, billed.writes)).chain(of_entries) {
            if units > 0 {
                let partition = self.partition(place);
                partition.load.writes += units;
                partition.take(Access::Write, Duration::from_secs(units) / 1_000);
            }
        }
    }

    /// Returns what each partition was asked for.
    pub(super) fn loads(&self) -> Vec<Load> {
        self.0.values().flat_map(HashMap::values).map(|partition| partition.load.clone()).collect()
    }

    /// Counts from zero again.
    pub(super) fn reset_loads(&mut self) {
        for Partition { load, .. } in self.0.values_mut().flat_map(HashMap::values_mut) {
            (load.half_reads, load.writes, load.refused) = (0, 0, 0);
        }
    }

    fn partition(&mut self, (index, key): Place<'_>) -> &mut Partition {
        self.0.entry(index).or_default().entry(key.to_owned()).or_insert_with(|| Partition {
            load: Load { index, partition: key.to_owned(), ..Load::default() },
            ..Partition::default()
        })
    }
}

/// Returns how long the SDK waits before this attempt, counted from 2.
pub(super) fn backoff(attempt: u32) -> Duration {
    let longest = Duration::from_millis(50) * 2_u32.pow(attempt - 2);
    longest.mul_f64(rand::rng().random())
}
