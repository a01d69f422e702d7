//! CloudEvents, made by the official package from `PyPI`, in all their forms.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::support::client::{Reply, Tenant};
use crate::support::python;

/// Prints each wanted event as the package writes it down: headers and body.
const PRODUCE: &str = "
import base64, json, sys
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from datetime import datetime, timezone
made = []
for wanted in json.load(sys.stdin):
    attributes, data = dict(wanted['attributes']), wanted.get('data')
    if 'time' in attributes:
        attributes['time'] = datetime.fromisoformat(attributes['time'])
    if 'bytes' in wanted:
        data = base64.b64decode(wanted['bytes'])
    write = to_binary_event if wanted['form'] == 'binary' else to_structured_event
    message = write(CloudEvent(attributes, data))
    body = message.body if isinstance(message.body, bytes) else message.body.encode()
    made.append({'headers': dict(message.headers), 'body': base64.b64encode(body).decode()})
print(json.dumps(made))
";

/// Reads events in the JSON format as the package does; prints what it found.
const CONSUME: &str = "
import base64, json, sys
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
found = []
for payload in json.load(sys.stdin):
    message = HTTPMessage({'content-type': 'application/cloudevents+json'}, json.dumps(payload).encode())
    event = from_http_event(message)
    data = event.get_data()
    if isinstance(data, bytes):
        data = base64.b64encode(data).decode()
    time = event.get_time()
    found.append({'id': event.get_id(), 'source': event.get_source(), 'type': event.get_type(), 'data': data,
        'subject': event.get_subject(), 'shop': event.get_extension('shop'), 'time': time and time.isoformat()})
print(json.dumps(found))
";

/// A request as a producer made it.
struct Made {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Made {
    fn post(&self, tenant: &Tenant) -> Reply {
        self.post_to(tenant, "/api/events")
    }

