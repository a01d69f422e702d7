//! What counts cost, by service.

use crate::counts::Counts;
use crate::prices::{
    self, BYTE_OUT, FAIR_SEND, GB_SECOND, HALF_READ_UNIT, INVOCATION, KEPT_LOG_BYTE, KMS_REQUEST, LOG_BYTE,
    Picodollars, QUEUE_REQUEST, RECOVERABLE_BYTE, REQUEST, STORED_BYTE, WRITE_UNIT,
};
use crate::recorded::Function;
use crate::template;

/// The milliseconds and MB of a GB-second.
const MB_MS_OF_A_GB_SECOND: Picodollars = 1024 * 1000;

/// The cost of some events, by service.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Bill {
    /// Requests through API Gateway.
    pub api_gateway: Picodollars,
    /// Invocations, and the milliseconds of the model.
    pub lambda: Picodollars,
    /// Read and write units.
    pub dynamodb: Picodollars,
    /// Requests to SQS.
    pub sqs: Picodollars,
    /// Requests to KMS.
    pub kms: Picodollars,
    /// Logs, ingested and kept for 30 days. Not the metrics: their price does not depend on the number of events.
    pub logs: Picodollars,
    /// What the events leave in the table `Events` for 30 days, with point-in-time recovery.
    pub storage: Picodollars,
    /// Bytes to the internet.
    pub transfer: Picodollars,
}

impl Bill {
    /// Returns the bill of these counts, and of the bytes that stay in the table `Events`.
    #[must_use]
    pub fn of(counts: &Counts, stored_bytes: u64) -> Self {
        let queue = counts.queue;
        let invocations = counts.invocations.values().sum();
        let log_bytes = counts.log_bytes + counts.access_log_bytes;
        let per_stored_byte = STORED_BYTE.picodollars + RECOVERABLE_BYTE.picodollars;
        Self {
            api_gateway: REQUEST.of(counts.requests),
            lambda: INVOCATION.of(invocations) + duration(counts),
            dynamodb: WRITE_UNIT.of(counts.all_writes()) + HALF_READ_UNIT.of(counts.all_half_reads()),
            sqs: QUEUE_REQUEST.of(queue.all()) + FAIR_SEND.of(queue.sends),
            kms: KMS_REQUEST.of(counts.decrypts + counts.generates),
            logs: LOG_BYTE.of(log_bytes) + KEPT_LOG_BYTE.of(log_bytes),
            storage: per_stored_byte * Picodollars::from(stored_bytes),
            transfer: BYTE_OUT.of(counts.bytes_out),
        }
    }

    /// Returns the bill of one event, times a million.
    #[must_use]
    pub fn per_million(&self, events: u64) -> Self {
        let scale = |amount: Picodollars| amount * 1_000_000 / Picodollars::from(events.max(1));
        Self {
            api_gateway: scale(self.api_gateway),
            lambda: scale(self.lambda),
            dynamodb: scale(self.dynamodb),
            sqs: scale(self.sqs),
            kms: scale(self.kms),
            logs: scale(self.logs),
            storage: scale(self.storage),
            transfer: scale(self.transfer),
        }
    }

    /// Returns the amounts by service, in the order of reports.
    #[must_use]
    pub const fn by_service(&self) -> [(&'static str, Picodollars); 8] {
        [
            ("api_gateway", self.api_gateway),
            ("lambda", self.lambda),
            ("dynamodb", self.dynamodb),
            ("sqs", self.sqs),
            ("kms", self.kms),
            ("logs", self.logs),
            ("storage", self.storage),
            ("transfer", self.transfer),
        ]
    }

    /// Returns what handling the events costs: all but storage and transfer.
    #[must_use]
    pub const fn handling(&self) -> Picodollars {
        self.api_gateway + self.lambda + self.dynamodb + self.sqs + self.kms + self.logs
    }

    /// Returns the whole bill.
    #[must_use]
    pub const fn total(&self) -> Picodollars {
        self.handling() + self.storage + self.transfer
    }
}

fn duration(counts: &Counts) -> Picodollars {
    let of_function = |(function, ms): (&Function, &u64)| {
        let mb_ms = template::memory_mb(*function) * ms;
        GB_SECOND.of(mb_ms) / MB_MS_OF_A_GB_SECOND
    };
    counts.billed_ms.iter().map(of_function).sum()
}

/// Returns an amount in dollars, with two decimals.
#[must_use]
pub fn cents(amount: Picodollars) -> String {
    prices::dollars(amount, 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::QueueRequests;

    #[test]
    fn a_million_requests_cost_their_list_price() {
        let queue = QueueRequests { sends: 1_000_000, receives: 1_000_000, ..QueueRequests::default() };
        let counts = Counts {
            requests: 1_000_000,
            invocations: [(Function::Ingest, 1_000_000)].into(),
            billed_ms: [(Function::Ingest, 4_000_000)].into(),
            queue,
            decrypts: 10_000,
            ..Counts::default()
        };
        let bill = Bill::of(&counts, 1_000_000_000);
        assert_eq!(cents(bill.api_gateway), "3.50");
        assert_eq!(prices::dollars(bill.lambda, 4), "0.2133", "0.20, and 1,000 GB-seconds at 256 MB");
        assert_eq!(cents(bill.sqs), "0.90");
        assert_eq!(cents(bill.kms), "0.03");
        assert_eq!(cents(bill.storage), "0.45");
        assert_eq!(bill.per_million(1_000_000), bill);
    }
}
