//! Every file of `events/` has the form that this version reads and writes.

use std::fs;
use std::path::Path;

use serde_json::Value;
use store::envelope::{delivery_body, event_body, read_delivery, read_event, read_share, share_body};

use crate::support::client::Tenant;

#[test]
fn every_file_of_events_is_used_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    let files: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(files.len() >= 11, "{files:?}");
    for name in files {
        let used = format!("events/{name}\")");
        let sources = [include_str!("samples.rs"), include_str!("deployed/samples.rs")];
        assert!(sources.iter().any(|source| source.contains(&used)), "no test uses events/{name}");
    }
}

#[test]
fn the_sample_order_is_a_body_for_curl() {
    let tenant = Tenant::new();
    let sample = include_str!("../../events/sample-order.json");
    let id = tenant.post_event(sample).expect(202).id();
    let sent: Value = serde_json::from_str(sample).unwrap();
    let shown = tenant.shown_as("pending", &id);
    assert_eq!((&shown["type"], &shown["payload"]), (&sent["type"], &sent["payload"]));
}

/// The body of the first record of a batch.
fn body_of(sample: &str) -> String {
    let sample: Value = serde_json::from_str(sample).expect("JSON");
    sample["Records"][0]["body"].as_str().expect("a body").to_owned()
}

#[test]
fn the_bodies_of_the_samples_are_what_this_version_writes() {
    for sample in [
        include_str!("../../events/consumer-event.json"),
        include_str!("../../events/consumer-duplicate.json"),
    ] {
        let body = body_of(sample);
        assert_eq!(event_body(&read_event(&body).unwrap()).unwrap(), body);
    }
    for sample in [
        include_str!("../../events/delivery-first-attempt.json"),
        include_str!("../../events/delivery-stale.json"),
    ] {
        let body = body_of(sample);
        assert_eq!(delivery_body(&read_delivery(&body).unwrap()), body);
    }
    let body = body_of(include_str!("../../events/drain-share.json"));
    assert_eq!(share_body(&read_share(&body).unwrap()), body);
}
