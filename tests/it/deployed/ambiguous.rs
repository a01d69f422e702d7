//! AWS did what it was asked, and its answer was lost: nobody knows, yet one event is stored, and nothing is promised
//! that did not happen.

use std::collections::HashSet;

use serde_json::{Value, json};
use store::envelope::read_event;

use crate::deployed::support::front_door::{FrontDoor, named, plain};
use crate::deployed::support::proxy::{Fault, Rule};
use crate::deployed::support::runtime::{Process, environment};
use crate::deployed::support::sqs::{queue, receive};
use crate::support::client::{Reply, Tenant};
use crate::support::{tables, within_one_minute};

/// How often the SDK tries a call.
const ATTEMPTS: usize = 2;

const LOST: Fault = Fault::AnswerLost;

/// Takes everything out of a queue that nobody else reads.
fn take_all(queue: &str) -> Vec<Value> {
    std::iter::repeat_with(|| receive(queue)).take_while(|taken| !taken.is_empty()).flatten().collect()
}

fn id_in(message: &Value) -> String {
    read_event(message["Body"].as_str().unwrap()).unwrap().id.to_string()
}

/// Gives consumer these messages, each in a batch of its own.
fn consume(messages: &[Value]) {
    let consumer = Process::start("consumer", &environment("consumer", &[]));
    for message in messages {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../events/consumer-event.json")).unwrap();
        event["Records"][0]["body"] = message["Body"].clone();
        assert_eq!(consumer.invoke(&event.to_string()), json!({"batchItemFailures": []}));
    }
}

fn stored_ids(tenant: &Tenant) -> HashSet<String> {
    let stored = tables::all_stored(tenant, 1);
    let ids: HashSet<_> = stored.iter().map(|head| head.id.clone()).collect();
    assert_eq!(ids.len(), stored.len(), "each once");
    ids
}

/// Waits until these events are stored, and checks that they are all there is.
#[track_caller]
fn stored_are(tenant: &Tenant, ids: &[String]) {
    tenant.all_shown_as("pending", ids);
    assert_eq!(stored_ids(tenant), ids.iter().cloned().collect());
}

/// The results of a batch: the id of each item that was taken, the status of each that was not.
fn results(reply: &Reply) -> Vec<Result<String, u64>> {
    let answer = reply.json();
    let result = |item: &Value| match item["id"].as_str() {
        Some(id) => Ok(id.to_owned()),
        None => Err(item["error"]["status"].as_u64().unwrap()),
    };
    answer["results"].as_array().unwrap().iter().map(result).collect()
}

fn ids(reply: &Reply) -> Vec<String> {
    results(reply).into_iter().map(|result| result.expect("every item was taken")).collect()
}

/// Which items were refused; each of them with 503.
fn refused(reply: &Reply) -> Vec<usize> {
    let results = results(reply).into_iter().enumerate();
    let refused = results.filter_map(|(index, result)| Some((index, result.err()?)));
    refused.inspect(|(_, status)| assert_eq!(*status, 503)).map(|(index, _)| index).collect()
}

fn twelve() -> Vec<Value> {
    (10..22).map(|number| named(&format!("item-{number}"))).collect()
}

#[test]
fn a_claim_whose_answer_was_lost_is_recognised_as_our_own() {
    let (tenant, door) = (Tenant::deployed(), FrontDoor::open());
    door.proxy.spoil(Rule::every("PutItem", LOST).times(1));
    let id = door.post(&tenant, &named("a")).expect(202).id();
    assert!(door.proxy.take_repeats() >= 1, "the SDK tried again");
    assert_eq!(door.post(&tenant, &named("a")).expect(409).id(), id);
    stored_are(&tenant, &[id]);
}

