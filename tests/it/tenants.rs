//! What a tenant says about itself, and what is said about it: how long its events are kept, its tier, its end.

use std::time::Duration;

use crate::pipeline::Pipeline;

#[tokio::test]
async fn an_event_of_an_erased_tenant_is_dropped() {
    let pipeline = Pipeline::with_endpoints(1);
    assert_eq!(pipeline.post_event("before").await.status(), 202);
    pipeline.control.erase(&pipeline.tenant);
    let response = pipeline.consume().await;
    assert!(response.batch_item_failures.is_empty(), "its message is done");
    assert_eq!(pipeline.events_queue.next_visible(), None);
    assert!(pipeline.events.all().is_empty() && pipeline.delivery_messages().is_empty());
    assert_eq!(pipeline.limits.counted().stored, 0);
    pipeline.run_until_quiet().await;
    assert!(pipeline.webhooks.received().is_empty());
}

#[tokio::test]
async fn an_event_is_kept_for_as_long_as_tier_and_tenant_both_keep_it() {
    for (wanted, days) in [(None, 30), (Some(3), 3), (Some(30), 30), (Some(90), 30)] {
        let pipeline = Pipeline::with_endpoints(0);
        if let Some(wanted) = wanted {
            pipeline.control.set_retention_days(&pipeline.tenant, wanted);
        }
        pipeline.post_event("one").await;
        pipeline.consume().await;
        let head = pipeline.only_head();
        assert_eq!(
            head.expires_at,
            head.id.accepted_at().after(Duration::from_hours(24 * days)),
            "{wanted:?}"
        );
    }
}
