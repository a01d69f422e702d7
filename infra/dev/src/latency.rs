//! `cargo dev latency`: how long an event takes from its 202 to the receiver, on this machine.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::Caller;
use crate::error::Error;
use crate::receiver;
use crate::stack::Options;
use crate::visit::visit;

/// Events before the measured ones: each process answers a few until it is warm.
const WARM_UP: usize = 20;

/// Measured events, one after the other.
const EVENTS: usize = 200;

/// How long one event may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Posts events one after the other and prints how long each part of their way took.
///
/// # Errors
/// When an event does not arrive.
pub fn run(options: &Options) -> Result<(), Error> {
    visit(options, measure)
}

fn measure(url: &str) -> Result<(), Error> {
    let caller = Caller::sign_up(url, "Latency")?;
    let (webhook, requests) = receiver::listen()?;
    caller.post("/api/webhook/config", json!({"webhook_url": webhook}).to_string())?;
    let (mut accepting, mut delivering) = (Vec::new(), Vec::new());
    for n in 0..WARM_UP + EVENTS {
        let posted = Instant::now();
        let answer = caller.post("/api/events", json!({"type": "latency", "payload": n}).to_string())?;
        let accepted = Instant::now();
        let arrived = requests.recv_timeout(PATIENCE);
        let arrived =
            arrived.map_err(|_| Error::Demo(format!("no webhook for {} within 15 s", answer["id"])))?;
        if n >= WARM_UP {
            accepting.push(accepted - posted);
            delivering.push(arrived.arrived.saturating_duration_since(accepted));
        }
    }
    println!("{EVENTS} events, one after the other:");
    println!("POST to 202       {}", spread(accepting));
    println!("202 to receiver   {}", spread(delivering));
    Ok(())
}

/// Median, 99th percentile and maximum.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    format!("p50 {:.1} ms   p99 {:.1} ms   max {:.1} ms", at(50), at(99), at(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_names_median_and_tail() {
        let times = (1..=101).rev().map(Duration::from_millis).collect();
        assert_eq!(spread(times), "p50 51.0 ms   p99 100.0 ms   max 101.0 ms");
    }
}
