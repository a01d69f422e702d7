//! Sends one event, with ureq. `URL` and `KEY` come from the environment.

use std::env;
use std::error::Error;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

const ATTEMPTS: u32 = 5;

// ANCHOR: send
/// Returns the id of the event. Repeats the request until it has an answer: with a `dedup_id` it is stored once.
fn send(event_type: &str, payload: &Value, dedup_id: &str) -> Result<String, Box<dyn Error>> {
    let (url, key) = (env::var("URL")? + "/api/events", env::var("KEY")?);
    let body = json!({"type": event_type, "payload": payload, "dedup_id": dedup_id}).to_string();
    let timeout = Some(Duration::from_secs(30));
    let agent: Agent =
        Agent::config_builder().http_status_as_error(false).timeout_global(timeout).build().into();
    let mut reason = String::new();
    for attempt in 1..=ATTEMPTS {
        let mut wait = 2_u64.pow(attempt);
        let request = agent.post(&url).header("X-API-Key", &key).header("Content-Type", "application/json");
        match request.send(&body) {
            Ok(mut response) => {
                let status = response.status().as_u16();
                let answer: Value = serde_json::from_str(&response.body_mut().read_to_string()?)?;
                if status == 202 || status == 409 {
                    return Ok(answer["id"].as_str().unwrap_or_default().to_owned()); // 409: accepted before
                }
                reason = format!("{status} {}", answer["detail"]);
                if status != 429 && status != 503 {
                    break; // a repeat would get the same answer
                }
                let retry_after = response.headers().get("retry-after");
                wait = retry_after.and_then(|seconds| seconds.to_str().ok()?.parse().ok()).unwrap_or(wait);
            }
            Err(error) => reason = error.to_string(), // no answer: it may be accepted or not
        }
        if attempt < ATTEMPTS {
            thread::sleep(Duration::from_secs(wait));
        }
    }
    Err(reason.into())
}
// ANCHOR_END: send

fn main() -> Result<(), Box<dyn Error>> {
    let name = env::args().nth(1).unwrap_or_else(|| "order-1042".to_owned());
    let id = send("order.created", &json!({"order": "A-1042", "total": 79.9}), &name)?;
    println!("accepted {id}");
    Ok(())
}
