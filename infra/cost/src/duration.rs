//! The model of billed milliseconds: the time that an invocation waits for its calls ([`crate::latency`]), and the time that
//! its own work takes on its share of a CPU.
//!
//! Lambda gives a whole CPU at 1,769 MB and less in proportion (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>).
//! The work is an assumption: signing, TLS and JSON of a call to AWS take 0.25 ms of a CPU, a webhook 1 ms (mostly the TLS
//! handshake), everything else of an invocation 0.5 ms. Work and waiting are added, as if they never overlapped. Cold
//! starts are left out.

use crate::recorded::Invocation;

/// The memory with which a function has one CPU, in MB.
const MB_OF_ONE_CPU: u64 = 1769;

const MICROS_PER_CALL: u64 = 250;
const MICROS_PER_WEBHOOK: u64 = 1_000;
const MICROS_PER_INVOCATION: u64 = 500;

/// Returns the billed milliseconds of an invocation with this memory. A millisecond begun is billed.
#[must_use]
pub fn billed_ms(invocation: &Invocation, memory_mb: u64) -> u64 {
    let webhooks = invocation.webhooks.len() as u64;
    let work = MICROS_PER_INVOCATION + MICROS_PER_CALL * invocation.calls() + MICROS_PER_WEBHOOK * webhooks;
    let waited = u64::try_from(invocation.waited.as_micros()).unwrap_or(u64::MAX);
    let micros = waited + work * MB_OF_ONE_CPU / memory_mb.clamp(1, MB_OF_ONE_CPU);
    micros.div_ceil(1_000)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn less_memory_makes_the_work_longer_and_not_the_waiting() {
        let invocation =
            Invocation { waited: Duration::from_millis(100), queue_calls: 2, ..Invocation::default() };
        assert_eq!([1769, 256, 3000].map(|memory| billed_ms(&invocation, memory)), [101, 107, 101]);
    }
}
