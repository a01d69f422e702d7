//! The emulator does what AWS does, where the promises rest on it. Spoken to directly, in the SDK's own protocol.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::deployed::support::sqs::{queue, receive, sqs};
use crate::deployed::support::stack::shared;
use crate::support::aws::dynamodb;
use crate::support::client::{Reply, Tenant};
use crate::support::eventually;

fn table(action: &str, mut input: Value) -> Reply {
    input["TableName"] = shared().summary().tables["Events"].clone().into();
    dynamodb(&shared().summary().emulator, action, &input)
}

/// A partition of its own.
fn key() -> Value {
    json!({"pk": {"S": format!("emulator#{}", Tenant::deployed().id)}, "sk": {"S": "-"}})
}

fn send(queue: &str, body: &str, delay_seconds: u32) -> Instant {
    let input =
        json!({"QueueUrl": queue, "MessageBody": body, "DelaySeconds": delay_seconds, "MessageGroupId": "t"});
    sqs("SendMessage", &input).expect(200);
    Instant::now()
}

#[test]
fn of_sixteen_conditional_puts_at_once_one_wins_and_the_others_get_what_it_wrote() {
    for _ in 0..5 {
        let key = key();
        let put = |writer: usize| {
            let mut item = key.clone();
            item["writer"] = json!({"N": writer.to_string()});
            let input = json!({"Item": item, "ConditionExpression": "attribute_not_exists(sk)",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD"});
            table("PutItem", input)
        };
        let replies: Vec<(usize, Reply)> = thread::scope(|scope| {
            let writers: Vec<_> = (0..16).map(|writer| (writer, scope.spawn(move || put(writer)))).collect();
            writers.into_iter().map(|(writer, reply)| (writer, reply.join().unwrap())).collect()
        });
        let winners: Vec<usize> =
            replies.iter().filter(|(_, reply)| reply.status == 200).map(|(writer, _)| *writer).collect();
        assert_eq!(winners.len(), 1, "{winners:?}");
        for (_, loser) in replies.iter().filter(|(writer, _)| *writer != winners[0]) {
            let error = loser.json();
            assert_eq!(loser.status, 400);
            assert!(
                error["__type"].as_str().unwrap().ends_with("ConditionalCheckFailedException"),
                "{error}"
            );
            assert_eq!(error["Item"]["writer"]["N"], winners[0].to_string(), "{error}");
        }
    }
}

#[test]
fn of_sixteen_updates_of_one_revision_at_once_one_wins() {
    let key = key();
    let mut item = key.clone();
    item["rev"] = json!({"N": "1"});
    table("PutItem", json!({"Item": item})).expect(200);
    for seen in 1..=5 {
        let update = || {
            let values = json!({":rev": {"N": (seen + 1).to_string()}, ":seen": {"N": seen.to_string()}});
            let input = json!({"Key": key, "UpdateExpression": "SET rev = :rev",
                "ConditionExpression": "rev = :seen", "ExpressionAttributeValues": values});
            table("UpdateItem", input).status
        };
        let statuses: Vec<u16> = thread::scope(|scope| {
            let writers: Vec<_> = (0..16).map(|_| scope.spawn(update)).collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 15, "{statuses:?}");
    }
    let stored = table("GetItem", json!({"Key": key, "ConsistentRead": true})).json();
    assert_eq!(stored["Item"]["rev"]["N"], "6");
}

#[test]
fn of_many_additions_under_a_ceiling_exactly_as_many_as_fit_win() {
    let key = key();
    let take = || {
        let values = json!({":one": {"N": "1"}, ":room": {"N": "9"}});
        let input = json!({"Key": key, "UpdateExpression": "ADD taken :one",
            "ConditionExpression": "attribute_not_exists(taken) OR taken <= :room",
            "ExpressionAttributeValues": values, "ReturnValues": "UPDATED_NEW"});
        table("UpdateItem", input).status
    };
    let statuses: Vec<u16> = thread::scope(|scope| {
        let takers: Vec<_> = (0..16).map(|_| scope.spawn(take)).collect();
        takers.into_iter().map(|taker| taker.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 10, "{statuses:?}");
}

#[test]
fn an_item_is_in_a_sparse_index_exactly_while_it_has_the_key() {
    let key = key();
    let partition = key["pk"]["S"].clone();
    let mut item = key.clone();
    item["pending_pk"] = json!({"S": partition});
    table("PutItem", json!({"Item": item})).expect(200);
    let indexed = || {
        let input = json!({"IndexName": "pending", "KeyConditionExpression": "pending_pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": partition}}});
        table("Query", input).expect(200).json()["Count"].clone()
    };
    assert_eq!(indexed(), 1);
    table("UpdateItem", json!({"Key": key, "UpdateExpression": "REMOVE pending_pk"})).expect(200);
    assert_eq!(indexed(), 0);
}

#[test]
fn a_message_that_nobody_deletes_comes_back_after_its_visibility_timeout_and_not_before() {
    let queue = queue(&json!({"VisibilityTimeout": "2"}));
    send(&queue, "a", 0);
    let first = receive(&queue);
    let taken = Instant::now();
    assert_eq!(first.len(), 1);
    assert_eq!(first[0]["Attributes"]["ApproximateReceiveCount"], "1");
    let again = eventually("it comes back", || receive(&queue).pop());
    assert!(taken.elapsed() >= Duration::from_millis(1500), "{:?}", taken.elapsed());
    assert_eq!((&again["MessageId"], &again["Body"]), (&first[0]["MessageId"], &json!("a")));
    assert_eq!(again["Attributes"]["ApproximateReceiveCount"], "2");
    let receipt = json!({"QueueUrl": queue, "ReceiptHandle": again["ReceiptHandle"]});
    sqs("DeleteMessage", &receipt).expect(200);
    let input = json!({"QueueUrl": queue, "AttributeNames": ["All"]});
    let left = sqs("GetQueueAttributes", &input).expect(200).json();
    for name in ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"] {
        assert_eq!(left["Attributes"][name], "0", "{left}");
    }
}

#[test]
fn a_message_taken_too_often_moves_to_the_dead_letter_queue_as_it_was() {
    let dead_letters = queue(&json!({}));
    let attributes = json!({"QueueUrl": dead_letters, "AttributeNames": ["QueueArn"]});
    let arn = sqs("GetQueueAttributes", &attributes).expect(200).json()["Attributes"]["QueueArn"].clone();
    let redrive = json!({"deadLetterTargetArn": arn, "maxReceiveCount": "2"}).to_string();
    let source = queue(&json!({"VisibilityTimeout": "0", "RedrivePolicy": redrive}));
    send(&source, "poison \u{1f600}", 0);
    let mut taken = 0;
    let dead = eventually("it is a dead letter", || {
        taken += receive(&source).len();
        receive(&dead_letters).pop()
    });
    assert_eq!((taken, &dead["Body"]), (2, &json!("poison \u{1f600}")));
}

#[test]
fn a_delayed_message_does_not_come_before_its_time() {
    let queue = queue(&json!({}));
    let sent = send(&queue, "late", 5);
    send(&queue, "at once", 0);
    assert_eq!(eventually("one comes", || receive(&queue).pop())["Body"], "at once");
    assert_eq!(eventually("the other comes", || receive(&queue).pop())["Body"], "late");
    assert!(sent.elapsed() >= Duration::from_millis(4900), "{:?}", sent.elapsed());
}
