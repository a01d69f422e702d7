//! What endpoints answer, and what becomes of the event.

use std::time::Duration;

use aws::system_clock::SystemClock;
use domain::timestamp::Timestamp;
use serde_json::json;
use store::clock::Clock;

use crate::support::client::Tenant;
use crate::support::python::verify;
use crate::support::receiver::{Answer, Received, Receiver, closed_address};
use crate::support::{eventually, tables};

/// The time from the first webhook to the second.
fn pause(webhooks: &[Received]) -> Duration {
    webhooks[1].at - webhooks[0].at
}

#[test]
fn an_endpoint_that_fails_once_gets_the_same_event_again_about_five_seconds_later() {
    let (tenant, receiver) =
        (Tenant::new(), Receiver::with_script([Answer::status(500), Answer::status(200)]));
    let secret = tenant.set_webhook(&receiver.url()).unwrap();
    let id = tenant.accepted("a");
    receiver.wait_for(1);
    tenant.shown_as("delivering", &id);

    let webhooks = receiver.wait_for(2);
    assert!(pause(&webhooks) >= Duration::from_secs(4), "5 s, at most a fifth less: {:?}", pause(&webhooks));
    println!("500, then the next attempt {:?} later", pause(&webhooks));
    assert_eq!((webhooks[0].id(), webhooks[1].id()), (id.as_str(), id.as_str()));
    assert_eq!(webhooks[0].text(), webhooks[1].text());
    assert_ne!(webhooks[0].header("webhook-timestamp"), webhooks[1].header("webhook-timestamp"));
    for webhook in &webhooks {
        assert_eq!(verify(&secret, webhook, &webhook.request.body).as_deref(), Ok("genuine"));
    }
    assert_eq!(tenant.stored_as("delivered", &id).deliveries, [(2, "delivered".to_owned())]);
    assert!(tenant.inbox_ids("").is_empty());
}

#[test]
fn an_endpoint_that_asks_for_a_pause_gets_it_in_full() {
    let busy = Answer::status(503).header("retry-after", "8");
    let (tenant, receiver) = (Tenant::new(), Receiver::with_script([busy, Answer::status(200)]));
    tenant.set_webhook(&receiver.url());
    let id = tenant.accepted("a");
    let webhooks = receiver.wait_for(2);
    assert!(pause(&webhooks) >= Duration::from_secs(8), "{:?}", pause(&webhooks));
    println!("503 with Retry-After 8, then the next attempt {:?} later", pause(&webhooks));
    tenant.stored_as("delivered", &id);
}

