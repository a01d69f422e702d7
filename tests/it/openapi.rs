//! `infra/openapi.json` says what the API does: every route stands in it, every operation is answered as it says.

use std::collections::{BTreeSet, HashSet};

use domain::problem::Kind as ProblemKind;
use serde_json::{Map, Value, json};

use crate::support::belongings::{Owner, never, tenant_named};
use crate::support::openapi::{Ids, Kind, Operation, Place, document, operations, resolved, target};
use crate::support::python::run;

/// What ingest answers.
const INGEST: [&str; 2] = ["POST /api/events", "POST /api/events/batch"];

/// What is for a browser and no operation of the API.
const PAGES: [&str; 4] = ["GET /console", "GET /console/{file}", "GET /docs", "GET /docs/{file}"];

/// What the router of api routes, by its source, without the pages, and what ingest answers.
pub(crate) fn routes() -> BTreeSet<String> {
    let source: String = include_str!("../../functions/api/src/router.rs").split_whitespace().collect();
    let table = source.split_once("Router::new()").and_then(|(_, rest)| rest.split_once("asyncfnallow_post"));
    let of_route = |route: &str| {
        let (path, handlers) = route.split_once('"').expect("a path");
        let names =
            |word: &str| [',', '.', '('].iter().any(|before| handlers.contains(&format!("{before}{word}(")));
        let methods = ["get", "post", "put", "patch", "delete"].into_iter().filter(|word| names(word));
        methods.map(|method| format!("{} {path}", method.to_uppercase())).collect::<Vec<_>>()
    };
    let routes = table.expect("the routes").0.split(".route(\"").skip(1).flat_map(of_route);
    routes.filter(|route| !PAGES.contains(&route.as_str())).chain(INGEST.map(str::to_owned)).collect()
}

#[test]
fn every_route_stands_in_the_document_and_everything_in_it_is_routed() {
    let promised: BTreeSet<String> = operations().iter().map(Operation::name).collect();
    let routed = routes();
    assert!(routed.len() >= 40, "{routed:?}");
    assert_eq!(routed.difference(&promised).collect::<Vec<_>>(), [""; 0], "a route that the document lacks");
    assert_eq!(promised.difference(&routed).collect::<Vec<_>>(), [""; 0], "a promise that nobody answers");
}

/// Checks bodies against their schemas, which here allow no member that they do not name.
const CHECK: &str = "
import json, sys
from jsonschema import Draft202012Validator as Validator
call = json.load(sys.stdin)
def strict(schema):
    if isinstance(schema, list): return [strict(item) for item in schema]
    if not isinstance(schema, dict): return schema
    strict_items = {name: strict(item) for name, item in schema.items()}
    return strict_items | {'additionalProperties': False} if 'properties' in schema else strict_items
