//! The mock source of `examples/source`: its events match their schemas, and all are accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::Api;
use crate::scripted::answer_by;
use crate::tools::{output_of, python, root};

/// Validates pairs of a schema and a payload.
const VALIDATE: &str = "
import json, sys
import jsonschema
for schema, payload in json.load(sys.stdin):
    validator = jsonschema.Draft202012Validator
    validator.check_schema(schema)
    validator(schema, format_checker=validator.FORMAT_CHECKER).validate(payload)
";

fn source(arguments: &[&str]) -> Command {
    let mut command = Command::new(python());
    command.arg(root().join("examples/source/source.py")).args(arguments);
    command
}

/// Returns the schema of each type.
fn schemas() -> BTreeMap<String, Value> {
    let files = fs::read_dir(root().join("examples/source/schemas")).expect("a folder");
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().expect("a name").to_str().expect("UTF-8").to_owned();
        (name, serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON"))
    };
    files.flatten().map(|file| read(file.path())).collect()
}

/// Returns whether all events match the schemas of their types; if not, why.
fn validate(events: &[Value]) -> Result<(), String> {
    let schemas = schemas();
    let pairs: Vec<Value> = events
        .iter()
        .map(|event| json!([schemas[event["type"].as_str().expect("a type")], event["payload"]]))
        .collect();
    let mut command = Command::new(python());
    let command = command.args(["-c", VALIDATE]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("python starts");
    let mut input = child.stdin.take().expect("its input");
    input.write_all(json!(pairs).to_string().as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn the_events_of_the_source_match_their_schemas_and_every_schema_is_used() {
    let lines = output_of(&mut source(&["--print", "--count", "2000"]));
    let mut events: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    assert_eq!(events.len(), 2000);
    assert_eq!(validate(&events), Ok(()));
    let types: BTreeSet<_> =
        events.iter().map(|event| event["type"].as_str().expect("a type").to_owned()).collect();
    assert_eq!(types, schemas().into_keys().collect());
    let names: BTreeSet<_> = events.iter().map(|event| event["dedup_id"].to_string()).collect();
    assert_eq!(names.len(), events.len(), "each event has a name of its own");

    let reading = events.iter_mut().find(|event| event["type"] == "reading.recorded").expect("a reading");
    reading["payload"]["celsius"] = json!(99);
    assert!(validate(&events).is_err_and(|error| error.contains("99 is greater than the maximum of 26")));
}

#[test]
fn all_events_of_the_source_are_accepted_and_stored_as_they_were_sent() {
    let api = Api::sign_up("source");
    let begun_at = Instant::now();
    let said = output_of(source(&["--count", "60", "--rate", "50"]).envs(api.variables()));
    assert!(begun_at.elapsed() >= Duration::from_millis(59 * 1000 / 50), "it keeps its rate");
    assert!(said.starts_with("60 events accepted:"), "{said}");
    let events = api.stored(60);
    assert_eq!(events.len(), 60);
    assert_eq!(validate(&events), Ok(()));
    for (event_type, count) in
        serde_json::from_str::<BTreeMap<String, usize>>(&said["60 events accepted:".len()..]).expect("counts")
    {
        assert_eq!(events.iter().filter(|event| event["type"] == *event_type).count(), count, "{event_type}");
    }
}

#[test]
fn the_source_sends_an_event_again_until_it_has_an_answer() {
    let (url, bodies) = answer_by(vec![Some(429), None, Some(503), Some(202), Some(409)]);
    let said = output_of(source(&["--count", "2", "--rate", "50"]).env("URL", url).env("KEY", "k"));
    assert!(said.contains("429: waiting 1 s") && said.contains("2 events accepted"), "{said}");
    let bodies: Vec<Value> = bodies.iter().collect();
    assert_eq!(bodies.len(), 5);
    assert!(bodies[..4].iter().all(|body| *body == bodies[0]), "{bodies:?}");
    assert_ne!(bodies[4], bodies[0]);
}
