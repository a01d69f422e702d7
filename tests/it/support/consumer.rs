//! A client of the inbox as a queue that is now quick, now slow, now dead, and writes down when it could believe to have
//! which event.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws::system_clock::SystemClock;
use domain::timestamp::Timestamp;
use rand::RngExt;
use serde_json::{Value, json};
use store::clock::Clock;

use super::client::{Reply, Tenant, ids};
use super::eventually;

/// After so many leases an event is quarantined.
const MAX_LEASES: u64 = 10;

/// Others may have an event this long after the end of its lease.
const TOLERANCE_MS: u64 = 1000;

/// What the gateway answers when a function took longer than 29 seconds; what it did may have been done.
const GATEWAY_LOST_PATIENCE: u16 = 502;

/// A lease that is to outlast a busy machine, in seconds, and yet to end while others are patient; and those that are to end soon.
const LONG: u64 = 40;
const SHORT: std::ops::RangeInclusive<u64> = 1..=3;

/// What the clients of one inbox share.
pub(crate) struct Inbox<'a> {
    pub(crate) tenant: &'a Tenant,
    /// The events of the story. Notices lie in the inbox too, and clients acknowledge them, but they do not count.
    events: BTreeSet<String>,
    acked: AtomicUsize,
    /// Events that nobody acknowledges before they have been in quarantine.
    poisonous: Mutex<BTreeSet<String>>,
}

/// One event under one lease. All times are milliseconds of the one clock of this machine.
pub(crate) struct Hold {
    pub(crate) event: String,
    pub(crate) lease: String,
    /// When the lease was asked for.
    pub(crate) asked: u64,
    /// From when until when its holder could believe to have the event.
    pub(crate) from: u64,
    pub(crate) until: u64,
    /// From when on others may have it; never, where it was acknowledged or went into quarantine.
    pub(crate) free: Option<u64>,
    pub(crate) is_acked: bool,
    count: u64,
}

/// One request for a lease.
pub(crate) struct Call {
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) wanted: usize,
    pub(crate) got: usize,
}

/// All that clients did.
#[derive(Default)]
pub(crate) struct Diary {
    pub(crate) calls: Vec<Call>,
    pub(crate) holds: Vec<Hold>,
    /// Events that came out of quarantine, and when.
    pub(crate) freed: Vec<(String, u64)>,
    pub(crate) crashes: usize,
    pub(crate) extended: usize,
    pub(crate) told_again: usize,
    /// Leases that nobody was told of.
    pub(crate) lost_answers: usize,
    /// Acknowledgements of events whose lease was over: requests, and the events in them.
    pub(crate) stale_calls: usize,
    pub(crate) stale_events: usize,
}

/// One client. The first one is the janitor besides, who lets events out of quarantine.
pub(crate) struct Consumer<'a> {
    number: usize,
    inbox: &'a Inbox<'a>,
    diary: Diary,
}

/// A lease as its holder knows it.
struct Lease {
    id: String,
    until: u64,
    holds: BTreeMap<String, Hold>,
}

/// What a client does with a lease.
#[derive(Clone, Copy)]
enum Manner {
    Acknowledges,
    AcknowledgesSome,
    ExtendsFirst,
    Crashes,
    IsTooSlow,
    IsTooSlowForSome,
}

impl Manner {
    /// Out of a hundred.
    fn drawn() -> Self {
        match rand::rng().random_range(0..100) {
            0..40 => Self::Acknowledges,
            40..58 => Self::AcknowledgesSome,
            58..72 => Self::ExtendsFirst,
            72..84 => Self::Crashes,
            84..94 => Self::IsTooSlow,
            _ => Self::IsTooSlowForSome,
        }
    }

    fn lease_seconds(self) -> u64 {
        match self {
            Self::Acknowledges | Self::AcknowledgesSome | Self::ExtendsFirst => LONG,
            Self::IsTooSlowForSome => *SHORT.end(),
            Self::Crashes | Self::IsTooSlow => rand::rng().random_range(SHORT),
        }
    }
}

impl<'a> Inbox<'a> {
    /// The inbox with these events; some of them are to go through quarantine.
    pub(crate) fn new(tenant: &'a Tenant, events: BTreeSet<String>, poisonous: BTreeSet<String>) -> Self {
        Self { tenant, events, acked: AtomicUsize::new(0), poisonous: Mutex::new(poisonous) }
    }

    fn is_empty(&self) -> bool {
        self.acked.load(Ordering::SeqCst) >= self.events.len()
    }

