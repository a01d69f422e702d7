//! What an event costs, as `cargo cost` measures it: write units, read units, requests to SQS and calls of KMS. A change that
//! raises one of them fails here, and a change that lowers one puts the lower number here.

use cost::measured::Measured;
use cost::prices::{FREE_DASHBOARD_METRICS, dollars};
use cost::scenarios::delivering::Stream;
use cost::scenarios::{idle, measure};
use cost::template::Stack;

use crate::alarms::used::of_dashboard;
use crate::support::size;
use crate::template::template;

/// The most that an event may cost, in hundredths: a table has no fractions of a unit, but a batch shares its units.
struct Most {
    scenario: &'static str,
    writes: u64,
    reads: u64,
    queue_requests: u64,
    kms_calls: u64,
}

const fn most(scenario: &'static str, [writes, reads, queue_requests, kms_calls]: [u64; 4]) -> Most {
    Most { scenario, writes, reads, queue_requests, kms_calls }
}

/// The streams whose events are delivered at once.
const DELIVERED: [Most; 8] = [
    most("full", [280, 70, 150, 0]),
    most("mixed", [427, 250, 150, 0]),
    most("sparse", [647, 540, 600, 0]),
    most("full, dedup_id", [380, 70, 150, 0]),
    most("full, batch 25", [288, 70, 62, 0]),
    most("mixed, batch 25", [420, 252, 62, 0]),
    most("full, batch 500", [310, 168, 169, 0]),
    most("full, 20 KB", [580, 170, 150, 0]),
];

/// The events that are taken from the inbox, or delivered later. Retries come after a random delay, so "fails once" and
/// "parked" have some room.
const OTHERS: [Most; 4] = [
    most("inbox only", [682, 228, 120, 0]),
    most("fails once", [1320, 450, 340, 0]),
    most("parked", [860, 360, 200, 0]),
    most("replay", [422, 177, 36, 0]),
];

/// The events of many tenants on many instances: at most 5 % more writes than for the ten tenants of "mixed".
const MANY_TENANTS: [Most; 1] = [most("many tenants", [448, 368, 150, 0])];

/// Measures these scenarios, and fails if one of them costs more than this.
fn check(all: &[Most]) {
    println!("{:18}{:>10}{:>10}{:>10}{:>10}", "scenario", "writes", "reads", "SQS", "KMS");
    let mut risen = Vec::new();
    for Most { scenario, writes, reads, queue_requests, kms_calls } in all {
        let measured = measure(scenario);
        let (counts, events) = (&measured.counts, measured.events);
        let hundredths = |number: u64, of: u64| (number * 100 + of / 2) / of;
        let now = [
            hundredths(counts.all_writes(), events),
            hundredths(counts.all_half_reads(), events * 2),
            hundredths(counts.queue.all(), events),
            hundredths(counts.decrypts + counts.generates, events),
        ];
        println!("{scenario:18}{}", now.map(|number| format!("{number:>10}")).concat());
        let most = [*writes, *reads, *queue_requests, *kms_calls];
        if now.iter().zip(most).any(|(now, most)| *now > most) {
            risen.push(format!("{scenario}: {now:?} instead of {most:?}"));
        }
    }
    assert!(risen.is_empty(), "these cost more per event (hundredths): {risen:#?}");
}

#[test]
fn an_event_that_is_delivered_at_once_costs_no_more_than_it_did() {
    check(&DELIVERED);
}

#[test]
fn an_event_that_is_leased_retried_parked_or_replayed_costs_no_more_than_it_did() {
    check(&OTHERS);
}

#[test]
fn an_event_of_one_of_many_tenants_costs_no_more_than_it_did() {
    check(&MANY_TENANTS);
}

/// `GROWTH_EVENTS` sets the number of events.
#[test]
fn an_event_costs_the_same_after_many_others() {
    const FIRST: u64 = 1_000;
    let all = size("GROWTH_EVENTS", 5_000);
    let units = [FIRST, all].map(|events| {
        let rounds = events / Stream::MIXED.tenants as u64;
        let Measured { counts, events, .. } = Stream { rounds, ..Stream::MIXED }.measure();
        let [writes, half_reads, requests] =
            [counts.all_writes(), counts.all_half_reads(), counts.queue.all()].map(|all| all * 1_000 / events);
        println!("{events} events: thousandths of an event {writes} writes, {half_reads} half reads, {requests} requests to SQS");
        [writes, half_reads, requests]
    });
    for (first, later) in units[0].into_iter().zip(units[1]) {
        assert!(later * 100 <= first * 105, "{first} and {later}");
    }
}

#[test]
fn an_ordinary_event_writes_its_head_twice_and_nothing_into_the_inbox() {
    let measured = measure("mixed");
    let writes = measured.counts.writes();
    assert_eq!(writes["Events"], 2 * measured.events);
    assert_eq!(writes.get("pending").copied().unwrap_or_default(), 0);
    assert_eq!(measured.counts.webhooks, measured.events);
}

#[test]
fn a_month_without_events_costs_what_the_guide_says() {
    const GROUPS: [&[&str]; 6] = [
        &["dashboard"],
        &["alarms"],
        &["composite alarm"],
        &["polling of idle queues"],
        &["secrets", "KMS key"],
        &["scheduler: reads", "scheduler: Lambda", "scheduler: logs", "metrics of the scheduler"],
    ];
    let months = Stack::ALL.map(idle::measure);
    let [full, smallest] = months.each_ref().map(|month| dollars(month.total(), 2));
    let [first_full, first_smallest] = months.each_ref().map(|month| dollars(month.of_first_stack(), 2));
    let guide = include_str!("../../docs/OPERATING.md");
    let sentence = format!(
        "A stack without events costs ${full} in 30 days by list prices, and the smallest one ${smallest}"
    );
    assert!(guide.contains(&sentence), "{sentence}");
    let sentence = format!("The first stack of an account pays ${first_full} and ${first_smallest}");
    assert!(guide.contains(&sentence), "{sentence}");
    let mut rest = guide;
    for group in GROUPS {
        let cells = months.each_ref().map(|month| {
            let of_group = month.costs.iter().filter(|(name, _)| group.contains(name));
            dollars(of_group.map(|(_, amount)| amount).sum(), 2)
        });
        let row = format!("| {} | {} |\n", cells[0], cells[1]);
        rest = rest.split_once(&row).unwrap_or_else(|| panic!("{group:?} {row}")).1;
    }
    assert_eq!(GROUPS.concat().len(), months[0].costs.len(), "each cost is in a row");
    let others = [
        include_str!("../../docs/CAPACITY.md"),
        include_str!("../../docs/decisions/0115-what-an-event-costs.md"),
    ];
    assert!(others.iter().all(|page| page.contains(&format!("${full}"))), "${full}");
}

#[test]
fn the_dashboard_is_small_enough_to_be_one_of_the_free_ones() {
    assert!(of_dashboard(&template()).len() <= FREE_DASHBOARD_METRICS);
}

#[test]
fn the_program_for_an_account_counts_with_these_costs() {
    let program = include_str!("../../infra/smoke/smoke.py");
    let event = measure("sparse").bill().total() / 1_000_000;
    let [full, smallest] = Stack::ALL.map(|stack| dollars(idle::measure(stack).total(), 2));
    for line in [
        format!("MICRO_DOLLARS_PER_MILLION_EVENTS = {event}"),
        format!("DOLLARS_PER_MONTH = {full}"),
        format!("DOLLARS_PER_MONTH_OF_THE_SMALLEST = {smallest}"),
    ] {
        assert!(program.contains(&format!("\n{line}\n")), "{line}");
    }
}