components = strict(call['components'])
for answer in call['answers']:
    schema = strict(answer['schema']) | {'components': components}
    for error in Validator(schema, format_checker=Validator.FORMAT_CHECKER).iter_errors(answer['body']):
        sys.exit(f\"{answer['name']} {list(error.absolute_path)}: {error.message}\")
print(len(call['answers']))
";

#[test]
fn every_operation_is_answered_as_the_document_says() {
    let owner = Owner::marked("documented");
    let mut answers = Vec::new();
    for operation in operations() {
        let (name, slots) = (operation.name(), operation.slots());
        let reply = if slots.is_empty() {
            let newcomer = tenant_named("Example Ltd"); // who may lose its key or itself
            operation.request(&Ids::new()).send(&newcomer)
        } else {
            operation.request(&owner.own(operation, &slots)).send(&owner.tenant)
        };
        assert!((200..300).contains(&reply.status), "{name}: {} {}", reply.status, reply.text());
        let said = resolved(&operation.spec["responses"][reply.status.to_string()]);
        assert!(said.is_object(), "{name} does not promise {}", reply.status);
        let Some(content) = said["content"].as_object() else {
            assert_eq!(reply.text(), "", "{name}");
            continue;
        };
        let media_type = reply.header("content-type").and_then(|text| text.split(';').next());
        let schema = &content[media_type.unwrap_or_default()]["schema"];
        let body = serde_json::from_slice(&reply.body).unwrap_or_else(|_| json!(reply.text()));
        answers.push(json!({"name": name, "schema": schema, "body": body}));
    }
    let call = json!({"components": document()["components"], "answers": answers});
    assert_eq!(run(CHECK, &call), Ok(answers.len().to_string()));
}

#[test]
fn every_request_that_is_built_from_the_document_keeps_its_rules() {
    let mut bodies = Vec::new();
    for operation in operations() {
        let slots = operation.slots();
        for all in [false, true] {
            let named = slots.iter().filter(|slot| all || slot.required);
            let ids = named.map(|slot| (slot.name, never(slot.kind))).collect();
            let (name, schema) = (operation.name(), operation.body());
            let body = operation.request(&ids).body;
            bodies.extend(body.map(|body| json!({"name": name, "schema": schema, "body": body})));
        }
    }
    let call = json!({"components": document()["components"], "answers": bodies});
    assert_eq!(run(CHECK, &call), Ok(bodies.len().to_string()));
}

/// Checks the document by the package `openapi-spec-validator` from `PyPI`.
const VALIDATE: &str = "
import json, sys
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
validate(json.load(sys.stdin), cls=OpenAPIV31SpecValidator)
print('valid')
";

#[test]
fn the_document_is_openapi() {
    assert_eq!(document()["openapi"], "3.1.0");
    assert_eq!(run(VALIDATE, document()).as_deref(), Ok("valid"));
}

/// Every value in the document under a member of this name.
fn members<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(name));
            object.values().for_each(|value| members(value, name, found));
        }
        Value::Array(values) => values.iter().for_each(|value| members(value, name, found)),
        _ => {}
    }
}

fn all(name: &str) -> Vec<&'static Value> {
    let mut found = Vec::new();
    members(document(), name, &mut found);
    found
}