    fn post_to(&self, tenant: &Tenant, path: &str) -> Reply {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        tenant.call("POST", path, &headers, self.body.clone())
    }
}

fn produce(wanted: &Value) -> Vec<Made> {
    let made: Value = serde_json::from_str(&python::run(PRODUCE, wanted).unwrap()).unwrap();
    let made = made.as_array().unwrap().iter().map(|made| {
        let headers = made["headers"].as_object().unwrap().iter();
        Made {
            headers: headers
                .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                .collect(),
            body: BASE64.decode(made["body"].as_str().unwrap()).unwrap(),
        }
    });
    made.collect()
}

/// An event with all kinds of attributes, in one of the forms.
fn order(id: &str, form: &str) -> Value {
    json!({"form": form, "data": {"n": 1, "s": "é \"q\""}, "attributes": {
        "id": id, "source": "/shop", "type": "order.created", "subject": "50 % \"off\" €",
        "time": "2026-11-23T10:00:00+00:00", "shop": "north", "datacontenttype": "application/json"}})
}

/// The payload of an event that waits.
fn payload(tenant: &Tenant, id: &str) -> Value {
    tenant.shown_as("pending", id)["payload"].clone()
}

#[test]
fn what_one_library_writes_in_either_form_another_reads_from_the_payload() {
    let tenant = Tenant::new();
    let orders = ["binary", "structured"].map(|form| order(form, form));
    let bytes = json!({"form": "binary", "bytes": BASE64.encode([0, 255]), "attributes": {
        "id": "bytes", "source": "/shop", "type": "image.taken", "datacontenttype": "image/png"}});
    let made = produce(&json!([orders[0], orders[1], bytes]));
    let ids: Vec<String> = made.iter().map(|made| made.post(&tenant).expect(202).id()).collect();
    let payloads: Vec<Value> = ids.iter().map(|id| payload(&tenant, id)).collect();
    let found: Value = serde_json::from_str(&python::run(CONSUME, &json!(payloads)).unwrap()).unwrap();
    for (place, form) in ["binary", "structured"].into_iter().enumerate() {
        let expected = json!({"id": form, "source": "/shop", "type": "order.created", "shop": "north",
            "data": {"n": 1, "s": "é \"q\""}, "subject": "50 % \"off\" €", "time": "2026-11-23T10:00:00+00:00"});
        assert_eq!(found[place], expected);
        assert_eq!(tenant.shown_as("pending", &ids[place])["type"], "order.created");
    }
    assert_eq!(
        (&found[2]["data"], &found[2]["type"]),
        (&json!(BASE64.encode([0, 255])), &json!("image.taken"))
    );
    assert_eq!(payloads[1].to_string(), serde_json::from_slice::<Value>(&made[1].body).unwrap().to_string());
}

#[test]
fn source_and_id_name_an_event_of_one_tenant_for_a_day() {
    let (tenant, other) = (Tenant::new(), Tenant::new());
    let (mut changed, mut elsewhere) = (order("1", "structured"), order("1", "structured"));
    changed["data"] = json!({"n": 2});
    elsewhere["attributes"]["source"] = "/market".into();
    let wanted = [order("1", "structured"), elsewhere, changed, order("2", "binary")];
    let made = produce(&json!(wanted));
    let [first, elsewhere, changed, binary] = &made[..] else { panic!("four") };
    let id = first.post(&tenant).expect(202).id();
    for repeat in [first, changed] {
        let repeat = repeat.post(&tenant).expect(202);
        assert_eq!((repeat.id(), &repeat.json()["status"]), (id.clone(), &json!("duplicate")));
        assert_eq!(repeat.header("idempotency-replayed"), Some("true"));
    }
    assert_ne!(elsewhere.post(&tenant).expect(202).id(), id, "another source");
    assert_ne!(first.post(&other).expect(202).id(), id, "another tenant");
    let id = binary.post(&tenant).expect(202).id();
    assert_eq!(binary.post(&tenant).expect(202).id(), id);
}

#[test]
fn a_batch_of_cloudevents_is_judged_item_by_item_at_either_path() {
    let made = produce(&json!([order("1", "structured"), order("2", "structured")]));
    for path in ["/api/events", "/api/events/batch"] {
        let tenant = Tenant::new();
        let items = [&made[0].body[..], br#"{"specversion":"1.0","id":"3"}"#, &made[1].body, &made[0].body];
        let batch = Made {
            headers: vec![("content-type".to_owned(), "application/cloudevents-batch+json".to_owned())],
            body: [b"[", items.join(&b","[..]).as_slice(), b"]"].concat(),
        };
        let answer = batch.post_to(&tenant, path).expect(207).json();
        assert_eq!(
            (&answer["accepted"], &answer["duplicate"], &answer["rejected"]),
            (&json!(2), &json!(1), &json!(1))
        );
        let results = &answer["results"];
        assert_eq!(results[1]["error"]["errors"][0]["pointer"], "/source", "{answer}");
        assert_eq!(results[3]["id"], results[0]["id"], "the same event again");
        let stored = payload(&tenant, results[2]["id"].as_str().unwrap());
        assert_eq!(stored, serde_json::from_slice::<Value>(&made[1].body).unwrap());
    }
}

#[test]
fn what_is_no_cloudevent_is_refused_with_the_place_at_fault() {
    let tenant = Tenant::new();
    let post = |headers: &[(&str, &str)], body: &str| tenant.call("POST", "/api/events", headers, body);
    let json = ("content-type", "application/cloudevents+json");
    let refused =
        post(&[json], r#"{"specversion":"1.0","id":"1","source":"","type":"a"}"#).problem(422, "invalid");
    assert_eq!(refused["errors"][0]["pointer"], "/source");
    post(&[json], "{").problem(400, "malformed");
    post(&[("content-type", "application/cloudevents+avro")], "x").problem(415, "unsupported-media-type");
    let good =
        [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-type", "a"), ("content-type", "application/json")];
    let refused = post(&good, "1").problem(422, "invalid");
    assert!(refused["detail"].as_str().unwrap().contains("ce-source"), "{refused}");
    let all = [&good[..], &[("ce-source", "/shop")]].concat();
    post(&all, "{\"a\":1,\"a\":2}").problem(400, "malformed");
    let at_batch = tenant.call("POST", "/api/events/batch", &[json], "[]");
    at_batch.problem(415, "unsupported-media-type");
    assert!(tenant.inbox_ids("").is_empty());
}
