//! Sending one event once more.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{busy, delete_endpoint, endpoint, read, tried};
use crate::queue::{act, lease};
use crate::support::client::{Reply, Tenant};
use crate::support::eventually;
use crate::support::receiver::Receiver;

/// Asks for an event once more.
pub(super) fn replay(tenant: &Tenant, id: &str, body: &Value) -> Reply {
    tenant.post(&format!("/api/events/{id}/replay"), body.to_string())
}

/// To which endpoints it goes once more.
fn opened(reply: &Reply) -> BTreeSet<String> {
    let document = reply.json();
    let ids = document["endpoint_ids"].as_array().expect("a list").iter();
    ids.map(|id| id.as_str().expect("an id").to_owned()).collect()
}

/// To which runs the attempts at an endpoint belong; each was the first of its run, and taken.
fn runs(event: &Value, endpoint: &str) -> Vec<Value> {
    let mut deliveries = event["deliveries"].as_array().expect("deliveries").iter();
    let delivery = deliveries.find(|delivery| delivery["endpoint_id"] == endpoint).expect("a delivery");
    let run = |attempt: &Value| {
        assert_eq!((&attempt["n"], &attempt["status"]), (&json!(1), &json!(200)));
        assert_eq!((&attempt["verdict"], &attempt["answer"]), (&json!("delivered"), &Value::Null));
        attempt["replay_id"].clone()
    };
    delivery["history"].as_array().expect("a list").iter().map(run).collect()
}

#[test]
fn an_event_goes_once_more_to_every_endpoint_that_had_it_or_to_the_one_that_is_named() {
    let tenant = Tenant::new();
    let [first, second, new] = [(); 3].map(|()| Receiver::answering(200));
    let ids = [&first, &second].map(|receiver| endpoint(&tenant, &receiver.url(), "a"));
    let id = tenant.accepted("a");
    tenant.stored_as("delivered", &id);
    let newcomer = endpoint(&tenant, &new.url(), "other");

    let all = tenant.post(&format!("/api/events/{id}/replay"), "").expect(202);
    assert_eq!((all.json()["id"].as_str(), opened(&all)), (Some(id.as_str()), ids.clone().into()));
    for receiver in [&first, &second] {
        let webhooks = receiver.wait_for(2);
        assert_eq!((webhooks[0].id(), webhooks[1].id()), (id.as_str(), id.as_str()));
        assert_eq!(webhooks[0].text(), webhooks[1].text());
        let replays = [0, 1].map(|n| webhooks[n].request.header("webhook-replay"));
        assert_eq!(replays, [None, all.json()["replay_id"].as_str()], "a receiver can tell them apart");
        assert_eq!([0, 1].map(|n| webhooks[n].header("webhook-attempt")), ["1", "1"]);
    }
    tenant.stored_as("delivered", &id);
    for delivery in read(&tenant, &id)["deliveries"].as_array().unwrap() {
        assert_eq!((&delivery["replay_id"], &delivery["attempts"]), (&all.json()["replay_id"], &json!(1)));
    }
    let runs_at = |endpoint: &str| runs(&read(&tenant, &id), endpoint);
    let first_run = all.json()["replay_id"].clone();
    for id in &ids {
        assert_eq!(runs_at(id), [Value::Null, first_run.clone()]);
    }

    let named = replay(&tenant, &id, &json!({"endpoint_id": ids[1]})).expect(202);
    assert_eq!(opened(&named), [ids[1].clone()].into());
    second.wait_for(3);
    tenant.stored_as("delivered", &id);
    assert_eq!(runs_at(&ids[0]).len(), 2);
    assert_eq!(runs_at(&ids[1]), [Value::Null, first_run, named.json()["replay_id"].clone()]);
    let listed = tenant.get(&format!("/api/endpoints/{}/attempts", ids[1])).expect(200).json();
    assert_eq!(listed["attempts"], json!([]), "they stand in their event alone");
    let added = replay(&tenant, &id, &json!({"endpoint_id": newcomer})).expect(202);
    assert_eq!(opened(&added), [newcomer].into());
    assert_eq!(new.wait_for(1)[0].id(), id);
    tenant.stored_as("delivered", &id);
    assert_eq!((first.received().len(), second.received().len(), new.received().len()), (2, 3, 1));
    assert_eq!(read(&tenant, &id)["deliveries"].as_array().map(Vec::len), Some(3));
}

#[test]
fn an_acknowledged_event_comes_back_to_the_inbox_and_no_old_lease_takes_it_out_again() {
    let (tenant, receiver) = (Tenant::new(), Receiver::answering(200));
    let id = tenant.accepted("a");
    tenant.shown_as("pending", &id);
    let (lease_id, _) = lease(&tenant, &json!({"lease_seconds": 600}));
    act(&tenant, "ack", &json!({"lease_id": lease_id})).expect(200);
    receiver.hold();
    let endpoint = endpoint(&tenant, &receiver.url(), "a");
    assert_eq!(tenant.inbox_ids(""), [""; 0]);

    replay(&tenant, &id, &json!({"endpoint_id": endpoint})).expect(202);
    tenant.shown_as("delivering", &id);
    receiver.wait_for(1);
    act(&tenant, "ack", &json!({"lease_id": lease_id})).problem(409, "lease-lost");
    tenant.shown_as("delivering", &id);
    replay(&tenant, &id, &json!({})).problem(409, "nothing-to-replay");
    receiver.release();
    tenant.stored_as("delivered", &id);
    assert_eq!(tenant.inbox_ids(""), [""; 0]);
    tenant.acknowledge(&id).expect(200);
    tenant.stored_as("delivered", &id);
}

#[test]
fn where_nothing_can_be_opened_again_nothing_happens() {
    let tenant = Tenant::new();
    let (busy, gone) = (busy(), Receiver::answering(410));
    let open_endpoint = endpoint(&tenant, &busy.url(), "open");
    let disabled = endpoint(&tenant, &gone.url(), "refused");
    let [open, refused, unwanted] = ["open", "refused", "unwanted"].map(|name| tenant.accepted(name));
    tried(&tenant, &open);
    tenant.stored_as("failed", &refused);
    tenant.stored_as("pending", &unwanted);
    eventually("the endpoint is disabled", || {
        let shown = tenant.get(&format!("/api/endpoints/{disabled}")).expect(200).json();
        (shown["state"] == "disabled").then_some(())
    });
    for (id, body) in [
        (&open, json!({})),
        (&open, json!({"endpoint_id": open_endpoint})),
        (&open, json!({"endpoint_id": disabled})),
        (&refused, json!({})),
        (&refused, json!({"endpoint_id": disabled})),
        (&unwanted, json!({})),
    ] {
        replay(&tenant, id, &body).problem(409, "nothing-to-replay");
    }
    let foreign = endpoint(&Tenant::new(), &busy.url(), "*");
    for unknown in [foreign.as_str(), "ep_1", ""] {
        replay(&tenant, &unwanted, &json!({"endpoint_id": unknown})).problem(404, "not-found");
    }
    delete_endpoint(&tenant, &open_endpoint);
    replay(&tenant, &open, &json!({"endpoint_id": open_endpoint})).problem(404, "not-found");
    replay(&tenant, &open, &json!({"endpoints": []})).problem(422, "invalid");
    replay(&tenant, &open, &json!([])).problem(422, "invalid");
    replay(&tenant, "evt_1", &json!({})).problem(404, "not-found");
    replay(&tenant.further_key(&["inbox:read"]), &open, &json!({})).problem(403, "forbidden");
    assert_eq!((busy.received().len(), gone.received().len()), (1, 1));
}
