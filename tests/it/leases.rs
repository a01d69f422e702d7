//! Many instances of api lease at the same moment.

use std::collections::BTreeSet;

use domain::tenant::tier::Tier;
use futures_util::future::join_all;
use serde_json::json;
use store::testing::table::usage::Operation;

use crate::api_crashes::ids;
use crate::pipeline::Pipeline;

/// How many instances lease at the same moment, and how often.
const AT_ONCE: usize = 16;

const ROUNDS: usize = 3;

const LIMIT: usize = 10;

#[tokio::test]
async fn sixteen_instances_that_lease_at_once_get_what_they_want_and_waste_little() {
    let pipeline = Pipeline::of_tier(Tier::Business, 0);
    for n in 0..2 * AT_ONCE * ROUNDS * LIMIT {
        pipeline.post_event(&n.to_string()).await;
    }
    while pipeline.events_queue.next_visible().is_some() {
        pipeline.consume().await;
    }
    let instances: Vec<_> = (0..AT_ONCE).map(|_| pipeline.start_api()).collect();
    let path = "/api/inbox/lease";
    let wanted = json!({"lease_limit": LIMIT, "lease_seconds": 600});
    pipeline.tables.events.reset_usage();
    let (mut leased, mut total) = (BTreeSet::new(), 0);
    for _ in 0..ROUNDS {
        let requests = instances.iter().map(|api| pipeline.call_instance(api, "POST", path, &wanted));
        for lease in join_all(requests).await {
            total += ids(&lease).len();
            leased.extend(ids(&lease).into_iter().map(str::to_owned));
        }
    }
    let usage = pipeline.tables.events.usage();
    let writes = usize::try_from(usage.calls_of(Operation::Update)).unwrap();
    println!(
        "{AT_ONCE} instances leased {total} events in {} leases at once: {writes} writes of heads, {} of them in vain; {} half \
         read units; {:?}",
        AT_ONCE * ROUNDS,
        writes - total,
        usage.half_reads,
        usage.calls,
    );
    assert_eq!(leased.len(), total, "each event has one holder");
    assert!(total * 10 >= AT_ONCE * ROUNDS * LIMIT * 9, "{total}");
    assert!(writes - total <= total / 2, "{writes} writes for {total} events");
}
