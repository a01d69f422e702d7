//! Many clients empty one inbox, among them some that are slow, some that die, and some that come too late: no event is
//! with two of them at once, each is acknowledged once, none is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Instant;

use crate::queue::tenant_with;
use crate::support::client::Tenant;
use crate::support::consumer::{Call, Consumer, Diary, Hold, Inbox};
use crate::support::{size, tables};

/// One in so many events is acknowledged by nobody before it has been in quarantine.
const POISONOUS: usize = 150;

/// Lets this many clients empty the inbox of a tenant of this tier; what they did.
fn emptied(tier: &str, shards: u8, clients: usize, events: usize) -> Diary {
    let began = Instant::now();
    let (tenant, ids) = tenant_with(tier, events, &["a", "b"]);
    let (filled, began) = (began.elapsed(), Instant::now());
    let poisonous: BTreeSet<String> = ids.iter().step_by(POISONOUS).cloned().collect();
    let inbox = Inbox::new(&tenant, ids.iter().cloned().collect(), poisonous.clone());
    let diary = thread::scope(|scope| {
        let run = |number| Consumer::new(number, &inbox).run();
        let threads: Vec<_> = (0..clients).map(|number| scope.spawn(move || run(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).fold(Diary::default(), Diary::and)
    });
    println!(
        "{events} events of the tier {tier}, stored in {filled:.1?}, taken by {clients} clients in {:.1?}:",
        began.elapsed()
    );
    let by_event = by_event(&diary, &ids);
    check_alone(&by_event);
    check_acknowledged_once(&by_event, &ids);
    let freed: BTreeSet<String> = diary.freed.iter().map(|(event, _)| event.clone()).collect();
    assert!(poisonous.is_subset(&freed), "each went through quarantine");
    check_nothing_left(&tenant, shards, &ids);
    tell(&diary, &by_event);
    diary
}

/// Returns the holds of each event, in the order of time. A notice that the scheduler put into the inbox is left out.
fn by_event<'a>(diary: &'a Diary, ids: &[String]) -> BTreeMap<&'a str, Vec<&'a Hold>> {
    let ids: BTreeSet<&String> = ids.iter().collect();
    let mut holds: BTreeMap<&str, Vec<&Hold>> = BTreeMap::new();
    for hold in diary.holds.iter().filter(|hold| ids.contains(&hold.event)) {
        holds.entry(&hold.event).or_default().push(hold);
    }
    for holds in holds.values_mut() {
        holds.sort_unstable_by_key(|hold| (hold.from, hold.until));
    }
    holds
}

/// Nobody could believe to have an event before the one who had it before could not.
fn check_alone(by_event: &BTreeMap<&str, Vec<&Hold>>) {
    for (event, holds) in by_event {
        for pair in holds.windows(2) {
            let [earlier, later] = pair else { unreachable!() };
            assert!(earlier.until <= later.from, "{event}: {} and {}", earlier.lease, later.lease);
        }
    }
}

fn check_acknowledged_once(by_event: &BTreeMap<&str, Vec<&Hold>>, ids: &[String]) {
    for id in ids {
        let acked = by_event[id.as_str()].iter().filter(|hold| hold.is_acked).count();
        assert_eq!(acked, 1, "{id}");
    }
    assert_eq!(by_event.len(), ids.len(), "and there is no other");
}

fn check_nothing_left(tenant: &Tenant, shards: u8, ids: &[String]) {
    let inbox = tenant.inbox("?limit=1000");
    let left = inbox["events"].as_array().expect("a list");
    assert!(left.iter().all(|event| event["type"] == "inbox.quarantined"), "only a notice is left: {inbox}");
    let mut heads = tables::all_stored(tenant, shards);
    heads.retain(|head| ids.contains(&head.id));
    assert_eq!(heads.len(), ids.len());
    assert!(heads.iter().all(|head| head.status == "acked"), "every head says so");
}

fn tell(diary: &Diary, by_event: &BTreeMap<&str, Vec<&Hold>>) {
    let leases = diary.calls.iter().filter(|call| call.got > 0).count();
    let most = by_event.values().map(Vec::len).max().unwrap_or_default();
    println!(
        "  {leases} leases of {} events on average ({} calls found nothing free), the longest call {} ms",
        diary.holds.len() / leases,
        diary.calls.len() - leases,
        diary.calls.iter().map(|call| call.ended - call.began).max().unwrap_or_default(),
    );
    println!(
        "  {} crashes, {} answers lost, {} extended, {} acknowledgements repeated",
        diary.crashes, diary.lost_answers, diary.extended, diary.told_again
    );
    println!(
        "  {} stale acknowledgements answered 409, {} stale events, all refused; {} quarantined and released; one event had {most} leases",
        diary.stale_calls,
        diary.stale_events,
        diary.freed.len(),
    );
    let short: Vec<usize> = diary
        .calls
        .iter()
        .filter(|call| call.got < call.wanted)
        .map(|call| free_during(call, diary, by_event).min(call.wanted - call.got))
        .filter(|missed| *missed > 0)
        .collect();
    println!(
        "  {} leases came back with fewer than asked although more were free all the while: {} events missed",
        short.len(),
        short.iter().sum::<usize>(),
    );
}

/// How many events were free from the beginning of a call to its end.
fn free_during(call: &Call, diary: &Diary, by_event: &BTreeMap<&str, Vec<&Hold>>) -> usize {
    let released_after = |event: &str, moment| {
        let freed = diary.freed.iter().filter(|(other, at)| other == event && *at > moment);
        freed.map(|(_, at)| *at).min()
    };
    let is_free = |(event, holds): &(&&str, &Vec<&Hold>)| {
        holds.iter().all(|hold| {
            let end = hold.free.or_else(|| released_after(event, hold.asked).filter(|_| !hold.is_acked));
            call.ended < hold.asked || end.is_some_and(|end| end < call.began)
        })
    };
    by_event.iter().filter(is_free).count()
}

#[test]
fn thirty_two_clients_empty_an_inbox_and_no_event_is_lost_or_with_two_of_them_at_once() {
    let events = size("TRIGGERS_QUEUE_EVENTS", 500);
    let diary = emptied("enterprise", 16, 32, usize::try_from(events).unwrap());
    assert!(diary.crashes > 0 && diary.extended > 0 && diary.stale_events > 0);
}

#[test]
fn so_do_eight_clients_of_a_tenant_with_one_shard() {
    emptied("pro", 1, 8, 150);
}
