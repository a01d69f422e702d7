//! The CloudEvents SDK for Rust sends events in all its modes. The SDK for JavaScript does it in `tests/clients`, the one for
//! Python in `tests/it/cloud_events.rs`.

use std::process::Command;

use crate::api::Api;
use crate::tools::{build_workspace, output_of};

#[test]
fn every_event_of_the_sdk_for_rust_arrives_once_and_is_read_back() {
    let api = Api::sign_up("cloudevents");
    let program = build_workspace("tests/cloudevents", "cloudevents-story");
    let said = output_of(Command::new(program).envs(api.variables()));
    assert_eq!(said, "36 events arrived once\n");
    assert_eq!(api.stored(36).len(), 36);
}
