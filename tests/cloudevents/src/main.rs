//! Sends events with the CloudEvents SDK for Rust in each of its modes, sends them again, and reads each back with the SDK.
//! `URL` and `KEY` come from the environment. Fails at the first surprise.

use std::env;
use std::error::Error;
use std::time::Duration;

use cloudevents::binding::reqwest::{RequestBuilderExt, RequestSerializer};
use cloudevents::message::StructuredDeserializer;
use cloudevents::{AttributesReader, Event, EventBuilder, EventBuilderV10};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The number of times that an event is asked for, until it is stored.
const PATIENCE: usize = 300;

const XML: &str = "<order/>";
const XML_IN_BASE64: &str = "PG9yZGVyLz4=";

struct Api {
    client: Client,
    url: String,
    key: String,
}

impl Api {
    fn from_env() -> Outcome<Self> {
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        Ok(Self { client, url: env::var("URL")?, key: env::var("KEY")? })
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url)).header("x-api-key", &self.key)
    }

    /// Reads an event back, as the SDK reads the stored JSON.
    async fn read(&self, id: &str) -> Outcome<Event> {
        for _ in 0..PATIENCE {
            let request = self.client.get(format!("{}/api/events/{id}", self.url));
            let answer = request.header("x-api-key", &self.key).send().await?;
            if answer.status() == StatusCode::OK {
                let stored: Value = answer.json().await?;
                return Ok(serde_json::from_value(stored["payload"].clone())?);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(format!("{id} is not stored").into())
    }
}

/// How an event is sent.
#[derive(Clone, Copy, Debug)]
enum Mode {
    Binary,
    Structured,
}

impl Mode {
    fn request(self, event: Event, request: RequestBuilder) -> Outcome<RequestBuilder> {
        Ok(match self {
            Self::Binary => request.event(event)?,
            Self::Structured => event.deserialize_structured(RequestSerializer::new(request))?,
        })
    }
}

/// Returns events with all kinds of data and attributes that the SDK makes. Their ids begin with `prefix`.
fn events(prefix: &str) -> Outcome<Vec<Event>> {
    let new = |name: &str| {
        EventBuilderV10::new()
            .id(format!("{prefix}-{name}"))
            .ty("com.example.order.created")
            .source("urn:shop:berlin")
    };
    let order =
        json!({"order": "A-1042", "total": 79.9, "name": "Größe \u{1F600}", "lines": [1, null, true]});
    Ok(vec![
        new("none").build()?,
        new("json").data("application/json", order.clone()).build()?,
        new("json-charset").data("application/json; charset=utf-8", order.clone()).build()?,
        new("json-suffix").data("application/vnd.shop+json", order.clone()).build()?,
        new("text").data("text/plain", "Größe 1/2 \u{1F600}").build()?,
        new("xml").data("application/xml", XML).build()?,
        new("bytes").data("application/octet-stream", vec![0_u8, 159, 146, 150, 255]).build()?,
        new("schema")
            .data_with_schema("application/json", "https://example.com/order.json", order)
            .build()?,
        new("attributes")
            .subject("orders/1042")
            .time("2026-11-29T17:00:00.123456Z")
            .extension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .extension("priority", 7)
            .extension("urgent", true)
            .build()?,
    ])
}

/// Returns what an event that was sent is read back as. A header has no type: numbers and truth values become text. A body that
/// is neither JSON nor `text/*` becomes bytes.
fn expected(mode: Mode, event: &Event) -> Outcome<Value> {
    let mut expected = serde_json::to_value(event)?;
    if let (Mode::Binary, Some(members)) = (mode, expected.as_object_mut()) {
        for name in ["priority", "urgent"] {
            members.entry(name).and_modify(|value| *value = value.to_string().into());
        }
        members.retain(|name, value| name != "data" || *value != XML);
        if event.datacontenttype() == Some("application/xml") {
            members.insert("data_base64".to_owned(), XML_IN_BASE64.into());
        }
    }
    Ok(expected)
}

/// Sends an event twice. The second answer names the first event, which is the one that was sent.
async fn send_twice(api: &Api, mode: Mode, event: Event) -> Outcome {
    let name = format!("{mode:?} {}", event.id());
    let mut ids = Vec::new();
    for expected in ["accepted", "duplicate"] {
        let answer = mode.request(event.clone(), api.post("/api/events"))?.send().await?;
        let (status, body): (StatusCode, Value) = (answer.status(), answer.json().await?);
        if status != StatusCode::ACCEPTED || body["status"] != expected {
            return Err(format!("{name}: {status} {body}").into());
        }
        ids.push(body["id"].as_str().unwrap_or_default().to_owned());
    }
    if ids[0] != ids[1] {
        return Err(format!("{name}: {ids:?}").into());
    }
    let stored = api.read(&ids[0]).await?;
    compare(&name, &stored, &expected(mode, &event)?)
}

fn compare(name: &str, stored: &Event, expected: &Value) -> Outcome {
    let stored = serde_json::to_value(stored)?;
    if stored == *expected { Ok(()) } else { Err(format!("{name}: stored {stored}, sent {expected}").into()) }
}

/// Sends a batch to this path, twice. Reads each event back.
async fn send_batch(api: &Api, path: &str) -> Outcome {
    let events = events(&format!("batch-{}", path.len()))?;
    let mut ids = Vec::new();
    for (code, expected) in [(StatusCode::ACCEPTED, "accepted"), (StatusCode::MULTI_STATUS, "duplicate")] {
        let answer = api.post(path).events(events.clone())?.send().await?;
        let (status, body): (StatusCode, Value) = (answer.status(), answer.json().await?);
        let results = body["results"].as_array().cloned().unwrap_or_default();
        let is_expected = results.iter().all(|result| result["status"] == expected);
        if status != code || results.len() != events.len() || !is_expected {
            return Err(format!("{path}: {status} {body}").into());
        }
        ids.push(results.iter().map(|result| result["id"].clone()).collect::<Vec<_>>());
    }
    if ids[0] != ids[1] {
        return Err(format!("{path}: {ids:?}").into());
    }
    for (id, event) in ids[0].iter().zip(&events) {
        let stored = api.read(id.as_str().unwrap_or_default()).await?;
        compare(path, &stored, &serde_json::to_value(event)?)?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let api = Api::from_env()?;
    for mode in [Mode::Binary, Mode::Structured] {
        for event in events(&format!("{mode:?}"))? {
            send_twice(&api, mode, event).await?;
        }
    }
    for path in ["/api/events/batch", "/api/events"] {
        send_batch(&api, path).await?;
    }
    println!("36 events arrived once");
    Ok(())
}
