//! Many processes lease at the same moment.

use std::sync::Barrier;
use std::thread;

use serde_json::json;

use crate::deployed::support::desk::{Clerk, Desk};
use crate::deployed::support::stack::shared;
use crate::queue::fill;
use crate::support::client::Tenant;

/// How many processes lease at the same moment, and how often.
const AT_ONCE: usize = 16;

const ROUNDS: usize = 3;

const LIMIT: usize = 10;

#[test]
fn sixteen_processes_that_lease_at_once_get_what_they_want_and_waste_little() {
    let tenant = Tenant::deployed_of_tier("business");
    fill(&tenant, 2 * AT_ONCE * ROUNDS * LIMIT, &["a"]);
    let mut desk = Desk::open(shared(), &tenant, AT_ONCE);
    let together = Barrier::new(AT_ONCE);
    let wanted = json!({"lease_limit": LIMIT, "lease_seconds": 600});
    let lease = |clerk: &mut Clerk| -> usize {
        let once = |_| {
            together.wait();
            clerk.act(&tenant, "lease", &wanted)["results"].as_array().expect("results").len()
        };
        (0..ROUNDS).map(once).sum()
    };
    let lease = &lease;
    let leased: Vec<usize> = thread::scope(|scope| {
        let threads: Vec<_> = desk.clerks.iter_mut().map(|clerk| scope.spawn(move || lease(clerk))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (calls, total) = (desk.proxy.take_calls(), leased.iter().sum::<usize>());
    let writes = calls["UpdateItem"];
    println!(
        "{AT_ONCE} processes leased {total} events in {} leases at once: {writes} writes of heads, {} of them in vain; {} half read \
         units; {calls:?}",
        AT_ONCE * ROUNDS,
        writes - total,
        desk.proxy.take_half_units(),
    );
    assert!(total * 10 >= AT_ONCE * ROUNDS * LIMIT * 9, "{leased:?}");
    assert!(writes - total <= total / 2, "{writes} writes for {total} events");
}
