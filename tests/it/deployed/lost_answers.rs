//! AWS did what it was asked and its answer was lost, or the process died between two steps: an event that is opened again
//! is sent, and one that is deleted stays so.

use serde_json::{Value, json};

use crate::deployed::support::desk::Desk;
use crate::deployed::support::proxy::{Fault, Rule};
use crate::deployed::support::stack::shared;
use crate::log::endpoint;
use crate::support::client::{Reply, Tenant};
use crate::support::receiver::Receiver;
use crate::support::{eventually, tables};

/// How often the SDK tries a call.
const ATTEMPTS: usize = 3;

/// One process of api whose calls to AWS go through a proxy.
fn api() -> Desk {
    Desk::start(shared(), 1)
}

/// A tenant and its event that an endpoint has taken.
fn delivered(receiver: &Receiver) -> (Tenant, String) {
    let tenant = Tenant::deployed();
    endpoint(&tenant, &receiver.url(), "*");
    let id = tenant.accepted("a");
    tenant.stored_as("delivered", &id);
    (tenant, id)
}

#[test]
fn an_event_is_sent_that_was_opened_without_our_hearing_of_it() {
    let (receiver, api) = (Receiver::answering(200), api());
    let (tenant, id) = delivered(&receiver);
    api.proxy.spoil(Rule::every("UpdateItem", Fault::AnswerLost).with("deliveries").times(1));
    let reply = api.clerks[0].ask(&tenant, "POST", &format!("/api/events/{id}/replay"), "").expect(202);
    assert!(api.proxy.take_repeats() >= 1, "the SDK tried again");
    assert_eq!(reply.json()["endpoint_ids"].as_array().map(Vec::len), Some(1));
    receiver.wait_for(2);
    tenant.stored_as("delivered", &id);
    assert_eq!((receiver.received().len(), tables::due_rows(&tenant, &id)), (2, vec![]));
}

/// Lets the rows of an event's messages be due now.
fn hurry(tenant: &Tenant, event: &str) {
    for mut row in tables::due_rows(tenant, event) {
        row["due_at"]["N"] = "1".into();
        row["sk"]["S"] = format!("{:015}{}", 1, &row["sk"]["S"].as_str().unwrap()[15..]).into();
        tables::put_row(tenant, &row);
    }
    tenant.place.run_scheduler();
}

#[test]
fn an_event_is_sent_by_the_scheduler_where_we_die_after_opening_it() {
    let opened = Rule::every("UpdateItem", Fault::AnswerLost).with("deliveries").times(ATTEMPTS);
    let unsent = Rule::every("SendMessageBatch", Fault::Status(500)).times(ATTEMPTS);
    for (rule, told) in [(opened, 503), (unsent, 202)] {
        let (receiver, api) = (Receiver::answering(200), api());
        let (tenant, id) = delivered(&receiver);
        api.proxy.spoil(rule);
        api.clerks[0].ask(&tenant, "POST", &format!("/api/events/{id}/replay"), "").expect(told);
        assert_eq!(tables::due_rows(&tenant, &id).len(), 1, "its message waits in the schedule");
        hurry(&tenant, &id);
        receiver.wait_for(2);
        tenant.stored_as("delivered", &id);
    }
}

#[test]
fn a_row_that_is_left_behind_does_not_make_a_replay_fail_nor_send_anything_twice() {
    let (receiver, api) = (Receiver::answering(200), api());
    let (tenant, id) = delivered(&receiver);
    api.proxy.spoil(Rule::every("BatchWriteItem", Fault::Status(500)).times(ATTEMPTS));
    api.clerks[0].ask(&tenant, "POST", &format!("/api/events/{id}/replay"), "").expect(202);
    receiver.wait_for(2);
    tenant.stored_as("delivered", &id);
    assert_eq!(tables::due_rows(&tenant, &id).len(), 1);
    hurry(&tenant, &id);
    eventually("its copy is dealt with", || (tables::due_rows(&tenant, &id).len() == 1).then_some(()));
    tenant.stored_as("delivered", &id);
    assert_eq!(receiver.received().len(), 2);
}