#[test]
fn every_reference_leads_somewhere_and_nothing_is_written_for_nobody() {
    let references: HashSet<&str> = all("$ref").into_iter().filter_map(Value::as_str).collect();
    for reference in &references {
        assert!(target(reference).is_some(), "{reference}");
    }
    for kind in ["parameters", "headers", "responses", "schemas"] {
        for name in document()["components"][kind].as_object().expect("components").keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(references.iter().any(|used| used.starts_with(&reference)), "{reference}");
        }
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_a_tag_and_its_words() {
    let tags: HashSet<&Value> =
        document()["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut names = HashSet::new();
    for operation in operations() {
        assert!(names.insert(operation.spec["operationId"].as_str().expect("an id")), "{}", operation.name());
        assert!(tags.contains(&operation.spec["tags"][0]), "{}", operation.name());
        assert!(operation.spec["summary"].is_string() && operation.spec["security"].is_array());
    }
}

#[test]
fn every_problem_has_its_paragraph_and_every_paragraph_its_operation() {
    let paragraphs = include_str!("../../docs/errors.md");
    let documented: HashSet<&str> = paragraphs.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let mut mentioned = HashSet::from(["method-not-allowed"]); // of methods that no operation has
    for operation in operations() {
        let responses = operation.spec["responses"].as_object().expect("responses");
        let examples = responses.values().map(resolved).filter_map(|response| {
            response.pointer("/content/application~1problem+json/examples")?.as_object()
        });
        for slug in examples.flat_map(|examples| examples.keys()) {
            assert!(documented.contains(slug.as_str()), "{}: {slug}", operation.name());
            mentioned.insert(slug);
        }
    }
    assert_eq!(documented.difference(&mentioned).collect::<Vec<_>>(), [&""; 0]);
    let types = all("type").into_iter().filter_map(Value::as_str);
    let slugs: Vec<_> = types.filter_map(|text| text.strip_prefix("urn:triggers:problem:")).collect();
    assert!(slugs.iter().all(|slug| mentioned.contains(slug)), "{slugs:?}");
}

#[test]
fn every_example_of_a_problem_is_the_one_that_the_api_answers() {
    let examples = all("examples").into_iter().filter_map(Value::as_object);
    let problems: Vec<&Value> = examples.flat_map(|named| named.values()).map(|one| &one["value"]).collect();
    assert!(problems.len() > 20, "{problems:?}");
    for problem in problems {
        let slug = problem["type"].as_str().and_then(|text| text.strip_prefix("urn:triggers:problem:"));
        let kind = ProblemKind::ALL.into_iter().find(|kind| Some(kind.document().1) == slug);
        let (status, _, title) = kind.unwrap_or_else(|| panic!("no kind: {problem}")).document();
        assert_eq!((&problem["status"], &problem["title"]), (&json!(status), &json!(title)), "{problem}");
        assert!(problem["error"] == problem["detail"] && problem["instance"].is_string(), "{problem}");
    }
}

/// Collects every object in a value.
fn objects<'a>(value: &'a Value, found: &mut Vec<&'a Map<String, Value>>) {
    if let Value::Object(object) = value {
        found.push(object);
    }
    let inner: Vec<&Value> = match value {
        Value::Object(object) => object.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    for one in inner {
        objects(one, found);
    }
}

/// The generators whose clients `tests/web/clients.rs` uses fail, or make no type, where a document has these forms.
#[test]
fn forms_that_generators_do_not_read_are_absent() {
    let mut schemas = Vec::new();
    objects(document(), &mut schemas);
    for schema in schemas.into_iter().filter(|schema| schema.contains_key("const")) {
        assert!(schema.contains_key("type"), "{schema:?}");
    }
    for reference in all("$ref").into_iter().filter_map(Value::as_str) {
        assert!(!reference.contains("/properties/"), "{reference}: refer to a schema of its own");
    }
    for content in all("content").into_iter().filter_map(Value::as_object) {
        assert!(content.keys().all(|media_type| !media_type.contains('*')), "{content:?}");
    }
    for operation in operations() {
        let Some(body) = operation.body() else { continue };
        let has_choice = ["anyOf", "oneOf", "not"].into_iter().any(|word| body.get(word).is_some());
        assert!(!has_choice, "{}: a body with a choice of members has no type", operation.name());
        let members = body["properties"].as_object().into_iter().flatten();
        for (name, member) in members {
            let has_default = member.get("default").is_some();
            assert!(!has_default, "{}: `{name}` becomes required by its default", operation.name());
        }
    }
}

#[test]
fn every_id_in_a_request_says_of_what_it_is() {
    let is_id = |name: &str| {
        name != "dedup_id" && (["id", "ids", "cursor"].contains(&name.rsplit('_').next().unwrap_or_default()))
    };
    for operation in operations() {
        let parameters = operation.parameters().filter_map(|parameter| parameter["name"].as_str());
        let members = operation.body().and_then(|body| body["properties"].as_object()).into_iter().flatten();
        let named: BTreeSet<&str> =
            parameters.chain(members.map(|(name, _)| name.as_str())).filter(|name| is_id(name)).collect();
        let slots = operation.slots();
        assert_eq!(named, slots.iter().map(|slot| slot.name).collect(), "{}", operation.name());
        let in_path = slots.iter().filter(|slot| slot.place == Place::Path).count();
        assert_eq!(operation.path.matches('{').count(), in_path, "{}", operation.name());
        assert!(slots.iter().all(|slot| slot.kind != Kind::Cursor || slot.place == Place::Query));
    }
}

#[test]
fn every_scope_of_the_document_is_one_that_a_key_can_have() {
    let known: HashSet<&str> =
        domain::tenant::api_key::Scope::ALL.map(domain::tenant::api_key::Scope::as_str).into();
    for operation in operations() {
        assert!(operation.scope().is_none_or(|scope| known.contains(scope)), "{}", operation.name());
    }
    let listed = document()["components"]["schemas"]["Scope"]["enum"].as_array().expect("scopes");
    assert!(known.iter().all(|scope| listed.contains(&json!(scope))));
}

#[test]
fn the_document_is_served_as_it_is_to_anybody() {
    let url = format!("{}/openapi.json", crate::support::place::Place::memory().url());
    let reply = crate::support::client::call("GET", &url, &[], "").expect(200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.text(), include_str!("../../infra/openapi.json"));
}