#[test]
fn a_claim_that_nobody_heard_of_is_found_by_the_clients_repeat() {
    let queue = queue(&json!({}));
    let (tenant, door) = (Tenant::deployed(), FrontDoor::onto(&queue));
    door.proxy.spoil(Rule::every("PutItem", LOST).times(ATTEMPTS));
    door.post(&tenant, &named("a")).unavailable();
    assert!(take_all(&queue).is_empty(), "nothing is sent without a claim");

    let id = door.post(&tenant, &named("a")).expect(202).id(); // the claim is marked: the client saw a 503 alone
    let messages = take_all(&queue);
    assert_eq!(messages.iter().map(id_in).collect::<Vec<_>>(), vec![id.clone(); 1], "a repeat is sent again");
    consume(&messages);
    stored_are(&tenant, &[id]);
}

#[test]
fn tokens_whose_lease_was_not_answered_are_leased_once() {
    let (statuses, repeats) = within_one_minute(|| {
        let (tenant, door) = (Tenant::deployed_of_tier("free"), FrontDoor::open());
        let post = |number: usize| {
            if number.is_multiple_of(10) {
                door.proxy.spoil(Rule::every("UpdateItem", LOST).with("#minute#").times(1));
            }
            door.post(&tenant, &plain()).status
        };
        let statuses: Vec<u16> = (0..101).map(post).collect();
        (statuses, door.proxy.take_repeats())
    });
    assert_eq!(repeats, 10);
    assert_eq!(statuses[..100], [202; 100]);
    assert_eq!(statuses[100], 429);
}

#[test]
fn a_message_whose_answer_was_lost_is_sent_twice_and_stored_once() {
    let queue = queue(&json!({}));
    let (tenant, door) = (Tenant::deployed(), FrontDoor::onto(&queue));
    for event in [plain(), named("a")] {
        door.proxy.spoil(Rule::every("SendMessageBatch", LOST).times(1));
        let id = door.post(&tenant, &event).expect(202).id();
        let messages = take_all(&queue);
        assert_eq!(messages.iter().map(id_in).collect::<Vec<_>>(), vec![id.clone(); 2]);
        let before = stored_ids(&tenant);
        consume(&messages);
        assert_eq!(stored_ids(&tenant).difference(&before).collect::<Vec<_>>(), [&id]);
    }
}

#[test]
fn a_message_that_nobody_heard_of_is_no_202_and_the_clients_repeat_is_the_same_event() {
    let queue = queue(&json!({}));
    let (tenant, door) = (Tenant::deployed(), FrontDoor::onto(&queue));
    door.proxy.spoil(Rule::every("SendMessageBatch", LOST).times(ATTEMPTS));
    door.post(&tenant, &named("a")).unavailable();
    let mut messages = take_all(&queue);
    assert_eq!(messages.len(), ATTEMPTS, "both were taken, whatever we know of it");

    let id = door.post(&tenant, &named("a")).expect(202).id();
    messages.extend(take_all(&queue));
    assert_eq!(messages.iter().map(id_in).collect::<Vec<_>>(), vec![id.clone(); ATTEMPTS + 1]);
    consume(&messages);
    stored_are(&tenant, &[id]);
}

#[test]
fn an_idempotency_key_that_was_answered_503_gets_its_first_202() {
    let (tenant, door) = (Tenant::deployed(), FrontDoor::open());
    let key = [("Idempotency-Key", "request 1")];
    door.proxy.spoil(Rule::every("SendMessageBatch", LOST).times(ATTEMPTS));
    door.post_with(&tenant, &key, &plain()).unavailable();
    let again = door.post_with(&tenant, &key, &plain()).expect(202);
    assert_eq!(again.header("idempotency-replayed"), None);
    stored_are(&tenant, &[again.id()]);
}

#[test]
fn claims_and_messages_of_a_batch_whose_answers_were_lost_once_are_all_accepted() {
    let (tenant, door) = (Tenant::deployed(), FrontDoor::open());
    door.proxy.spoil(Rule::every("PutItem", LOST).times(1));
    door.proxy.spoil(Rule::every("SendMessageBatch", LOST).with("item-11").times(1));
    door.proxy.spoil(Rule::every("SendMessageBatch", LOST).with("item-21").times(1));
    let reply = door.post_batch(&tenant, &twelve()).expect(202);
    assert!(door.proxy.take_repeats() >= 3, "a claim and both calls to the queue");
    stored_are(&tenant, &ids(&reply));
}

