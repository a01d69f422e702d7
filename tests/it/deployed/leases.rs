//! Many processes lease at the same moment.

use std::sync::Barrier;
use std::thread;

use serde_json::{Value, json};

use crate::deployed::support::desk::{Clerk, Desk};
use crate::deployed::support::stack::shared;
use crate::queue::fill;
use crate::support::client::Tenant;
use crate::support::eventually;

/// How many processes lease at the same moment, and how often.
const AT_ONCE: usize = 16;

const ROUNDS: usize = 3;

const LIMIT: usize = 10;

#[test]
fn sixteen_processes_that_lease_at_once_get_what_they_want_and_waste_little() {
    let tenant = Tenant::deployed_of_tier("business");
    fill(&tenant, 2 * AT_ONCE * ROUNDS * LIMIT, &["a"]);
    let mut desk = Desk::open(shared(), &tenant, AT_ONCE);
    let wanted = json!({"lease_limit": LIMIT, "lease_seconds": 600});
    let leased: Vec<Vec<usize>> = (0..ROUNDS).map(|_| lease_at_once(&mut desk, &tenant, &wanted)).collect();
    let (calls, total) = (desk.proxy.take_calls(), leased.iter().flatten().sum::<usize>());
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

/// Leases with every process at the same moment; returns how many events each of them got.
///
/// A round has threads of its own: where one of them fails, no other waits for it at the barrier of the next round.
fn lease_at_once(desk: &mut Desk, tenant: &Tenant, wanted: &Value) -> Vec<usize> {
    let together = Barrier::new(desk.clerks.len());
    let lease = |clerk: &Clerk| -> usize {
        together.wait();
        let leased = eventually("a lease", || {
            let reply = clerk.ask(tenant, "POST", "/api/inbox/lease", &wanted.to_string());
            (reply.status != 503).then_some(reply) // the emulator may be too busy to answer in time
        });
        leased.expect(200).json()["results"].as_array().expect("results").len()
    };
    let lease = &lease;
    thread::scope(|scope| {
        let clerks = desk.clerks.iter_mut();
        let threads: Vec<_> = clerks.map(|clerk| scope.spawn(move || lease(clerk))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