    fn is_poisonous(&self, event: &str) -> bool {
        self.poisonous.lock().expect("no holder panics").contains(event)
    }

    /// One of the verbs, with this body; again, until there is an answer, where the gateway lost patience.
    fn act(&self, verb: &str, body: &Value) -> Reply {
        eventually("the gateway hands an answer on", || self.try_to(verb, body))
    }

    fn try_to(&self, verb: &str, body: &Value) -> Option<Reply> {
        let reply = self.tenant.post(&format!("/api/inbox/{verb}"), body.to_string());
        (reply.status != GATEWAY_LOST_PATIENCE).then_some(reply)
    }
}

impl Diary {
    /// Both together.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.calls.extend(other.calls);
        self.holds.extend(other.holds);
        self.freed.extend(other.freed);
        self.crashes += other.crashes;
        self.extended += other.extended;
        self.told_again += other.told_again;
        self.lost_answers += other.lost_answers;
        self.stale_calls += other.stale_calls;
        self.stale_events += other.stale_events;
        self
    }
}

impl<'a> Consumer<'a> {
    /// The client of this number.
    pub(crate) fn new(number: usize, inbox: &'a Inbox<'a>) -> Self {
        Self { number, inbox, diary: Diary::default() }
    }

    /// Leases, and does with each lease what it happens to, until every event is acknowledged; what it did.
    pub(crate) fn run(mut self) -> Diary {
        loop {
            let manner = Manner::drawn();
            let Some(mut lease) = self.lease(manner.lease_seconds()) else { return self.diary };
            self.use_up(manner, &mut lease);
            self.diary.holds.extend(lease.holds.into_values());
        }
    }

    fn use_up(&mut self, manner: Manner, lease: &mut Lease) {
        let events: Vec<String> = lease.holds.keys().cloned().collect();
        let (poisonous, mut good): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|event| self.inbox.is_poisonous(event));
        match manner {
            Manner::Crashes => self.diary.crashes += 1,
            Manner::IsTooSlow => self.is_late(lease),
            Manner::IsTooSlowForSome => {
                good.truncate(good.len().div_ceil(2));
                self.acknowledge(lease, Some(&good));
                self.is_late(lease);
            }
            Manner::Acknowledges if poisonous.is_empty() => {
                self.acknowledge(lease, None);
                if rand::rng().random_bool(0.2) {
                    self.diary.told_again += 1;
                    self.acknowledge(lease, None); // the first answer might have been lost
                }
            }
            Manner::Acknowledges => self.settle(lease, &good, &poisonous),
            Manner::AcknowledgesSome => {
                let rest = good.split_off(good.len() / 2);
                self.settle(lease, &good, &[rest, poisonous].concat());
            }
            Manner::ExtendsFirst => {
                self.extend(lease);
                self.settle(lease, &good, &poisonous);
            }
        }
    }

    /// Acknowledges some events of a lease and gives the others back.
    fn settle(&mut self, lease: &mut Lease, good: &[String], others: &[String]) {
        self.acknowledge(lease, Some(good));
        release(self.inbox, lease, others);
    }

    /// Waits until the lease is over, and acknowledges then.
    fn is_late(&mut self, lease: &mut Lease) {
        eventually("the lease is over", || (now() >= lease.until).then_some(()));
        let named: Option<Vec<String>> =
            rand::rng().random_bool(0.5).then(|| lease.holds.keys().cloned().collect());
        self.acknowledge(lease, named.as_deref());
    }

    /// Asks for a lease until it gets events; `None` once there are none left.
    fn lease(&mut self, seconds: u64) -> Option<Lease> {
        let wanted: usize = rand::rng().random_range(1..=50);
        let body = json!({"lease_limit": wanted, "lease_seconds": seconds});
        eventually("events are free, or all are acknowledged", || {
            if self.inbox.is_empty() {
                return Some(None);
            }
            if self.number == 0 {
                self.sweep();
            }
            let began = now();
            let Some(reply) = self.inbox.try_to("lease", &body) else {
                self.diary.lost_answers += 1; // it ends by itself
                return None;
            };
            let lease = Lease::read(&reply.expect(200).json(), began);
            let got = lease.as_ref().map_or(0, |lease| lease.holds.len());
            assert!(got <= wanted, "{got} of {wanted}");
            self.diary.calls.push(Call { began, ended: now(), wanted, got });
            lease.map(Some)
        })
    }

    /// Acknowledges these events of a lease, or all. What comes of it depends on the lease's end alone.
    fn acknowledge(&mut self, lease: &mut Lease, events: Option<&[String]>) {
        let named: Vec<String> = events.map_or_else(|| lease.holds.keys().cloned().collect(), <[_]>::to_vec);
        if named.is_empty() {
            return;
        }
        let sent = now();
        let reply = self.inbox.act("ack", &json!({"lease_id": lease.id, "event_ids": events}));
        let (done, answered) = (done(&reply, "acked"), now());
        for event in named {
            let hold = lease.holds.get_mut(&event).expect("an event of the lease");
            let (is_done, was_acked) = (done.contains(&event), hold.is_acked);
            if was_acked || answered < lease.until {
                assert!(is_done, "{event} is held: {}", reply.text());
            } else if sent >= lease.until {
                assert!(!is_done, "{event} is held no more: {}", reply.text());
                self.diary.stale_events += 1;
            }
            if is_done && !was_acked {
                self.inbox.acked.fetch_add(usize::from(self.inbox.events.contains(&event)), Ordering::SeqCst);
                (hold.is_acked, hold.free, hold.until) = (true, None, hold.until.min(sent));
            }
        }
        if sent >= lease.until && reply.status == 409 {
            self.diary.stale_calls += 1;
        }
    }

    fn extend(&mut self, lease: &mut Lease) {
        let sent = now();
        let body = json!({"lease_id": lease.id, "lease_seconds": LONG});
        let reply = self.inbox.act("extend", &body);
        let done = done(&reply, "extended");
        if now() < lease.until {
            assert_eq!(done.len(), lease.holds.len(), "{}", reply.text());
        }
        let Some(until) = reply.json()["leased_until"].as_str().map(millis) else { return };
        assert!(until >= sent + LONG * 1000, "{}", reply.text());
        self.diary.extended += 1;
        lease.until = until;
        for event in done {
            let hold = lease.holds.get_mut(&event).expect("an event of the lease");
            (hold.until, hold.free) = (until, free_after(hold.count, until + TOLERANCE_MS));
        }
    }

    /// Lets events out of quarantine, as far as no last lease holds them.
    fn sweep(&mut self) {
        let quarantined = ids(&self.inbox.tenant.inbox("?status=quarantined&limit=1000"));
        for events in quarantined.chunks(100) {
            let reply = self.inbox.act("release", &json!({"event_ids": events})).expect(200);
            for event in done(&reply, "released") {
                self.inbox.poisonous.lock().expect("no holder panics").remove(&event);
                self.diary.freed.push((event, now()));
            }
        }
    }
}

