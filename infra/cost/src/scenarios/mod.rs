//! The scenarios. Each warms the system up, and then measures.

pub mod delivering;
pub mod failing;
pub mod idle;
pub mod inbox;
pub mod many_tenants;
pub mod payload;
pub mod replaying;

use std::time::Duration;

use self::delivering::{Post, Stream};
use crate::clock::in_simulated_time;
use crate::measured::Measured;

/// A scenario.
pub struct Scenario {
    /// Its name in reports.
    pub name: &'static str,
    /// What happens in it.
    pub what: &'static str,
    kind: Kind,
}

enum Kind {
    Stream(Stream),
    Inbox,
    FailOnce,
    Parked,
    Replay,
    ManyTenants,
}

impl Scenario {
    /// Runs the scenario in simulated time.
    ///
    /// # Panics
    /// If a request is refused, or the runtime does not start.
    #[must_use]
    pub fn measure(&self) -> Measured {
        match self.kind {
            Kind::Stream(stream) => stream.measure(),
            Kind::Inbox => in_simulated_time(inbox::measure()),
            Kind::FailOnce => in_simulated_time(failing::measure_retry()),
            Kind::Parked => in_simulated_time(failing::measure_parked()),
            Kind::Replay => in_simulated_time(replaying::measure()),
            Kind::ManyTenants => in_simulated_time(many_tenants::measure()),
        }
    }
}

/// Returns all scenarios of events.
#[must_use]
pub fn all() -> Vec<Scenario> {
    let stream = |name, what, stream| Scenario { name, what, kind: Kind::Stream(stream) };
    let other = |name, what, kind| Scenario { name, what, kind };
    let full = Stream::FULL;
    let mixed = Stream::MIXED;
    vec![
        stream("full", "single posts of 1 KB; ten messages of one tenant in each SQS batch", full),
        stream("mixed", "the same; one message of each of ten tenants in each SQS batch", mixed),
        stream("sparse", "one post a minute, alone in its SQS batches", Stream::SPARSE),
        stream(
            "full, dedup_id",
            "`full` with a dedup_id for each event",
            Stream { post: Post::Named, ..full },
        ),
        stream(
            "full, batch 25",
            "`full`, posted in batches of 25",
            Stream { post: Post::Batch(25), posts: 1, ..full },
        ),
        stream(
            "mixed, batch 25",
            "`mixed`, posted in batches of 25",
            Stream { post: Post::Batch(25), rounds: 4, at_least: 1, ..mixed },
        ),
        stream(
            "full, batch 500",
            "one tenant posts batches of 500, above the rate of its endpoint (30 per second)",
            Stream {
                post: Post::Batch(500),
                posts: 1,
                rounds: 2,
                warm_rounds: 1,
                at_least: 1,
                pause: Duration::from_mins(1),
                ..full
            },
        ),
        stream("full, 20 KB", "`full` with payloads of 20 KB", Stream { payload_bytes: 20_000, ..full }),
        stream("mixed, 20 KB", "`mixed` with payloads of 20 KB", Stream { payload_bytes: 20_000, ..mixed }),
        other("inbox only", "no endpoint; leases of ten events, acknowledged together", Kind::Inbox),
        other(
            "fails once",
            "`full`; the first attempt of each event gets 500, the second 200",
            Kind::FailOnce,
        ),
        other("parked", "100 events are parked at an open circuit breaker, then sent", Kind::Parked),
        other("replay", "100 delivered events are replayed", Kind::Replay),
        other(
            "many tenants",
            "`mixed` from 100 tenants as if they were 10,000 with 1,000 events a second",
            Kind::ManyTenants,
        ),
    ]
}

/// Runs the scenario of this name.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn measure(name: &str) -> Measured {
    let found = all().into_iter().find(|scenario| scenario.name == name);
    found.unwrap_or_else(|| panic!("no scenario has the name {name}")).measure()
}
