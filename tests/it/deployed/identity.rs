//! One id from the 202 to the webhook, the inbox and the acknowledgement.

use serde_json::{Value, json};

use crate::support::client::Tenant;
use crate::support::receiver::Receiver;

#[test]
fn the_id_is_the_same_everywhere() {
    let (tenant, receiver) = (Tenant::deployed(), Receiver::answering(204));
    tenant.set_webhook(&receiver.url());
    receiver.hold();
    let reply = tenant.post_event(r#"{"type":"user.created","payload":{"n":1}}"#).expect(202);
    let id = reply.id();
    let webhook = receiver.wait_for(1).remove(0);
    assert_eq!((webhook.id(), webhook.header("x-event-id")), (id.as_str(), id.as_str()));
    let created_at = reply.json()["accepted_at"].clone();
    let body: Value = serde_json::from_str(webhook.text()).unwrap();
    assert_eq!(
        body,
        json!({"id": id, "type": "user.created", "created_at": created_at, "payload": {"n": 1}})
    );
    tenant.stored_as("delivering", &id);
    let shown = tenant.get(&format!("/api/events/{id}")).expect(200).json();
    assert_eq!((&shown["created_at"], &shown["attempts"]), (&created_at, &json!(0)));
    receiver.release();
    tenant.stored_as("delivered", &id);
    assert!(tenant.inbox_ids("").is_empty(), "who took it has it");
    assert_eq!(tenant.acknowledge(&id).expect(200).json(), json!({"success": true}));
    assert_eq!(receiver.received().len(), 1);
}