#[test]
fn a_deletion_that_nobody_heard_of_is_done_by_its_repeat() {
    let (receiver, api) = (Receiver::answering(200), api());
    let (tenant, id) = delivered(&receiver);
    let path = format!("/api/events/{id}");
    let left = || -> Vec<Value> { tables::all_of(&tenant, &id) };
    api.proxy.spoil(Rule::every("PutItem", Fault::AnswerLost).times(1));
    api.proxy.spoil(Rule::every("BatchWriteItem", Fault::Status(500)).times(ATTEMPTS));
    api.clerks[0].ask(&tenant, "DELETE", &path, "").unavailable();
    api.clerks[0].ask(&tenant, "GET", &path, "").problem(404, "not-found");
    api.clerks[0].ask(&tenant, "DELETE", &path, "").expect(204);
    assert_eq!((left().len(), &left()[0]["status"]["S"]), (1, &json!("deleted")));
}

#[test]
fn a_replay_that_nobody_heard_of_is_found_by_the_clients_repeat() {
    let (tenant, api) = (Tenant::deployed(), api());
    for lost in [1, ATTEMPTS] {
        let name = format!("{lost} answers lost");
        api.proxy.spoil(Rule::every("TransactWriteItems", Fault::AnswerLost).times(lost));
        let wanted = json!({"since": "2024-01-01T00:00:00Z"});
        let ask = || api.clerks[0].ask_as(&tenant, "POST", "/api/replays", &name, &wanted);
        let first = ask();
        if lost == ATTEMPTS {
            first.unavailable();
        } else {
            assert_eq!(first.expect(202).header("idempotency-replayed"), None, "our own write is ours");
        }
        let again = ask().expect(202);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(ask().id(), again.id());
    }
}

#[test]
fn an_erasure_that_nobody_heard_of_is_told_to_the_clients_repeat() {
    let [job, mark] = ["TransactWriteItems", "UpdateItem"].map(|write| Rule::every(write, Fault::AnswerLost));
    let keys = Rule::every("BatchWriteItem", Fault::AnswerLost);
    for (lost, status) in [(job, 503), (mark.with("erased_by"), 503), (keys, 202)] {
        let (tenant, api) = (Tenant::deployed(), api());
        let erase =
            || api.clerks[0].ask_as(&tenant, "DELETE", "/api/tenant", "-", &json!({"confirm": "A story"}));
        api.proxy.spoil(lost.times(ATTEMPTS));
        erase().expect(status);
        let told = erase().expect(202).json();
        assert_eq!(erase().expect(202).json(), told);
        let receipt = api.clerks[0].ask(&tenant, "GET", told["receipt_url"].as_str().expect("a path"), "");
        assert_eq!(receipt.expect(200).json()["erasure_id"], told["erasure_id"]);
        tenant.get("/api/keys").problem(401, "unauthorized");
    }
}

#[test]
fn a_replay_whose_name_another_transaction_was_in_the_way_of_is_asked_for_again() {
    let (tenant, api) = (Tenant::deployed(), api());
    let wanted = json!({"since": "2024-01-01T00:00:00Z"});
    let ask = |name| api.clerks[0].ask_as(&tenant, "POST", "/api/replays", name, &wanted);
    api.proxy.spoil(Rule::every("TransactWriteItems", Fault::Conflict).times(2));
    let id = ask("at once").expect(202).id();
    assert_eq!(ask("at once").expect(202).id(), id);
    api.proxy.spoil(Rule::every("TransactWriteItems", Fault::Conflict));
    ask("never").unavailable();
}

#[test]
fn whoever_asks_for_an_erasure_that_another_key_asked_for_is_told_of_that_one() {
    let api = api();
    let erase =
        |by: &Tenant| api.clerks[0].ask_as(by, "DELETE", "/api/tenant", "-", &json!({"confirm": "A story"}));
    eventually("both keys ask before the scheduler deletes them", || {
        let (tenant, told) = (Tenant::deployed(), |reply: Reply| reply.expect(202).json());
        let other = tenant.further_key(&["tenant:admin"]);
        api.proxy.spoil(Rule::every("BatchWriteItem", Fault::Refused).times(ATTEMPTS)); // the keys live on for a while
        let first = told(erase(&tenant));
        api.proxy.heal();
        let second = erase(&other);
        if second.status == 401 {
            return None;
        }
        assert_eq!(told(second), first);
        assert_eq!([&other, &tenant].map(|key| told(erase(key))), [first.clone(), first]);
        other.get("/api/keys").problem(401, "unauthorized");
        Some(())
    });
}
