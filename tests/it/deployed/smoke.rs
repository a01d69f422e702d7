//! `infra/smoke`, the program that tries a stack in AWS, run against the local emulator: it calls what AWS would be asked, and finds a
//! good stack good and a bad one bad.

use std::process::{Command, Output};

use dev::stack::{Stack, find_python};
use serde_json::Value;

use crate::deployed::support::stack::LazyStack;
use crate::support::receiver::Receiver;
use crate::support::root;

/// A stack of its own: the program sets its alarms off and rotates its pepper.
static STACK: LazyStack = LazyStack::new("tests-smoke").with_delivery_processes(4);

/// The parameters of the smallest stack.
const SMALLEST: &[(&str, &str)] = &[("Alarms", "urgent"), ("Dashboard", "off")];

/// Runs the program; what it printed.
fn smoke(stack: &Stack, more: &[&str]) -> Output {
    let python = find_python().unwrap_or_else(|error| panic!("{error}"));
    let variables = [
        ("AWS_ENDPOINT_URL", stack.summary().emulator.as_str()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ];
    let mut command = Command::new(python);
    command.arg(root().join("infra/smoke/smoke.py")).args(["--stack", "triggers", "--rate", "10"]);
    command.args(more).envs(variables).output().expect("python runs")
}

/// Returns the last line of what was printed, which is JSON.
fn report(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn the_program_for_an_account_finds_a_good_stack_good_and_one_without_an_api_bad_and_knows_the_smallest() {
    let _story = STACK.story();
    let (stack, receiver) = (STACK.get(), Receiver::answering(200));
    let url = stack.summary().url.clone();
    let output = smoke(stack, &["--events", "60", "--url", &url, "--receiver", &receiver.url()]);
    let good = report(&output);
    assert!(output.status.success(), "{good:#}");
    for step in ["takes a load", "rotates the pepper", "restarts under load"] {
        assert_eq!((&good[step]["refused"], &good[step]["lost"]), (&0.into(), &0.into()), "{step}");
    }
    assert_eq!(good["takes a load"]["events"], 60);
    assert_eq!(good["tells its story"]["webhooks"], true);
    assert!(good["sets alarms off and back"]["alarms"].as_u64() > Some(20), "{good:#}");
    assert!(good["bill"]["dollars"].as_f64() < Some(1.0), "{good:#}");

    stack.update("code.zip", SMALLEST).expect("an update");
    let output = smoke(stack, &["--events", "1", "--url", "http://127.0.0.1:1"]);
    let bad = report(&output);
    assert!(!output.status.success() && bad["is complete"]["failed"].is_string(), "{bad:#}");
    let alarms = &bad["sets alarms off and back"];
    assert_eq!(
        (&alarms["alarms"], &alarms["composite"]),
        (&9.into(), &0.into()),
        "ten, but no EventsLostAlarm here"
    );
    assert!(bad["bill"]["dollars"].as_f64() < good["bill"]["dollars"].as_f64(), "{bad:#}");
}
