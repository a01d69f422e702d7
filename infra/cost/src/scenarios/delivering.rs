//! Events that are delivered at the first attempt.

use std::time::Duration;

use tokio::time::sleep;

use super::payload::payload;
use crate::clock::in_simulated_time;
use crate::measured::{Measured, Measurement};
use crate::ports::queue::BATCH_SIZE;
use crate::system::System;

/// How events are posted.
#[derive(Clone, Copy, Debug)]
pub enum Post {
    /// One in each request.
    Single,
    /// One in each request, with a `dedup_id`.
    Named,
    /// This many in each request.
    Batch(u64),
}

/// A stream of events, in rounds.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// The tenants. Each has one endpoint.
    pub tenants: usize,
    /// How they post.
    pub post: Post,
    /// The posts of each tenant in a round.
    pub posts: u64,
    /// About the bytes of a payload.
    pub payload_bytes: usize,
    /// The rounds of the warm-up.
    pub warm_rounds: u64,
    /// The rounds that are measured.
    pub rounds: u64,
    /// The time between two rounds.
    pub pause: Duration,
    /// The number of messages that a queue collects before they are handled.
    pub at_least: usize,
}

impl Stream {
    /// Ten messages of one tenant in each SQS batch.
    pub const FULL: Self = Self {
        tenants: 1,
        post: Post::Single,
        posts: 10,
        payload_bytes: 1_000,
        warm_rounds: 4,
        rounds: 12,
        pause: Duration::from_secs(1),
        at_least: BATCH_SIZE,
    };
    /// One message of each of ten tenants in each SQS batch.
    pub const MIXED: Self = Self { tenants: 10, posts: 1, ..Self::FULL };
    /// Each message is alone in its SQS batch, and its tenant has no other in that minute.
    pub const SPARSE: Self = Self {
        posts: 1,
        rounds: 30,
        warm_rounds: 5,
        pause: Duration::from_mins(1),
        at_least: 1,
        ..Self::FULL
    };

    /// Runs the stream in simulated time.
    ///
    /// # Panics
    /// If a request is refused, or the runtime does not start.
    #[must_use]
    pub fn measure(self) -> Measured {
        in_simulated_time(measure(self))
    }

    /// Returns the events of this many rounds.
    fn events(&self, rounds: u64) -> u64 {
        let of_post = if let Post::Batch(size) = self.post { size } else { 1 };
        rounds * self.posts * of_post * self.tenants as u64
    }
}

/// Measures a stream.
pub(super) async fn measure(stream: Stream) -> Measured {
    let system = System::start(stream.tenants, 1);
    run(&system, stream, 0..stream.warm_rounds).await;
    let measurement = Measurement::begin(&system);
    run(&system, stream, stream.warm_rounds..stream.warm_rounds + stream.rounds).await;
    measurement.end(&system, stream.events(stream.rounds))
}

/// Posts the events of some rounds, and handles them.
pub(super) async fn run(system: &System, stream: Stream, rounds: impl Iterator<Item = u64>) {
    for round in rounds {
        for post in 0..stream.posts {
            for client in 0..stream.tenants {
                let number = (round * stream.posts + post) * stream.tenants as u64 + client as u64;
                post_one(system, stream, client, number).await;
            }
        }
        system.handle_batches(stream.at_least).await;
        if stream.at_least < BATCH_SIZE {
            system.run_until_quiet().await;
        }
        sleep(stream.pause).await;
    }
    system.run_until_quiet().await;
}

async fn post_one(system: &System, stream: Stream, client: usize, number: u64) {
    let event = |number, name: &str| {
        let payload = payload(number, stream.payload_bytes);
        format!(r#"{{"type":"order.created","payload":{payload}{name}}}"#)
    };
    match stream.post {
        Post::Single => system.post(client, "/api/events", &event(number, "")).await,
        Post::Named => {
            let name = format!(r#","dedup_id":"order-{number:012}""#);
            system.post(client, "/api/events", &event(number, &name)).await;
        }
        Post::Batch(size) => {
            let events: Vec<String> = (0..size).map(|place| event(number * size + place, "")).collect();
            let body = format!(r#"{{"events":[{}]}}"#, events.join(","));
            system.post(client, "/api/events/batch", &body).await;
        }
    }
}
