//! One id and the very same bytes, from the 202 to the webhook, the inbox and the acknowledgement.

use std::time::Duration;

use aws::system_clock::SystemClock;
use domain::timestamp::Timestamp;
use store::clock::Clock;

use crate::support::client::Tenant;
use crate::support::python::verify;
use crate::support::receiver::{Received, Receiver};

/// What a careless store or sender would write in another way.
const PAYLOAD: &str = r#"{ "b":1.50,"a": 12345678901234567890123 ,"e":1E+2,"zero":-0.0,
	"text":"\u00e9\/\ud83d\ude00é😀","list":[1,  2 ,[]],"":{}}"#;

#[test]
fn a_webhook_is_a_signed_post_of_json() {
    let (tenant, receiver) = (Tenant::new(), Receiver::answering(200));
    let secret = tenant.set_webhook(&receiver.url_of("/a/path?with=a%20query")).unwrap();
    let before = SystemClock.now();
    tenant.post_event(format!(r#"{{"type":"user.created","payload":{PAYLOAD}}}"#)).expect(202);
    let webhook = receiver.wait_for(1).remove(0);
    assert_eq!(
        (webhook.request.method.as_str(), webhook.request.target.as_str()),
        ("POST", "/a/path?with=a%20query")
    );
    assert_eq!(webhook.header("content-type"), "application/json");
    assert_eq!(webhook.header("x-event-type"), "user.created");
    assert_eq!((webhook.header("webhook-attempt"), webhook.request.header("webhook-replay")), ("1", None));
    assert!(webhook.header("user-agent").starts_with("Triggers/"));
    assert_eq!(webhook.header("host"), receiver.url().split('/').nth(2).unwrap());
    let signed_at = Timestamp::from_seconds(webhook.header("webhook-timestamp").parse().unwrap());
    assert!(signed_at.after(Duration::from_secs(1)) >= before, "a fresh timestamp");

    let body = &webhook.request.body;
    assert_eq!(verify(&secret, &webhook, body).as_deref(), Ok("genuine"));
    let changed = webhook.text().replacen("1.50", "1.5", 1).into_bytes();
    assert_ne!(&changed, body);
    let refused = verify(&secret, &webhook, &changed).unwrap_err();
    assert!(refused.contains("WebhookVerificationError"), "{refused}");
}

#[test]
fn a_payload_comes_out_byte_for_byte() {
    let large = format!(r#"{{"pad":"{}","same":{PAYLOAD}}}"#, "0123456789abcdef".repeat(6_000));
    for payload in [PAYLOAD, &large] {
        let (tenant, receiver) = (Tenant::new(), Receiver::answering(200));
        tenant.set_webhook(&receiver.url());
        receiver.hold();
        let body = format!(r#"{{"payload":{payload},"type":"exact"}}"#);
        let id = tenant.post_event(body).expect(202).id();
        let webhook = receiver.wait_for(1).remove(0);
        let bytes = format!(r#""payload":{payload}"#);
        assert!(webhook.text().contains(&bytes), "in the webhook");
        assert_eq!(webhook.text().matches("\"payload\":").count(), 1);
        tenant.shown_as("delivering", &id);
        assert!(tenant.get("/api/inbox").expect(200).text().contains(&bytes), "in the inbox");
        receiver.release();
    }
}

#[test]
fn an_endpoint_created_a_moment_ago_gets_the_very_next_event() {
    for _ in 0..3 {
        let (tenant, receiver) = (Tenant::new(), Receiver::answering(200));
        let before = tenant.accepted("before");
        tenant.shown_as("pending", &before);
        tenant.set_webhook(&receiver.url());
        let after = tenant.accepted("after");
        tenant.stored_as("delivered", &after);
        assert_eq!(receiver.received().iter().map(Received::id).collect::<Vec<_>>(), [after]);
        assert_eq!(tenant.inbox_ids(""), [before], "what was there before stays in the inbox");
    }
}