#[test]
fn only_the_items_whose_call_nobody_heard_of_are_refused_and_their_repeat_is_the_same_event() {
    let (tenant, door) = (Tenant::deployed(), FrontDoor::open());
    door.proxy.spoil(Rule::every("SendMessageBatch", LOST).with("item-21").times(ATTEMPTS));
    let reply = door.post_batch(&tenant, &twelve()).expect(207);
    assert_eq!(refused(&reply), [10, 11], "the queue takes ten messages in a call");
    let again = door.post_batch(&tenant, &twelve()).expect(207);
    let again_of = |member: &str| again.json()[member].clone();
    assert_eq!(["accepted", "duplicate", "rejected"].map(again_of), [json!(2), json!(10), json!(0)]);
    assert_eq!(results(&again)[..10], results(&reply)[..10]);
    stored_are(&tenant, &ids(&again));
}

#[test]
fn only_the_item_whose_claim_nobody_heard_of_is_refused() {
    let (tenant, door) = (Tenant::deployed(), FrontDoor::open());
    door.proxy.spoil(Rule::every("PutItem", LOST).times(ATTEMPTS));
    let reply = door.post_batch(&tenant, &[plain(), named("a"), plain()]).expect(207);
    assert_eq!(refused(&reply), [1]);
    let accepted: Vec<String> = results(&reply).into_iter().flatten().collect();
    stored_are(&tenant, &accepted);
}

#[test]
fn the_503_sits_on_exactly_the_entries_that_the_queue_refused_or_forgot() {
    for fault in [Fault::EntriesRefused(&[1, 3]), Fault::EntriesForgotten(&[1, 3])] {
        let (tenant, door) = (Tenant::deployed(), FrontDoor::open());
        door.proxy.spoil(Rule::every("SendMessageBatch", fault).times(1));
        let batch: Vec<Value> = (0..5).map(|number| named(&format!("item-{number}"))).collect();
        let reply = door.post_batch(&tenant, &batch).expect(207);
        assert_eq!(refused(&reply), [1, 3], "{fault:?}");
        let accepted: Vec<String> = results(&reply).into_iter().flatten().collect();
        stored_are(&tenant, &accepted);

        let again = door.post_batch(&tenant, &batch).expect(207);
        assert_eq!(
            (&again.json()["accepted"], &again.json()["duplicate"]),
            (&json!(2), &json!(3)),
            "{fault:?}"
        );
        stored_are(&tenant, &ids(&again));
    }
}

#[test]
fn an_event_that_the_queue_refused_in_an_answer_of_200_is_no_202() {
    for fault in [Fault::EntriesRefused(&[0]), Fault::EntriesForgotten(&[0])] {
        let (tenant, door) = (Tenant::deployed(), FrontDoor::open());
        door.proxy.spoil(Rule::every("SendMessageBatch", fault).times(1));
        door.post(&tenant, &named("a")).unavailable();
        let id = door.post(&tenant, &named("a")).expect(202).id();
        stored_are(&tenant, &[id]);
    }
}

#[test]
fn errors_of_the_services_themselves_are_tried_again_and_then_told() {
    let (tenant, door) = (Tenant::deployed(), FrontDoor::open());
    for (operation, status) in [("PutItem", 500), ("SendMessageBatch", 503)] {
        let fault = Fault::Status(status);
        door.proxy.spoil(Rule::every(operation, fault).times(ATTEMPTS - 1));
        let id = door.post(&tenant, &named(operation)).expect(202).id();
        door.proxy.spoil(Rule::every(operation, fault).times(ATTEMPTS));
        door.post(&tenant, &named(operation)).unavailable();
        assert_eq!(door.post(&tenant, &named(operation)).expect(409).id(), id);
    }
}
