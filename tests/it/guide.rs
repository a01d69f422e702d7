//! The operating guide: its commands for the API, run as they are printed.

use std::process::Command;

use serde_json::Value;

use crate::support::client::Tenant;
use crate::support::configs::ADMIN_TOKEN;
use crate::support::memory_stack::memory_stack;

const GUIDE: &str = include_str!("../../docs/OPERATING.md");

/// Returns the block of commands of a section.
fn block(heading: &str) -> &'static str {
    let section = GUIDE.split(&format!("# {heading}\n")).nth(1).unwrap_or_else(|| panic!("{heading}"));
    let block = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    block.unwrap_or_else(|| panic!("{heading} has no block"))
}

/// Runs a block with these variables; returns what it prints.
fn run(block: &str, variables: &[(&str, &str)]) -> String {
    let script = format!("set -e\noutput() {{ echo \"$API\"; }}\n{block}");
    let mut bash = Command::new("bash");
    bash.args(["-c", &script]).env("API", memory_stack().url()).envs(variables.iter().copied());
    let output = bash.output().expect("bash runs");
    assert!(output.status.success(), "{block}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_first_tenant_the_smoke_test_and_the_erasure_work_as_printed() {
    let made: Value =
        serde_json::from_str(&run(block("The first tenant"), &[("ADMIN", ADMIN_TOKEN)])).expect("JSON");
    let [tenant, key] = ["organization_id", "api_key"].map(|name| made[name].as_str().expect("a text"));
    assert_eq!(made["tier"], "pro");

    let smoke = run(block("Smoke test"), &[("KEY", key)]);
    assert!(smoke.contains(r#""status":"pending""#) && smoke.ends_with(r#"{"success":true}"#), "{smoke}");

    let url = memory_stack().url();
    let variables = [("URL", url), ("ADMIN", ADMIN_TOKEN), ("TENANT", tenant), ("KEY", key)];
    let erased = run(block("Erase a tenant"), &variables);
    assert!(erased.contains("api_key") && erased.contains("receipt_url"), "{erased}");
    let shown = Tenant::new().get("/health/ready").expect(200).json();
    assert_eq!(shown["status"], "ready");
}
