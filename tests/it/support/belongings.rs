//! What a tenant has, and what it had: how an id of each kind is come by. It is all that `bola.rs` does not read from the
//! document.

use aws::system_clock::SystemClock;
use domain::event::id::EventId;
use serde_json::{Value, json};
use store::clock::Clock;

use super::client::{Reply, Tenant};
use super::eventually;
use super::openapi::{Ids, Kind, Operation, Slot, operation, operations};
use super::place::Place;
use super::receiver::{Answer, Receiver};

/// What changes by itself while its owner only reads; an export is in the audit trail.
const MOVING: [&str; 4] = ["GET /api/audit", "GET /api/stats", "GET /api/replays", "GET /api/replays/{id}"];

/// A tenant that has something of everything.
pub(crate) struct Owner {
    pub(crate) tenant: Tenant,
    /// What nobody else may ever be told.
    pub(crate) secrets: Vec<String>,
    mark: String,
    receiver: Receiver,
    /// An endpoint at which something was tried twice.
    endpoint: String,
    /// The event that it took.
    event: String,
}

/// Makes a tenant of this name.
pub(crate) fn tenant_named(name: &str) -> Tenant {
    Tenant::named(Place::memory(), name, "pro")
}

/// An id of this kind that never was anybody's.
pub(crate) fn never(kind: Kind) -> String {
    let digits = format!("{:032x}", rand::random::<u128>());
    match kind {
        Kind::Event => EventId::generate(SystemClock.now(), 1, &mut rand::rng()).to_string(),
        Kind::Endpoint => format!("ep_{digits}"),
        Kind::Key => format!("key_{digits}"),
        Kind::Replay => format!("rpl_{digits}"),
        Kind::Erasure => format!("era_{digits}{}", "A".repeat(43)),
        Kind::Lease => format!("lse_{digits}"),
        Kind::Cursor => digits,
        Kind::Tenant => format!("org_{digits}"),
    }
}

impl Owner {
    /// A tenant all of whose texts hold this mark.
    pub(crate) fn marked(mark: &str) -> Self {
        let tenant = tenant_named(&format!("Organization {mark}"));
        let receiver = Receiver::with_script([Answer::status(500), Answer::status(200)]);
        let settings = json!({"url": receiver.url_of(&format!("/{mark}")), "description": mark,
            "event_types": ["taken.twice.*"], "headers": {"x-mark": mark}});
        let made = tenant.post("/api/endpoints", settings.to_string()).expect(201).json();
        let (endpoint, secret) = (text(&made, "id"), text(&made, "secret"));
        let event = post(&tenant, "taken.twice", mark);
        tenant.stored_as("delivered", &event);
        eventually("both attempts are listed", || {
            let listed = tenant.get(&format!("/api/endpoints/{endpoint}/attempts")).expect(200).json();
            (listed["attempts"].as_array()?.len() == 2).then_some(())
        });
        let texts = [mark, &tenant.id, &tenant.key, &secret, &endpoint, &event];
        let secrets = texts.map(str::to_owned).to_vec();
        let owner = Self { tenant, secrets, mark: mark.to_owned(), receiver, endpoint, event };
        owner.pending();
        owner
    }

    /// What may be named in an operation: an id of its own for each of these slots. What an operation changes or deletes is
    /// made for it.
    pub(crate) fn own(&self, operation: Operation, slots: &[Slot]) -> Ids {
        let mut slots = slots.to_vec();
        slots.sort_by_key(|slot| slot.kind); // a lease holds the event before it, a cursor is of the list it is in
        slots.iter().fold(Ids::new(), |mut ids, slot| {
            let id = self.one(slot.kind, operation, &ids);
            ids.insert(slot.name, id);
            ids
        })
    }

    /// Ids to try: one made for the purpose, and those that stay the same.
    pub(crate) fn several(&self, operation: Operation, slot: &Slot, others: &Ids) -> Vec<String> {
        self.lasting(slot.kind).into_iter().chain([self.one(slot.kind, operation, others)]).collect()
    }

    /// What it had, and has no more; `None` of a kind that does not end.
    pub(crate) fn gone(&self, kind: Kind) -> Option<String> {
        let ending = match kind {
            Kind::Event => operation("DELETE /api/events/{id}"),
            Kind::Endpoint => operation("DELETE /api/endpoints/{id}"),
            Kind::Key => operation("DELETE /api/keys/{id}"),
            Kind::Replay => operation("DELETE /api/replays/{id}"),
            Kind::Lease => operation("POST /api/inbox/release"),
            Kind::Erasure | Kind::Cursor | Kind::Tenant => return None,
        };
        let slots: Vec<Slot> = ending.slots().into_iter().filter(|slot| slot.kind == kind).collect();
        let ids = self.own(ending, &slots);
        let ended = ending.request(&ids).send(&self.tenant);
        assert!((200..300).contains(&ended.status), "{}: {}", ending.name(), ended.text());
        ids.into_values().next()
    }

