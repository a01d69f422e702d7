//! `infra/openapi.json`, read as operations: which ids a request names and where, and the request itself.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::client::{self, Reply, Tenant};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../infra/openapi.json")).expect("infra/openapi.json is JSON")
});

/// The things that have ids, each by the name of its schema in the document.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    Event,
    Endpoint,
    Key,
    Replay,
    Erasure,
    Lease,
    Cursor,
    Tenant,
}

/// Where in a request an id goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    Path,
    Query,
    Body,
    /// One of several, in a list of the body.
    List,
}

/// A member of a request that names something.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) place: Place,
    pub(crate) required: bool,
}

/// The ids of one request, by the names of their slots.
pub(crate) type Ids = BTreeMap<&'static str, String>;

/// One operation of the document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) spec: &'static Value,
}

/// A request that can be sent by anybody.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    method: &'static str,
    pub(crate) target: String,
    pub(crate) body: Option<Value>,
    is_of_operator: bool,
}

/// The document.
pub(crate) fn document() -> &'static Value {
    &DOCUMENT
}

/// Every operation, in the document's order.
pub(crate) fn operations() -> Vec<Operation> {
    let paths = document()["paths"].as_object().expect("paths");
    let of_path = |(path, item): (&'static String, &'static Value)| {
        let methods = item.as_object().expect("methods");
        methods.iter().map(|(method, spec)| Operation { method: upper(method), path, spec })
    };
    paths.iter().flat_map(of_path).collect()
}

/// The operation of this name, such as `GET /api/inbox`.
pub(crate) fn operation(name: &str) -> Operation {
    let found = operations().into_iter().find(|operation| operation.name() == name);
    found.unwrap_or_else(|| panic!("the document has no {name}"))
}

/// What a value says, wherever it is written.
pub(crate) fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => resolved(target(reference).unwrap_or_else(|| panic!("{reference} leads nowhere"))),
        None => value,
    }
}

/// What a reference leads to.
pub(crate) fn target(reference: &str) -> Option<&'static Value> {
    document().pointer(reference.strip_prefix('#')?)
}

impl Kind {
    fn parse(schema: &Value) -> Option<Self> {
        match schema["$ref"].as_str()?.strip_prefix("#/components/schemas/")? {
            "EventId" => Some(Self::Event),
            "EndpointId" => Some(Self::Endpoint),
            "KeyId" => Some(Self::Key),
            "ReplayId" => Some(Self::Replay),
            "ErasureId" => Some(Self::Erasure),
            "LeaseId" => Some(Self::Lease),
            "Cursor" => Some(Self::Cursor),
            "OrganizationId" => Some(Self::Tenant),
            _ => None,
        }
    }
}

