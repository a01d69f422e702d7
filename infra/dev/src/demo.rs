//! `cargo dev demo`: runs one example of every main feature, in under thirty lines of output.

use std::fs;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::attach::run_on_stack;
use crate::client::ApiClient;
use crate::environment;
use crate::error::{Error, IoContext as _};
use crate::options::Options;
use crate::output::say;
use crate::receiver::{self, Request};

/// How long each step may take. A step usually takes 1 s.
const STEP_TIMEOUT: Duration = Duration::from_secs(15);

/// The pause between two reads of the inbox.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Runs the demo on the running stack. If no stack runs, starts one and stops it afterwards.
///
/// # Errors
/// Returns an error if a step has an unexpected result.
pub fn run(options: &Options) -> Result<(), Error> {
    run_on_stack(options, run_steps)
}

fn run_steps(url: &str) -> Result<(), Error> {
    say!("1. Create a tenant and get its API key.");
    let api = ApiClient::sign_up(url, "Demo")?;
    let pending_id = keep_event_in_inbox(&api)?;
    deliver_event(&api)?;
    say!(
        "7. Read the inbox: the first event is still pending. The second event is delivered, so it is gone."
    );
    print_inbox(&wait_for_inbox(&api, &[&pending_id])?);
    lease_and_acknowledge(&api)
}

/// Steps 2 and 3: posts an event that matches no endpoint. Returns its id.
fn keep_event_in_inbox(api: &ApiClient) -> Result<String, Error> {
    say!("2. Post an event that matches no endpoint. 202 Accepted means that it is stored durably.");
    let event = json!({"type": "customer.created", "payload": {"name": "Ada"}});
    let id = post_event(api, event.to_string().as_bytes())?;

    say!("3. Read the inbox: the event is pending.");
    print_inbox(&wait_for_inbox(api, &[&id])?);
    Ok(id)
}

/// Steps 4 to 6: configures a webhook, posts an event and checks the request that the webhook gets.
fn deliver_event(api: &ApiClient) -> Result<(), Error> {
    let (webhook, requests) = receiver::listen()?;
    say!("4. Configure a webhook: {webhook}");
    let config = json!({"webhook_url": webhook}).to_string();
    let secret = get_text(&api.post("/api/webhook/config", config)?, "secret");

    say!("5. Post events/sample-order.json.");
    let path = environment::root().join("events/sample-order.json");
    let sample = fs::read(&path).context(|| format!("read {}", path.display()))?;
    let posted_at = Instant::now();
    let id = post_event(api, &sample)?;

    let request = wait_for_request(&requests)?;
    say!("6. The webhook receives the event after {} ms:", posted_at.elapsed().as_millis());
    print_request(&request);
    check_request(&request, &id, &sample, &secret)?;
    say!("   The signature is right for exactly these bytes. The id and the payload are those of the event.");
    Ok(())
}

/// Steps 8 and 9: leases the pending event and acknowledges it.
fn lease_and_acknowledge(api: &ApiClient) -> Result<(), Error> {
    say!("8. Lease the pending event for 60 s. A second lease request gets no events.");
    let first_lease = lease(api)?;
    let second_lease = lease(api)?;
    if second_lease["results"] != json!([]) {
        return Err(Error::Unexpected("two leases hold the same event".to_owned()));
    }

    say!("9. Acknowledge the lease. The inbox is empty.");
    let body = json!({"lease_id": first_lease["lease_id"]}).to_string();
    say!("   {}", api.post("/api/inbox/ack", body)?);
    wait_for_inbox(api, &[])?;
    Ok(())
}

fn lease(api: &ApiClient) -> Result<Value, Error> {
    let response = api.post("/api/inbox/lease", json!({"lease_seconds": 60}).to_string())?;
    say!("   {}  {} events", response["lease_id"], response["results"].as_array().map_or(0, Vec::len));
    Ok(response)
}

fn post_event(api: &ApiClient, event: &[u8]) -> Result<String, Error> {
    let response = api.post("/api/events", event)?;
    say!("   {response}");
    Ok(get_text(&response, "id"))
}

/// Polls until the inbox holds exactly the events `expected`. An event appears about 1 s after its
/// 202.
fn wait_for_inbox(api: &ApiClient, expected: &[&str]) -> Result<Vec<Value>, Error> {
    let deadline = Instant::now() + STEP_TIMEOUT;
    loop {
        let mut response = api.get("/api/inbox")?;
        let Value::Array(events) = response["events"].take() else {
            return Err(Error::Unexpected(format!("GET /api/inbox returned no list of events: {response}")));
        };
        let ids: Vec<&str> = events.iter().filter_map(|event| event["id"].as_str()).collect();
        if ids == expected {
            return Ok(events);
        }
        if Instant::now() >= deadline {
            let message = format!("after 15 s the inbox holds the events {ids:?}, not {expected:?}");
            return Err(Error::Unexpected(message));
        }
        thread::sleep(POLL_INTERVAL);
    }
}

fn wait_for_request(requests: &Receiver<Request>) -> Result<Request, Error> {
    let missing = |_| Error::Unexpected("the webhook received no request within 15 s".to_owned());
    requests.recv_timeout(STEP_TIMEOUT).map_err(missing)
}

fn check_request(request: &Request, id: &str, sample: &[u8], secret: &str) -> Result<(), Error> {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let event: Value = serde_json::from_slice(sample).unwrap_or_default();
    if request.header("webhook-id") != id || body["id"] != id {
        return Err(Error::Unexpected(format!("the webhook-id or the id in the body is not {id}")));
    }
    if body["payload"] != event["payload"] {
        return Err(Error::Unexpected(format!("the webhook has another payload: {}", body["payload"])));
    }
    let wrong = |error| Error::Unexpected(format!("the webhook does not verify: {error}"));
    request.verify(secret).map_err(wrong)
}

fn print_request(request: &Request) {
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        say!("   {name}: {}", request.header(name));
    }
    say!("   {}", String::from_utf8_lossy(&request.body));
}

fn print_inbox(events: &[Value]) {
    for event in events {
        say!(
            "   {}  {}  {}  {}",
            get_text(event, "id"),
            get_text(event, "type"),
            get_text(event, "status"),
            event["payload"]
        );
    }
}

fn get_text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}
