//! A pager walks the inbox again and again while events arrive and others are acknowledged: it meets each event at most once,
//! misses none that was there all the while, and meets none whose acknowledgement had been answered.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::seq::IteratorRandom;
use serde_json::{Value, json};

use crate::support::client::{Tenant, ids};
use crate::support::{eventually, size, tables};

const TYPES: [&str; 2] = ["a", "b"];

/// Events that are posted at once, and how often: 200 in a second.
const BATCH: usize = 100;
const BATCH_EVERY: Duration = Duration::from_millis(500);

/// Events that are acknowledged at once, and how often: half as many.
const ACKNOWLEDGED: usize = 20;
const ACKNOWLEDGED_EVERY: Duration = Duration::from_millis(200);

const MAX_PAGES: usize = 2000;

/// An inbox that others change.
struct Inbox {
    tenant: Tenant,
    until: Instant,
    posted: Mutex<Vec<String>>,
    /// Events that are in the table, with their types.
    stored: Mutex<BTreeMap<String, &'static str>>,
    /// When the acknowledgement of an event was sent, and when it was answered.
    acks: Mutex<HashMap<String, (Instant, Option<Instant>)>>,
}

/// One way through the inbox.
#[derive(Debug)]
struct Walk {
    limit: usize,
    is_ascending: bool,
    is_filtered: bool,
}

/// What the walks came to.
#[derive(Debug, Default)]
struct LogPage {
    walks: usize,
    filtered: usize,
    pages: usize,
    met: usize,
    /// Events that had to be met.
    there: usize,
    longest: Duration,
}

impl Inbox {
    fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    /// Does something at regular intervals, or as often as it can, until it is over.
    fn regularly(&self, every: Duration, act: impl Fn()) {
        let mut due = Instant::now();
        while self.goes_on() {
            eventually("it is time", || (Instant::now() >= due).then_some(()));
            act();
            due += every;
        }
    }

    fn post(&self) {
        let item = |n: usize| json!({"type": TYPES[n % TYPES.len()], "payload": {"n": n}});
        let events: Vec<Value> = (0..BATCH).map(item).collect();
        let body = json!({"events": events}).to_string();
        let answer = self.tenant.post("/api/events/batch", body).expect(202).json();
        let results = answer["results"].as_array().expect("results");
        let ids = results.iter().map(|result| result["id"].as_str().expect("an id").to_owned());
        self.posted.lock().unwrap().extend(ids);
    }

    fn acknowledge(&self) {
        let chosen: Vec<String> = {
            let (stored, mut acks) = (self.stored.lock().unwrap(), self.acks.lock().unwrap());
            let left = stored.keys().filter(|id| !acks.contains_key(*id));
            let chosen: Vec<String> = left.cloned().sample(&mut rand::rng(), ACKNOWLEDGED);
            let asked = Instant::now();
            acks.extend(chosen.iter().map(|id| (id.clone(), (asked, None))));
            chosen
        };
        if chosen.is_empty() {
            return;
        }
        let body = json!({"event_ids": chosen}).to_string();
        let answer = self.tenant.post("/api/inbox/ack", body).expect(200).json();
        assert_eq!(answer["acked"].as_array().map(Vec::len), Some(chosen.len()), "{answer}");
        let (mut acks, answered) = (self.acks.lock().unwrap(), Instant::now());
        for id in chosen {
            acks.get_mut(&id).expect("it was sent").1 = Some(answered);
        }
    }

    /// Looks into the table for what has arrived there.
    fn note_stored(&self) {
        let missing: Vec<String> = {
            let (posted, stored) = (self.posted.lock().unwrap(), self.stored.lock().unwrap());
            posted.iter().filter(|id| !stored.contains_key(*id)).cloned().collect()
        };
        let found = tables::types_of(&self.tenant, &missing);
        let of_ours = |name: &str| TYPES.into_iter().find(|own| *own == name).expect("a type of ours");
        let found = found.into_iter().map(|(id, name)| (id, of_ours(&name)));
        self.stored.lock().unwrap().extend(found);
    }

    /// The events that are stored and whose acknowledgement was not sent before now.
    fn pending(&self, walk: &Walk) -> BTreeSet<String> {
        let (stored, acks) = (self.stored.lock().unwrap(), self.acks.lock().unwrap());
        let is_meant = |name: &str| !walk.is_filtered || name == TYPES[0];
        let pending = stored.iter().filter(|(id, name)| is_meant(name) && !acks.contains_key(*id));
        pending.map(|(id, _)| id.clone()).collect()
    }