#[test]
fn a_pause_longer_than_the_queue_can_delay_waits_in_the_schedule() {
    let busy = Answer::status(503).header("retry-after", "1200");
    let (tenant, receiver) = (Tenant::new(), Receiver::with_script([busy]));
    tenant.set_webhook(&receiver.url());
    let id = tenant.accepted("a");
    receiver.wait_for(1);
    let row = eventually("there is a row", || tables::due_rows(&tenant, &id).pop());
    let due_at: u64 = row["due_at"]["N"].as_str().unwrap().parse().unwrap();
    let wait = Timestamp::from_millis(due_at).since(SystemClock.now());
    assert!((1100..=1200).contains(&wait.as_secs()), "{wait:?}");

    let mut early = row.clone(); // what a row whose time has come looks like
    early["due_at"]["N"] = "1".into();
    early["sk"]["S"] = format!("{:015}{}", 1, &row["sk"]["S"].as_str().unwrap()[15..]).into();
    tables::put_row(&tenant, &early);
    tenant.place.run_scheduler();
    eventually("its message came, found that it is early, and waits again", || {
        (tables::due_rows(&tenant, &id) == [row.clone()]).then_some(())
    });
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn an_endpoint_that_is_gone_gets_nothing_more_and_its_events_stay_in_the_inbox() {
    let (tenant, receiver) = (Tenant::new(), Receiver::answering(410));
    tenant.set_webhook(&receiver.url());
    let first = tenant.accepted("a");
    assert_eq!(tenant.stored_as("failed", &first).deliveries, [(1, "failed".to_owned())]);
    let second = tenant.accepted("a");
    tenant.shown_as("failed", &second);
    tenant.shown_as("failed", &first);
    assert_eq!(receiver.received().iter().map(Received::id).collect::<Vec<_>>(), [first]);
    assert_eq!(tenant.inbox_ids("?status=failed").len(), 2);

    let revived = Receiver::answering(200);
    tenant.set_webhook(&revived.url());
    let third = tenant.accepted("a");
    tenant.stored_as("delivered", &third);
    assert_eq!(
        revived.received().iter().map(Received::id).collect::<Vec<_>>(),
        [third],
        "the others had their end"
    );
}

#[test]
fn events_for_an_endpoint_that_is_down_wait_in_the_inbox_until_it_is_back_at_another_url() {
    let tenant = Tenant::new();
    let secret = tenant.set_webhook(&format!("{}/hook", closed_address())).unwrap();
    let id = tenant.accepted("a");
    assert_eq!(tenant.stored_as("delivering", &id).id, id);
    let receiver = Receiver::answering(200);
    let shown = crate::support::eventually("the first attempt is recorded", || {
        let shown = tenant.shown_as("delivering", &id);
        (shown["attempts"].as_u64() >= Some(1)).then_some(shown)
    });
    assert_eq!(shown["delivery_status"], "delivering");
    assert_eq!(tenant.set_webhook(&receiver.url()), None, "its secret is shown once");
    let webhook = receiver.wait_for(1).remove(0);
    assert_eq!(webhook.id(), id);
    assert_eq!(verify(&secret, &webhook, &webhook.request.body).as_deref(), Ok("genuine"));
    tenant.stored_as("delivered", &id);
}

#[test]
fn the_next_attempt_goes_to_the_url_as_it_is_then() {
    let asks_for_time = Receiver::with_script([Answer::status(503).header("retry-after", "8")]);
    let (tenant, old, new) = (Tenant::new(), asks_for_time, Receiver::answering(200));
    tenant.set_webhook(&old.url());
    let id = tenant.accepted("a");
    old.wait_for(1);
    tenant.set_webhook(&new.url());
    assert_eq!(new.wait_for(1)[0].id(), id);
    assert_eq!(tenant.stored_as("delivered", &id).deliveries, [(2, "delivered".to_owned())]);
    assert_eq!((old.received().len(), new.received().len()), (1, 1));
}

#[test]
fn an_acknowledgement_ends_the_attempts() {
    let later_than_any_second_attempt = Answer::status(503).header("retry-after", "8");
    let script = [later_than_any_second_attempt.clone(), later_than_any_second_attempt, Answer::status(200)];
    let (tenant, receiver) = (Tenant::new(), Receiver::with_script(script));
    tenant.set_webhook(&receiver.url());
    let acked = tenant.accepted("a");
    receiver.wait_for(1);
    tenant.acknowledge(&acked).expect(200);
    assert!(tenant.inbox_ids("").is_empty());
    let other = tenant.accepted("a");
    let webhooks = receiver.wait_for(3);
    let ids: Vec<&str> = webhooks.iter().map(Received::id).collect();
    assert_eq!(ids, [acked.as_str(), &other, &other], "no second attempt for what was acknowledged");
    tenant.stored_as("delivered", &other);
    let states = tenant.stored_as("acked", &acked).deliveries;
    assert!(states.iter().all(|(_, state)| state == "acked"), "{states:?}");
}

#[test]
fn a_success_that_comes_after_an_acknowledgement_changes_nothing() {
    let (tenant, receiver) = (Tenant::new(), Receiver::answering(200));
    tenant.set_webhook(&receiver.url());
    receiver.hold();
    let id = tenant.accepted("a");
    receiver.wait_for(1);
    tenant.acknowledge(&id).expect(200);
    receiver.release();
    let other = tenant.accepted("a");
    tenant.stored_as("delivered", &other);
    assert_eq!(tenant.stored_as("acked", &id).deliveries, [(0, "acked".to_owned())]);
    assert!(tenant.inbox_ids("").is_empty());
}

#[test]
fn a_redirect_is_a_failure_and_nobody_follows_it() {
    let elsewhere = Receiver::answering(200);
    let redirect = Answer::status(302).header("location", &elsewhere.url());
    let (tenant, receiver) = (Tenant::new(), Receiver::with_script([redirect, Answer::status(200)]));
    tenant.set_webhook(&receiver.url());
    let id = tenant.accepted("a");
    let webhooks = receiver.wait_for(2);
    assert_eq!(webhooks[1].id(), id);
    assert_eq!([0, 1].map(|n| webhooks[n].header("webhook-attempt")), ["1", "2"]);
    assert_eq!(tenant.stored_as("delivered", &id).deliveries, [(2, "delivered".to_owned())]);
    assert_eq!(elsewhere.received().len(), 0);
    let history =
        tenant.get(&format!("/api/events/{id}")).expect(200).json()["deliveries"][0]["history"].take();
    assert_eq!(
        history[0]["answer"],
        format!("Location: {}\n\n", elsewhere.url()),
        "the owner sees the target"
    );
}

#[test]
fn only_the_two_spellings_of_this_machine_are_taken_locally_and_nothing_else_that_is_private() {
    let tenant = Tenant::new();
    for url in ["http://127.0.0.1:9/hook", "http://localhost:9/hook", "https://hooks.example.com/a?b=c"] {
        tenant.set_webhook(url);
    }
    for url in [
        "http://example.com/hook",
        "http://127.1:9/",
        "http://0x7f.1:9/",
        "http://127.0.0.2:9/",
        "http://[::1]:9/",
        "http://LOCALHOST:9/",
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://user:password@example.com/",
        "https://example.com:444/",
        "https://service.internal/",
        "https://localhost/",
        "ftp://example.com/",
        "nonsense",
    ] {
        let answer = tenant.post("/api/webhook/config", json!({"webhook_url": url}).to_string());
        let document = answer.problem(422, "invalid");
        assert_eq!(document["errors"][0]["pointer"], "/webhook_url", "{url}");
    }
}
