//! `cargo dev load`: many clients post at once, and every post must be accepted.
//!
//! The number of clients rises from 0 to 100 in 90 s and stays there for two minutes. Each client posts one event with a
//! new `dedup_id`, waits for the answer and then one second.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::attach::run_on_stack;
use crate::client::ApiClient;
use crate::error::Error;
use crate::health;
use crate::latency::summarize;
use crate::options::Options;
use crate::output::say;

/// Clients at the end of the rise.
const CLIENTS: u32 = 100;

/// How long the number of clients rises.
const RISE: Duration = Duration::from_secs(90);

/// How long the whole run takes.
const DURATION: Duration = Duration::from_secs(90 + 120);

/// The pause of a client after each post.
const PAUSE: Duration = Duration::from_secs(1);

/// The pause between two lines of output.
const REPORT_INTERVAL: Duration = Duration::from_secs(15);

/// What the posts had as a result.
#[derive(Debug, Default)]
struct Results {
    times: Vec<Duration>,
    failures: BTreeMap<String, usize>,
}

/// Runs the load, and prints the result.
///
/// # Errors
/// Returns an error if one post is not accepted, or if the stack is not healthy afterwards.
pub fn run(options: &Options) -> Result<(), Error> {
    run_on_stack(options, |url| measure(url, RISE, DURATION))
}

fn measure(url: &str, rise: Duration, duration: Duration) -> Result<(), Error> {
    let api = ApiClient::sign_up(url, "Load")?;
    let (started_at, results) = (Instant::now(), Mutex::new(Results::default()));
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (results, key) = (&results, api.key.as_str());
            scope.spawn(move || {
                thread::sleep(begin(client, rise));
                let api = ApiClient::with_key(url, key);
                post_until(&api, client, started_at + duration, results);
            });
        }
        report_until(started_at, duration, &results);
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.print(started_at.elapsed());
    match (results.failures.is_empty(), health::find_problem(url)) {
        (_, Some(problem)) => Err(Error::Unexpected(health::describe(&problem))),
        (false, None) => Err(Error::Unexpected(format!("failed posts: {:?}", results.failures))),
        (true, None) => Ok(()),
    }
}

/// Returns when a client begins: one after the other, at equal distances.
fn begin(client: u32, rise: Duration) -> Duration {
    rise * client / CLIENTS
}

fn post_until(api: &ApiClient, client: u32, end: Instant, results: &Mutex<Results>) {
    let mut n = 0;
    while Instant::now() < end {
        n += 1;
        let event = json!({"type": "load", "dedup_id": format!("{client}-{n}"), "payload": {"n": n}});
        let posted_at = Instant::now();
        let result = api.post("/api/events", event.to_string());
        let time = posted_at.elapsed();
        results.lock().unwrap_or_else(PoisonError::into_inner).add(time, result.err());
        thread::sleep(PAUSE);
    }
}

fn report_until(started_at: Instant, duration: Duration, results: &Mutex<Results>) {
    while started_at.elapsed() < duration {
        thread::sleep(REPORT_INTERVAL.min(duration.saturating_sub(started_at.elapsed())));
        let (posts, failed) = results.lock().unwrap_or_else(PoisonError::into_inner).counts();
        say!("{:4} s  {posts} posts, {failed} failed", started_at.elapsed().as_secs());
    }
}

impl Results {
    fn add(&mut self, time: Duration, error: Option<Error>) {
        self.times.push(time);
        if let Some(error) = error {
            *self.failures.entry(error.to_string()).or_default() += 1;
        }
    }

    fn counts(&self) -> (usize, usize) {
        (self.times.len(), self.failures.values().sum())
    }

    fn print(&self, duration: Duration) {
        let (posts, failed) = self.counts();
        let rate = posts as u64 / duration.as_secs().max(1);
        say!("{posts} posts in {} s ({rate} per second), {failed} failed", duration.as_secs());
        say!("POST to 202   {}", summarize(self.times.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_begin_evenly_and_the_run_ends() {
        assert_eq!(begin(0, RISE), Duration::ZERO);
        assert_eq!(begin(CLIENTS / 2, RISE), RISE / 2);
        assert!(begin(CLIENTS - 1, RISE) < RISE);
        assert_eq!(DURATION, RISE + Duration::from_secs(120));
    }

    #[test]
    fn a_failed_post_is_counted() {
        let mut results = Results::default();
        results.add(Duration::from_millis(1), None);
        results.add(Duration::from_millis(2), Some(Error::Unexpected("502".to_owned())));
        assert_eq!(results.counts(), (2, 1));
    }
}