    /// No event of a page that was asked for then had been acknowledged by then.
    fn check_page(&self, page: &[String], asked: Instant, walk: &Walk) {
        let acks = self.acks.lock().unwrap();
        for id in page {
            let answered = acks.get(id).and_then(|(_, answered)| *answered);
            assert!(answered.is_none_or(|answered| answered >= asked), "{id} was acknowledged: {walk:?}");
        }
    }

    /// Walks once through all that is pending now; what arrives meanwhile may be met.
    fn walk(&self, walk: &Walk, walked: &mut LogPage) {
        self.note_stored();
        let (began, before) = (Instant::now(), self.pending(walk));
        let (mut met, mut cursor) = (BTreeSet::new(), String::new());
        for _ in 0..MAX_PAGES {
            let asked = Instant::now();
            let page = self.tenant.inbox(&format!("?{}&cursor={cursor}", walk.query()));
            let events = ids(&page);
            assert!(events.len() <= walk.limit, "{}", events.len());
            self.check_page(&events, asked, walk);
            let passed = walk.is_ascending && events.last() > before.last(); // the rest came later
            for id in events {
                assert!(met.insert(id.clone()), "{id} twice: {walk:?}");
            }
            walked.pages += 1;
            match page["next_cursor"].as_str() {
                Some(next) if !passed => next.clone_into(&mut cursor),
                _ => break,
            }
        }
        let there: BTreeSet<_> = before.intersection(&self.pending(walk)).cloned().collect();
        let missed: Vec<_> = there.difference(&met).collect();
        assert!(missed.is_empty(), "{missed:?}: {walk:?}");
        walked.walks += 1;
        walked.filtered += usize::from(walk.is_filtered);
        walked.met += met.len();
        walked.there += there.len();
        walked.longest = walked.longest.max(began.elapsed());
    }
}

impl Walk {
    fn drawn() -> Self {
        let mut rng = rand::rng();
        Self {
            limit: rng.random_range(7..=100),
            is_ascending: rng.random_bool(0.5),
            is_filtered: rng.random_bool(0.3),
        }
    }

    fn query(&self) -> String {
        let order = if self.is_ascending { "asc" } else { "desc" };
        let filter =
            if self.is_filtered { format!("&type={}&status=pending", TYPES[0]) } else { String::new() };
        format!("limit={}&order={order}{filter}", self.limit)
    }
}

#[test]
fn a_pager_misses_nothing_and_meets_nothing_twice_while_events_arrive_and_leave() {
    let lasts = Duration::from_secs(size("TRIGGERS_PAGER_SECONDS", 20));
    let began = Instant::now();
    let inbox = Inbox {
        tenant: Tenant::of_tier("enterprise"),
        until: began + lasts,
        posted: Mutex::default(),
        stored: Mutex::default(),
        acks: Mutex::default(),
    };
    let mut walked = LogPage::default();
    let arrived = thread::scope(|scope| {
        scope.spawn(|| inbox.regularly(BATCH_EVERY, || inbox.post()));
        scope.spawn(|| inbox.regularly(ACKNOWLEDGED_EVERY, || inbox.acknowledge()));
        while inbox.goes_on() {
            inbox.walk(&Walk::drawn(), &mut walked);
        }
        inbox.note_stored();
        inbox.stored.lock().unwrap().len() / usize::try_from(began.elapsed().as_secs()).unwrap()
    });
    for is_filtered in [false, true] {
        inbox.walk(&Walk { limit: 100, is_ascending: is_filtered, is_filtered }, &mut walked); // nothing changes any more
    }
    let (posted, acked) = (inbox.posted.lock().unwrap().len(), inbox.acks.lock().unwrap().len());
    println!(
        "{posted} events posted and {acked} acknowledged in {lasts:?}; {arrived} arrived in a second; {} walks ({} of them filtered) of \
         {} pages met {} events, {} of which had to be met, none twice, none missed, none acknowledged; the longest took {:.1?}",
        walked.walks, walked.filtered, walked.pages, walked.met, walked.there, walked.longest,
    );
    assert!(walked.walks > 2 && walked.there > 0 && acked > 0, "{walked:?}");
}