    /// All that it can read of itself, but for what changes by itself.
    pub(crate) fn everything(&self) -> Vec<(String, Value)> {
        let reads = operations().into_iter().filter(|operation| {
            let is_read = operation.method == "GET" && operation.scope().is_some();
            is_read && !MOVING.contains(&operation.name().as_str())
        });
        let read = |operation: Operation| {
            let ids = self.needed(operation);
            let reply = operation.request(&ids).send(&self.tenant).expect(200);
            let text = reply.text();
            let lines: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
            (operation.name(), without_use(lines.map_or_else(|_| json!(text), Value::Array)))
        };
        reads.map(read).collect()
    }

    /// What a reading operation must name.
    fn needed(&self, operation: Operation) -> Ids {
        let needed = operation.slots().into_iter().filter(|slot| slot.required);
        needed.map(|slot| (slot.name, self.lasting(slot.kind).expect("a lasting id"))).collect()
    }

    /// What it has from the beginning and keeps.
    fn lasting(&self, kind: Kind) -> Option<String> {
        match kind {
            Kind::Event => Some(self.event.clone()),
            Kind::Endpoint => Some(self.endpoint.clone()),
            _ => None,
        }
    }

    fn one(&self, kind: Kind, operation: Operation, others: &Ids) -> String {
        let is_kept = operation.method == "GET" || operation.spec["tags"][0] == "Replay";
        match kind {
            Kind::Event | Kind::Endpoint if is_kept => self.lasting(kind).expect("a lasting id"),
            Kind::Event => self.pending(),
            Kind::Endpoint => {
                let url = self.receiver.url_of(&format!("/{}/{:x}", self.mark, rand::random::<u64>()));
                self.made("/api/endpoints", &json!({"url": url, "event_types": ["none"]}), "id")
            }
            Kind::Key => self.made("/api/keys", &json!({"name": self.mark, "scopes": ["inbox:read"]}), "id"),
            Kind::Replay => self.replay(),
            Kind::Erasure => {
                let erased = tenant_named("Example Ltd"); // as the document's example confirms it
                text(&request("DELETE /api/tenant", &erased).expect(202).json(), "erasure_id")
            }
            Kind::Lease => {
                self.pending();
                let all = json!({"lease_seconds": 3600, "lease_limit": 100});
                self.made("/api/inbox/lease", &all, "lease_id")
            }
            Kind::Tenant if operation.method == "GET" => self.tenant.id.clone(),
            Kind::Tenant => tenant_named("Of the operator").id,
            Kind::Cursor => {
                match operation.path {
                    "/api/replays" => drop([self.replay(), self.replay()]),
                    _ if operation.is_of_operator() => {}
                    _ => drop(self.pending()), // so that there is more than one
                }
                let ids = self.needed(operation).into_iter().chain(others.clone()).collect();
                let page = operation.request(&ids).of_one().send(&self.tenant).expect(200);
                page.header("x-next-cursor").map_or_else(|| text(&page.json(), "next_cursor"), str::to_owned)
            }
        }
    }

    /// A replay of nothing.
    fn replay(&self) -> String {
        let of_nothing = json!({"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"});
        self.made("/api/replays", &of_nothing, "id")
    }

    /// An event that waits in its inbox.
    fn pending(&self) -> String {
        let id = post(&self.tenant, "open", &self.mark);
        self.tenant.shown_as("pending", &id);
        id
    }

    fn made(&self, path: &str, body: &Value, member: &str) -> String {
        let reply = self.tenant.post(path, body.to_string());
        assert!((200..300).contains(&reply.status), "{path}: {}", reply.text());
        text(&reply.json(), member)
    }
}

/// The document's own example of a request.
fn request(name: &str, tenant: &Tenant) -> Reply {
    operation(name).request(&Ids::new()).send(tenant)
}

/// Posts an event all of whose texts hold this mark.
fn post(tenant: &Tenant, kind: &str, mark: &str) -> String {
    let dedup_id = format!("{mark} {}", rand::random::<u64>());
    let event = json!({"type": format!("{kind}.{mark}"), "payload": {"text": mark}, "dedup_id": dedup_id});
    tenant.post_event(event.to_string()).expect(202).id()
}

/// When a key was used last is noted some time later.
fn without_use(told: Value) -> Value {
    match told {
        Value::Array(values) => values.into_iter().map(without_use).collect(),
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(name, _)| name != "last_used_at");
            kept.map(|(name, value)| (name, without_use(value))).collect()
        }
        plain => plain,
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}")).to_owned()
}