impl Operation {
    /// Its name, such as `GET /api/inbox`.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The scope that a key must have; `None` where no key is asked for.
    pub(crate) fn scope(&self) -> Option<&'static str> {
        self.spec["security"].as_array()?.iter().find_map(|way| way["apiKey"][0].as_str())
    }

    /// Whether only the operator may ask.
    pub(crate) fn is_of_operator(&self) -> bool {
        self.spec["security"] == json!([{"adminToken": []}])
    }

    /// Whether the document knows this answer.
    pub(crate) fn answers(&self, status: u16) -> bool {
        self.spec["responses"].get(status.to_string()).is_some()
    }

    /// Its path and query parameters.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &'static Value> {
        let listed = self.spec["parameters"].as_array().into_iter().flatten();
        listed.map(resolved).filter(|parameter| parameter["in"] != "header")
    }

    /// The schema of its JSON body.
    pub(crate) fn body(&self) -> Option<&'static Value> {
        self.spec.pointer("/requestBody/content/application~1json/schema").map(resolved)
    }

    /// Every member that names something.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        let parameter = |it: &'static Value| {
            let place = if it["in"] == "path" { Place::Path } else { Place::Query };
            let (name, required) = (it["name"].as_str()?, it["required"] == true);
            Some(Slot { name, kind: Kind::parse(named(&it["schema"]))?, place, required })
        };
        let required = self.body().map(required).unwrap_or_default();
        let member = |(name, schema): (&'static String, &'static Value)| {
            let schema = named(schema);
            let (kind, place) = match Kind::parse(schema) {
                Some(kind) => (kind, Place::Body),
                None => (Kind::parse(named(&resolved(schema)["items"]))?, Place::List),
            };
            Some(Slot { name, kind, place, required: required.contains(&name.as_str()) })
        };
        let members = self.body().and_then(|body| body["properties"].as_object()).into_iter().flatten();
        self.parameters().filter_map(parameter).chain(members.filter_map(member)).collect()
    }

    /// The request with these ids; what else it needs is what the document gives as an example.
    pub(crate) fn request(&self, ids: &Ids) -> Built {
        let (mut target, mut query) = (self.path.to_owned(), Vec::new());
        let mut body = Map::new();
        for slot in self.slots() {
            let Some(id) = ids.get(slot.name) else { continue };
            match slot.place {
                Place::Path => target = target.replace(&format!("{{{}}}", slot.name), &encoded(id)),
                Place::Query => query.push(format!("{}={}", slot.name, encoded(id))),
                Place::Body => drop(body.insert(slot.name.to_owned(), json!(id))),
                Place::List => drop(body.insert(slot.name.to_owned(), json!([id]))),
            }
        }
        if !query.is_empty() {
            target = format!("{target}?{}", query.join("&"));
        }
        let is_needed = self.spec["requestBody"]["required"] == true || !body.is_empty();
        let schema = self.body().filter(|_| is_needed);
        for name in schema.map(|schema| missing(schema, &body)).unwrap_or_default() {
            body.insert(name.to_owned(), self.example(name));
        }
        let is_of_operator = self.is_of_operator();
        Built { method: self.method, target, body: schema.map(|_| Value::Object(body)), is_of_operator }
    }

    fn example(&self, name: &str) -> Value {
        let schema = &self.body().expect("a body")["properties"][name];
        let example =
            [schema, resolved(named(schema))].into_iter().find_map(|schema| schema["examples"].get(0));
        example.cloned().unwrap_or_else(|| panic!("{}: an example for \"{name}\" is needed", self.name()))
    }
}

impl Built {
    /// Sends it with this tenant's key, and with the admin token where only the operator may ask.
    pub(crate) fn send(&self, tenant: &Tenant) -> Reply {
        let token = self.is_of_operator.then(|| ("x-admin-token", tenant.place.admin_token()));
        self.send_as(tenant, &[Some(("x-api-key", tenant.key.as_str())), token])
    }

    /// Sends it to this tenant's stack with this key, or without one.
    pub(crate) fn send_with(&self, tenant: &Tenant, key: Option<&str>) -> Reply {
        self.send_as(tenant, &[key.map(|key| ("x-api-key", key))])
    }

    fn send_as(&self, tenant: &Tenant, credentials: &[Option<(&str, &str)>]) -> Reply {
        let json = self.body.as_ref().map(|_| ("content-type", "application/json"));
        let headers: Vec<_> = credentials.iter().copied().flatten().chain(json).collect();
        let body = self.body.as_ref().map(Value::to_string).unwrap_or_default();
        client::call(self.method, &format!("{}{}", tenant.place.url(), self.target), &headers, body)
    }

    /// The same for at most one entry of a list.
    pub(crate) fn of_one(mut self) -> Self {
        self.target += if self.target.contains('?') { "&limit=1" } else { "?limit=1" };
        self
    }
}

/// The schema of a value that may also be null or empty, without that.
fn named(schema: &'static Value) -> &'static Value {
    let first = &schema["anyOf"][0];
    if first.get("$ref").is_some() { first } else { schema }
}

/// The members that an object must have.
fn required(schema: &'static Value) -> Vec<&'static str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Those of them that it lacks; where it must have any member and has none, the first.
fn missing(schema: &'static Value, object: &Map<String, Value>) -> Vec<&'static str> {
    let lacks: Vec<_> = required(schema).into_iter().filter(|name| !object.contains_key(*name)).collect();
    let needs_any = schema["minProperties"] == 1 && object.is_empty() && lacks.is_empty();
    let any =
        schema["properties"].as_object().filter(|_| needs_any).and_then(|members| members.keys().next());
    lacks.into_iter().chain(any.map(String::as_str)).collect()
}

fn upper(method: &str) -> &'static str {
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    known.into_iter().find(|name| name.eq_ignore_ascii_case(method)).expect("a method")
}

/// A text as one segment of a path, or one value of a query.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
