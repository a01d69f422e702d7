//! What is billed for some invocations, added up.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use store::testing::table::usage::Operation;

use crate::duration::billed_ms;
use crate::item_kind::kind_of;
use crate::recorded::{Function, Invocation};
use crate::template;

/// The bytes that SQS bills as one request.
const QUEUE_REQUEST_BYTES: usize = 64 * 1024;

/// The requests to SQS, in chunks of 64 KB.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct QueueRequests {
    /// Those that send, all with a message group.
    pub sends: u64,
    /// Those of Lambda that receive: one for each invocation.
    pub receives: u64,
    /// Those of Lambda that delete: one for each invocation that did not fail as a whole.
    pub deletes: u64,
    /// All others.
    pub others: u64,
}

impl QueueRequests {
    /// Returns the number of all requests.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.sends + self.receives + self.deletes + self.others
    }
}

/// A kind of items that a function reads or writes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Use {
    /// The function.
    pub function: Function,
    /// The table or the index.
    pub place: &'static str,
    /// The kind of the items.
    pub kind: &'static str,
    /// The call.
    pub operation: Operation,
}

/// Units of one use.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Units {
    /// Write units.
    pub writes: u64,
    /// Read units, counted in halves.
    pub half_reads: u64,
}

/// Everything that is billed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// The invocations of each function.
    pub invocations: BTreeMap<Function, u64>,
    /// The milliseconds of the model, for each function.
    pub billed_ms: BTreeMap<Function, u64>,
    /// The requests through API Gateway.
    pub requests: u64,
    /// The calls of each table.
    pub table_calls: BTreeMap<&'static str, u64>,
    /// The units, by use.
    pub uses: BTreeMap<Use, Units>,
    /// The requests to SQS.
    pub queue: QueueRequests,
    /// The calls of `Decrypt`.
    pub decrypts: u64,
    /// The calls of `GenerateDataKey`.
    pub generates: u64,
    /// The webhooks.
    pub webhooks: u64,
    /// The bytes to the internet: webhooks and answers.
    pub bytes_out: u64,
    /// The bytes of the log lines of the functions.
    pub log_bytes: u64,
    /// The bytes of the access log.
    pub access_log_bytes: u64,
    /// The custom metrics, by function and name. Each is billed for the hours in which it has a value.
    pub metrics: BTreeSet<(Function, String)>,
}

impl Counts {
    /// Adds up invocations.
    #[must_use]
    pub fn of(invocations: &[Invocation]) -> Self {
        let mut counts = Self::default();
        for invocation in invocations {
            if let Some(function) = invocation.function {
                counts.add(function, invocation);
            }
        }
        counts
    }

    /// Returns the write units of each table and of each index.
    #[must_use]
    pub fn writes(&self) -> BTreeMap<&'static str, u64> {
        self.by_place(|units| units.writes)
    }

    /// Returns the read units of each table and of each index, counted in halves.
    #[must_use]
    pub fn half_reads(&self) -> BTreeMap<&'static str, u64> {
        self.by_place(|units| units.half_reads)
    }

    /// Returns all write units.
    #[must_use]
    pub fn all_writes(&self) -> u64 {
        self.writes().values().sum()
    }

    /// Returns all read units, counted in halves.
    #[must_use]
    pub fn all_half_reads(&self) -> u64 {
        self.half_reads().values().sum()
    }

    fn by_place(&self, of: impl Fn(&Units) -> u64) -> BTreeMap<&'static str, u64> {
        let mut places = BTreeMap::new();
        for (one, units) in &self.uses {
            *places.entry(one.place).or_default() += of(units);
        }
        places.retain(|_, units| *units > 0);
        places
    }

    fn add(&mut self, function: Function, invocation: &Invocation) {
        *self.invocations.entry(function).or_default() += 1;
        let ms = billed_ms(invocation, template::memory_mb(function));
        *self.billed_ms.entry(function).or_default() += ms;
        for ((table, _), calls) in &invocation.table_calls {
            *self.table_calls.entry(table).or_default() += calls;
        }
        self.add_units(function, invocation);
        self.add_queue_requests(invocation);
        self.decrypts += invocation.decrypts;
        self.generates += invocation.generates;
        self.webhooks += invocation.webhooks.len() as u64;
        self.bytes_out += invocation.webhooks.iter().sum::<usize>() as u64;
        if let Some(bytes) = invocation.answer_bytes {
            self.requests += 1;
            self.bytes_out += bytes as u64;
            self.access_log_bytes += template::access_log_bytes();
        }
        for line in &invocation.lines {
            self.log_bytes += line.len() as u64;
            self.metrics.extend(metrics_of(line).into_iter().map(|name| (function, name)));
        }
    }

    fn add_units(&mut self, function: Function, invocation: &Invocation) {
        for (table, billed) in &invocation.billed {
            let kind = kind_of(table, &billed.key);
            let mut add = |place, units: Units| {
                let one = Use { function, place, kind, operation: billed.operation };
                let sum = self.uses.entry(one).or_default();
                sum.writes += units.writes;
                sum.half_reads += units.half_reads;
            };
            let place = billed.index.map_or(*table, |index| index.name());
            add(place, Units { writes: billed.writes, half_reads: billed.half_reads });
            for entry in &billed.index_writes {
                add(entry.index.name(), Units { writes: entry.units, half_reads: 0 });
            }
        }
    }

    fn add_queue_requests(&mut self, invocation: &Invocation) {
        self.queue.sends += invocation.sends.iter().map(|bytes| queue_requests(*bytes)).sum::<u64>();
        self.queue.others += invocation.queue_calls;
        if let Some(received) = &invocation.received {
            self.queue.receives += queue_requests(received.bytes);
            self.queue.deletes += u64::from(received.deleted > 0);
        }
    }
}

/// Returns the requests that SQS bills for a call with this many bytes.
fn queue_requests(bytes: usize) -> u64 {
    bytes.div_ceil(QUEUE_REQUEST_BYTES).max(1) as u64
}

/// Returns the names of the metrics that CloudWatch reads from a line.
fn metrics_of(line: &str) -> Vec<String> {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array();
    let names = metrics.into_iter().flatten().filter_map(|metric| metric["Name"].as_str());
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded::Received;

    #[test]
    fn sqs_bills_each_64_kb_begun_as_a_request() {
        assert_eq!([0, 1, 65_536, 65_537, 262_144].map(queue_requests), [1, 1, 1, 2, 4]);
    }

    #[test]
    fn a_batch_costs_one_receive_and_one_delete_unless_all_of_it_failed() {
        let received = |deleted| Some(Received { bytes: 100_000, deleted });
        let of = |deleted| Invocation {
            function: Some(Function::Consumer),
            received: received(deleted),
            sends: vec![10, 70_000],
            ..Invocation::default()
        };
        let counts = Counts::of(&[of(10), of(0)]);
        assert_eq!(counts.queue, QueueRequests { sends: 6, receives: 4, deletes: 1, others: 0 });
        assert_eq!(counts.invocations, [(Function::Consumer, 2)].into());
    }
}
