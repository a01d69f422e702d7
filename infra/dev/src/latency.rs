//! `cargo dev latency`: measures how long an event takes from its 202 to the receiver, on this
//! machine.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::attach::run_on_stack;
use crate::client::ApiClient;
use crate::error::Error;
use crate::options::Options;
use crate::output::say;
use crate::receiver;

/// Events that are not measured. They warm up every process.
const WARM_UP: usize = 20;

/// Measured events. Each one is posted after the previous one arrived.
const EVENTS: usize = 200;

/// How long one event may take.
const EVENT_TIMEOUT: Duration = Duration::from_secs(15);

/// Posts events one by one, and prints how long the 202 and the delivery took.
///
/// # Errors
/// Returns an error if an event does not arrive.
pub fn run(options: &Options) -> Result<(), Error> {
    run_on_stack(options, measure)
}

fn measure(url: &str) -> Result<(), Error> {
    let api = ApiClient::sign_up(url, "Latency")?;
    let (webhook, requests) = receiver::listen()?;
    api.post("/api/webhook/config", json!({"webhook_url": webhook}).to_string())?;
    let mut accept_times = Vec::new();
    let mut delivery_times = Vec::new();
    for n in 0..WARM_UP + EVENTS {
        let posted_at = Instant::now();
        let response = api.post("/api/events", json!({"type": "latency", "payload": n}).to_string())?;
        let accepted_at = Instant::now();
        let missing = |_| Error::Unexpected(format!("no webhook for {} within 15 s", response["id"]));
        let request = requests.recv_timeout(EVENT_TIMEOUT).map_err(missing)?;
        if n >= WARM_UP {
            accept_times.push(accepted_at - posted_at);
            delivery_times.push(request.received_at.saturating_duration_since(accepted_at));
        }
    }
    say!("{EVENTS} events, one after the other:");
    say!("POST to 202       {}", summarize(accept_times));
    say!("202 to receiver   {}", summarize(delivery_times));
    Ok(())
}

/// Returns the median, the 99th percentile and the maximum as text.
pub(crate) fn summarize(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let percentile = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    format!("p50 {:.1} ms   p99 {:.1} ms   max {:.1} ms", percentile(50), percentile(99), percentile(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_shows_median_99th_percentile_and_maximum() {
        let times = (1..=101).rev().map(Duration::from_millis).collect();
        assert_eq!(summarize(times), "p50 51.0 ms   p99 100.0 ms   max 101.0 ms");
    }
}
