//! Notices as webhooks, by the real functions as their own roles.

use serde_json::json;

use crate::log::count_nine_leases;
use crate::support::client::Tenant;
use crate::support::eventually;
use crate::support::receiver::Receiver;

#[test]
fn the_real_functions_send_notices_to_the_endpoint_that_names_them() {
    let (tenant, healthy, gone) = (Tenant::deployed(), Receiver::answering(200), Receiver::answering(410));
    let endpoint = |receiver: &Receiver, patterns: &[&str]| {
        let body = json!({"url": receiver.url(), "event_types": patterns});
        tenant.post("/api/endpoints", body.to_string()).expect(201).id()
    };
    let listener = endpoint(&healthy, &["endpoint.*", "inbox.*"]);
    let disabled = endpoint(&gone, &["order.*"]);

    // Delivery sends the notice of an endpoint.
    tenant.accepted("order.created");
    let notice = &healthy.wait_for(1)[0];
    assert_eq!(notice.header("x-event-type"), "endpoint.disabled");
    assert!(notice.text().contains(&disabled), "{}", notice.text());

    // Api requests the notice of an event in quarantine, and the scheduler sends it.
    let poison = tenant.accepted("poison");
    tenant.shown_as("pending", &poison);
    count_nine_leases(&tenant, &poison);
    tenant.post("/api/inbox/lease", json!({"types": ["poison"]}).to_string()).expect(200);
    tenant.place.run_scheduler();
    let notice = &healthy.wait_for(2)[1];
    assert_eq!(notice.header("x-event-type"), "inbox.quarantined");
    assert!(notice.text().contains(&poison), "{}", notice.text());
    eventually("its last delivery is shown", || {
        let shown = tenant.get(&format!("/api/endpoints/{listener}")).expect(200).json();
        shown["last_delivered_at"].is_string().then_some(())
    });
}
