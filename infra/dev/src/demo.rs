//! `cargo dev demo`: the whole story in under thirty lines.

use std::fs;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Caller;
use crate::environment;
use crate::error::{Doing as _, Error};
use crate::receiver::{self, Request};
use crate::stack::Options;
use crate::visit::visit;

/// How long each step may take; a second is usual.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often the inbox is looked at.
const TICK: Duration = Duration::from_millis(50);

/// Tells the story on the stack that runs, or on one of its own that it ends afterwards.
///
/// # Errors
/// When a step does not do what it promises.
pub fn run(options: &Options) -> Result<(), Error> {
    visit(options, tell)
}

fn tell(url: &str) -> Result<(), Error> {
    println!("1. A new tenant gets its API key.");
    let caller = Caller::sign_up(url, "Demo")?;

    println!("2. It posts an event that nobody has asked for yet. 202 Accepted means: durable.");
    let first = json!({"type": "customer.created", "payload": {"name": "Ada"}});
    let first = post_event(&caller, first.to_string().as_bytes())?;

    println!("3. So the event waits in the inbox.");
    let inbox = wait_for_inbox(&caller, &[&first])?;
    show_inbox(&inbox);

    let (webhook, requests) = receiver::listen()?;
    println!("4. It configures a webhook: {webhook}");
    let body = json!({"webhook_url": webhook}).to_string();
    let secret = text(&caller.post("/api/webhook/config", body)?, "secret");

    println!("5. It posts events/sample-order.json.");
    let sample = environment::root().join("events/sample-order.json");
    let sample = fs::read(&sample).doing(|| format!("read {}", sample.display()))?;
    let posted = Instant::now();
    let second = post_event(&caller, &sample)?;

    let request = wait_for_request(&requests)?;
    println!("6. {} ms later the webhook has it:", posted.elapsed().as_millis());
    show_request(&request);
    check_request(&request, &second, &sample, &secret)?;
    println!(
        "   The signature is right for exactly these bytes; id and payload are those of the event posted."
    );

    println!("7. The inbox still holds the first event, and not the second: that one is delivered.");
    show_inbox(&wait_for_inbox(&caller, &[&first])?);

    println!("8. A worker leases it for a minute: nobody else gets it meanwhile.");
    let leased = lease(&caller)?;
    if lease(&caller)?["results"] != json!([]) {
        return Err(Error::Demo("another worker got the same event".to_owned()));
    }

    println!("9. The worker acknowledges what it leased, and the inbox is empty.");
    let lease_id = json!({"lease_id": leased["lease_id"]}).to_string();
    println!("   {}", caller.post("/api/inbox/ack", lease_id)?);
    wait_for_inbox(&caller, &[])?;
    Ok(())
}

fn lease(caller: &Caller) -> Result<Value, Error> {
    let answer = caller.post("/api/inbox/lease", json!({"lease_seconds": 60}).to_string())?;
    println!("   {}  {} events", answer["lease_id"], answer["results"].as_array().map_or(0, Vec::len));
    Ok(answer)
}

fn post_event(caller: &Caller, event: &[u8]) -> Result<String, Error> {
    let answer = caller.post("/api/events", event)?;
    println!("   {answer}");
    Ok(text(&answer, "id"))
}

/// Polls until the ids in the inbox are as expected; an event is there about a second after its 202.
fn wait_for_inbox(caller: &Caller, expected: &[&str]) -> Result<Vec<Value>, Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut answer = caller.get("/api/inbox")?;
        let Value::Array(events) = answer["events"].take() else {
            return Err(Error::Demo(format!("the inbox answered {answer}")));
        };
        let ids: Vec<&str> = events.iter().filter_map(|event| event["id"].as_str()).collect();
        if ids == expected {
            return Ok(events);
        }
        if Instant::now() >= deadline {
            return Err(Error::Demo(format!("the inbox holds {ids:?} after 15 s")));
        }
        thread::sleep(TICK);
    }
}

fn wait_for_request(requests: &Receiver<Request>) -> Result<Request, Error> {
    requests.recv_timeout(PATIENCE).map_err(|_| Error::Demo("no webhook arrived within 15 s".to_owned()))
}

fn check_request(request: &Request, id: &str, sample: &[u8], secret: &str) -> Result<(), Error> {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let sample: Value = serde_json::from_slice(sample).unwrap_or_default();
    if request.header("webhook-id") != id || body["id"] != id {
        return Err(Error::Demo(format!("the webhook's id is not {id}")));
    }
    if body["payload"] != sample["payload"] {
        return Err(Error::Demo(format!("the webhook's payload is {}", body["payload"])));
    }
    if !request.is_signed_with(secret) {
        return Err(Error::Demo("the webhook's signature is wrong".to_owned()));
    }
    Ok(())
}

fn show_request(request: &Request) {
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        println!("   {name}: {}", request.header(name));
    }
    println!("   {}", String::from_utf8_lossy(&request.body));
}

fn show_inbox(events: &[Value]) {
    for event in events {
        println!(
            "   {}  {}  {}  {}",
            text(event, "id"),
            text(event, "type"),
            text(event, "status"),
            event["payload"]
        );
    }
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}
