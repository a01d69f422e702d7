//! The roles of `template.yaml`, in both directions: what a function does is granted, and what is granted is done.
//!
//! `policies/used.txt` holds the actions that the emulator allowed to each function while deployed stories ran
//! (`infra/dev/emulator.py`, change 7). To record it again, after a change of what a function calls:
//!
//! ```text
//! cargo test -p tests --test it -- deployed:: --skip permissions --skip aws_ports --skip contract
//! sort -u .dev/stacks/*/logs/calls.log > tests/it/policies/used.txt
//! ```
//!
//! The stories that are left out call AWS as a function to see what is refused.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::template::{resources, template};

const USED: &str = include_str!("policies/used.txt");

/// What is granted and was not recorded, as a part of the call, with the reason.
const EXCEPTIONS: [(&str, &str); 16] = [
    (" logs:", "Lambda writes the log with the role of the function; the emulator does not"),
    (" xray:", "only with XRay=on, and the emulator has no X-Ray"),
    (" sqs:ReceiveMessage ", "Lambda polls the queues with the role of the function; the emulator does not"),
    ("consumer sqs:GetQueueAttributes ", "as above"),
    ("delivery sqs:GetQueueAttributes ", "as above"),
    ("drain sqs:GetQueueAttributes ", "as above"),
    ("drain sqs:DeleteMessage ", "as above"),
    (
        "consumer sqs:DeleteMessage triggers-events-dlq",
        "as above; the functions delete early only what is on a main queue",
    ),
    ("delivery sqs:DeleteMessage triggers-deliveries-dlq", "as above"),
    (
        "consumer dynamodb:UpdateItem ControlTable",
        "seals a data key of the version before: `who_makes_keys_may_seal_them_...` in `deployed/permissions.rs`, with the role",
    ),
    (
        " dynamodb:BatchWriteItem EventsTable",
        "deletes what was stored of an event after its deletion, a race: `log/deletion.rs`, on the memory stack",
    ),
    ("delivery dynamodb:Query EventsTable", "finds what is deleted in that race"),
    ("drain dynamodb:UpdateItem ControlTable", "claims a probe: `breakers.rs`, on the memory stack"),
    ("drain dynamodb:GetItem EventsTable", "reads whether the delivery of a probe is still open, there too"),
    (
        "drain sqs:SendMessage triggers-deliveries-slow",
        "a parked delivery to a slow endpoint: `who_sends_deliveries_may_send_by_both_lanes`, with the role",
    ),
    (
        "drain dynamodb:Query EventsTable",
        "finds what a probe stored of a deleted event, a race: `breakers_owner.rs`, on the memory stack",
    ),
];

/// One action of a function on a resource: `ingest dynamodb:GetItem ControlTable`.
type Calls = BTreeSet<String>;

fn used() -> Calls {
    USED.lines().map(str::to_owned).collect()
}

/// Returns the texts of a member that is one text or a list.
fn list(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |values| values.iter().collect())
}

/// Returns the name of a resource as the record has it.
fn name_of(template: &Value, resource: &Value) -> String {
    let attribute = |text: &str| text.split('.').next().unwrap_or_default().to_owned();
    let logical = match (&resource["Fn::GetAtt"], &resource["Fn::Sub"]) {
        (Value::Array(parts), _) => attribute(parts[0].as_str().expect("a name")),
        (Value::String(text), _) => attribute(text),
        (_, Value::String(text)) => text.replace("${", "").replace(".Arn}", ""),
        _ => return resource.as_str().expect("a resource").to_owned(),
    };
    let queue = &template["Resources"][&logical]["Properties"]["QueueName"]["Fn::Sub"];
    queue.as_str().map_or(logical, |name| name.replace("${AWS::StackName}", "triggers"))
}

fn granted() -> Calls {
    let template = template();
    let mut granted = Calls::new();
    for (_, function) in resources(&template, "AWS::Serverless::Function") {
        let name = function["Properties"]["FunctionName"]["Fn::Sub"].as_str().expect("a name");
        let function_name = name.trim_start_matches("${AWS::StackName}-");
        let role = function["Properties"]["Role"]["Fn::GetAtt"][0].as_str().expect("a role");
        let policy = &template["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"];
        for statement in policy["Statement"].as_array().expect("statements") {
            let statement = statement.get("Fn::If").map_or(statement, |parts| &parts[1]);
            for action in list(&statement["Action"]) {
                for resource in list(&statement["Resource"]) {
                    let action = action.as_str().expect("an action");
                    granted.insert(format!("{function_name} {action} {}", name_of(&template, resource)));
                }
            }
        }
    }
    assert!(granted.len() > 60, "{granted:?}");
    granted
}

#[test]
fn what_a_function_calls_is_granted() {
    let granted = granted();
    let more: Vec<_> = used().into_iter().filter(|call| !granted.contains(call)).collect();
    assert!(more.is_empty(), "recorded, but not granted: {more:#?}");
}

#[test]
fn what_is_granted_is_called_or_its_exception_is_argued() {
    let (granted, used) = (granted(), used());
    let idle: Vec<_> = granted.difference(&used).collect();
    let is_exception = |call: &str| EXCEPTIONS.iter().any(|(part, _)| call.contains(part));
    let unargued: Vec<_> = idle.iter().filter(|call| !is_exception(call)).collect();
    println!("{} granted, {} recorded, {} exceptions", granted.len(), used.len(), idle.len());
    assert!(unargued.is_empty(), "granted, but never called: {unargued:#?}");
    for (part, _) in EXCEPTIONS {
        assert!(idle.iter().any(|call| call.contains(part)), "no longer an exception: {part}");
    }
}