impl Lease {
    /// The lease of an answer, if it holds anything.
    fn read(answer: &Value, asked: u64) -> Option<Self> {
        let (from, until) = (now(), millis(answer["leased_until"].as_str()?));
        let id = answer["lease_id"].as_str().expect("an id").to_owned();
        let hold = |event: &Value| {
            let (lease, name) = (id.clone(), event["id"].as_str().expect("an id").to_owned());
            let count = event["lease_count"].as_u64().expect("a number");
            let free = free_after(count, until + TOLERANCE_MS);
            (name.clone(), Hold { event: name, lease, asked, from, until, free, is_acked: false, count })
        };
        let results = answer["results"].as_array().expect("results");
        let holds: BTreeMap<_, _> = results.iter().map(hold).collect();
        assert_eq!(holds.len(), results.len(), "each once: {answer}");
        Some(Self { id, until, holds })
    }
}

/// Gives events of a lease back.
fn release(inbox: &Inbox, lease: &mut Lease, events: &[String]) {
    if events.is_empty() {
        return;
    }
    let sent = now();
    let reply = inbox.act("release", &json!({"lease_id": lease.id, "event_ids": events}));
    let (done, answered) = (done(&reply, "released"), now());
    for event in events {
        let hold = lease.holds.get_mut(event).expect("an event of the lease");
        hold.until = hold.until.min(sent);
        if done.contains(event) {
            hold.free = free_after(hold.count, answered);
        }
    }
}

/// The events that an answer lists as done; none, where it says that the lease is lost.
fn done(reply: &Reply, member: &str) -> BTreeSet<String> {
    if reply.status == 409 {
        reply.problem(409, "lease-lost");
        return BTreeSet::new();
    }
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json();
    let list = answer[member].as_array().expect("a list");
    list.iter().map(|id| id.as_str().expect("an id").to_owned()).collect()
}

fn free_after(count: u64, moment: u64) -> Option<u64> {
    (count < MAX_LEASES).then_some(moment)
}

fn now() -> u64 {
    SystemClock.now().millis()
}

fn millis(text: &str) -> u64 {
    Timestamp::parse(text).expect("a time").millis()
}
