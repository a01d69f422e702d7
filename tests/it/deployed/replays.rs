//! A replay whose scheduler is killed.

use serde_json::json;

use crate::deployed::support::runtime::{Process, environment};
use crate::deployed::support::stack::shared;
use crate::replay_jobs::{all_are, ask, endpoint, post, read, times, until};
use crate::support::aws::dynamodb;
use crate::support::client::Tenant;
use crate::support::receiver::Receiver;
use crate::support::{eventually, tables};

const LONG_AGO: &str = "2024-01-01T00:00:00Z";

#[test]
fn a_scheduler_killed_in_the_middle_of_a_replay_is_followed_by_one_that_finishes_it() {
    let (tenant, receiver) = (Tenant::deployed(), Receiver::answering(200));
    endpoint(&tenant, &receiver);
    let ids: Vec<String> = (0..2).flat_map(|_| post(&tenant, 150)).collect();
    all_are(&tenant, "delivered", &ids);
    let asked = ask(&tenant, &json!({"since": LONG_AGO})).expect(202).json();
    let id = asked["id"].as_str().expect("an id");
    let scheduler = Process::start("scheduler", &environment("scheduler", &[]));
    scheduler.give("{}");
    eventually("some are opened again", || {
        tables::all_stored(&tenant, 1).iter().any(|head| head.status == "delivering").then_some(())
    });
    drop(scheduler); // SIGKILL
    let opened = tables::all_stored(&tenant, 1).iter().filter(|head| head.status == "delivering").count();
    let killed = read(&tenant, id);
    free(&tenant, id);
    let done = until(&tenant, id, "done");
    assert_eq!(
        (&done["seen"], &done["replayed"], &done["deliveries"]),
        (&json!(300), &json!(300), &json!(300))
    );
    all_are(&tenant, "delivered", &ids);
    let times = times(&receiver);
    let too_many: usize = ids.iter().map(|id| times[id] - 2).sum();
    println!(
        "killed with {opened} events open, {} of 300 noted: {too_many} webhooks came once too often",
        killed["seen"]
    );
}

/// Lets the time be over that a process had which was killed.
fn free(tenant: &Tenant, id: &str) {
    let summary = shared().summary();
    let key = json!({"pk": {"S": "jobs"}, "sk": {"S": format!("t#{}#{id}", tenant.id)}});
    let input = json!({"TableName": summary.tables["Schedule"], "Key": key,
        "UpdateExpression": "SET busy_until = :now", "ConditionExpression": "attribute_exists(pk)",
        "ExpressionAttributeValues": {":now": {"N": "0"}}});
    let _it_may_have_ended = dynamodb(&summary.emulator, "UpdateItem", &input);
}
