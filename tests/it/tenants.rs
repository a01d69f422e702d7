//! What a tenant says about itself, and what is said about it: how long its events are kept, its tier, its end.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use aws::system_clock::SystemClock;
use domain::event::id::EventId;
use domain::tenant::api_key::MAX_KEYS;
use domain::timestamp::Timestamp;
use serde_json::{Value, json};
use store::clock::Clock;

use crate::inbox::walk;
use crate::pipeline::Pipeline;
use crate::support::client::{Reply, Tenant};
use crate::support::{eventually, tables};

const JSON: (&str, &str) = ("content-type", "application/json");
const DAY_SECONDS: u64 = 24 * 3600;

/// Changes a tenant's settings as its owner.
fn change(tenant: &Tenant, body: &Value) -> Reply {
    tenant.call("PATCH", "/api/tenant", &[JSON], body.to_string())
}

/// The same as the admin.
fn change_as_admin(tenant: &Tenant, body: &Value) -> Reply {
    let admin = ("x-admin-token", tenant.place.admin_token());
    tenant.call("PATCH", "/api/tenant", &[JSON, admin], body.to_string())
}

fn accepted_at(id: &str) -> Timestamp {
    EventId::parse(id).expect("an id").accepted_at()
}

fn shard(id: &str) -> u8 {
    EventId::parse(id).expect("an id").shard()
}

/// For how many days a stored event is kept.
fn days_kept(tenant: &Tenant, id: &str) -> u64 {
    (tenant.stored_as("pending", id).ttl - accepted_at(id).seconds()) / DAY_SECONDS
}

#[tokio::test]
async fn an_event_of_an_erased_tenant_is_dropped() {
    let pipeline = Pipeline::with_endpoints(1);
    assert_eq!(pipeline.post_event("before").await.status(), 202);
    pipeline.tables.erase(&pipeline.tenant);
    let response = pipeline.consume().await;
    assert!(response.batch_item_failures.is_empty(), "its message is done");
    assert_eq!(pipeline.events_queue.next_visible(), None);
    assert!(pipeline.tables.all_heads().is_empty() && pipeline.delivery_messages().is_empty());
    assert_eq!(pipeline.tables.counted().stored, 0);
    pipeline.run_until_quiet().await;
    assert!(pipeline.webhooks.received().is_empty());
}

#[tokio::test]
async fn an_event_is_kept_for_as_long_as_tier_and_tenant_both_keep_it() {
    for (wanted, days) in [(None, 30), (Some(3), 3), (Some(30), 30), (Some(90), 30)] {
        let pipeline = Pipeline::with_endpoints(0);
        if let Some(wanted) = wanted {
            pipeline.tables.set_retention_days(&pipeline.tenant, wanted);
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

#[test]
fn a_shorter_retention_holds_for_the_events_that_are_accepted_from_then_on() {
    let tenant = Tenant::of_tier("business");
    let settings = tenant.get("/api/tenant").expect(200).json();
    let members = |settings: &Value| {
        ["tier", "rate_limit_per_minute", "retention_days", "max_retention_days"]
            .map(|name| settings[name].clone())
    };
    assert_eq!(members(&settings), [json!("business"), json!(10_000), json!(30), json!(30)]);
    assert_eq!(
        (&settings["organization_id"], &settings["organization_name"]),
        (&json!(tenant.id), &json!("A story"))
    );
    assert!(Timestamp::parse(settings["created_at"].as_str().unwrap()).unwrap() <= SystemClock.now());
    let before = tenant.accepted("a");
    assert_eq!(days_kept(&tenant, &before), 30);
    let changed = change(&tenant, &json!({"retention_days": 2})).expect(200).json();
    assert_eq!(members(&changed), [json!("business"), json!(10_000), json!(2), json!(30)]);
    assert_eq!(tenant.get("/api/tenant").expect(200).json(), changed);
    assert_eq!(days_kept(&tenant, &tenant.accepted("a")), 2);
    assert_eq!(days_kept(&tenant, &before), 30);
    assert_eq!(change(&tenant, &json!({})).expect(200).json(), changed, "nothing named, nothing changed");
}

#[test]
fn settings_keep_their_rules() {
    let tenant = Tenant::new();
    for wrong in [json!(0), json!(31), json!(65_537)] {
        let document = change(&tenant, &json!({"retention_days": wrong})).problem(422, "invalid");
        assert_eq!(document["errors"][0]["pointer"], "/retention_days");
    }
    for wrong in
        [json!({"retention_days": -1}), json!({"retention_days": "7"}), json!({"organization_name": "B"})]
    {
        change(&tenant, &wrong).problem(422, "invalid");
    }
    change(&tenant, &json!({"tier": "enterprise"})).problem(401, "unauthorized");
    let wrong = [JSON, ("x-admin-token", "wrong")];
    tenant.call("PATCH", "/api/tenant", &wrong, r#"{"tier":"free"}"#).problem(401, "unauthorized");
    let document = change_as_admin(&tenant, &json!({"tier": "gold"})).problem(422, "invalid");
    assert_eq!(document["errors"][0]["pointer"], "/tier");
    let reader = tenant.further_key(&["inbox:read"]);
    change_as_admin(&reader, &json!({"tier": "enterprise"})).problem(403, "forbidden");
    assert_eq!(reader.get("/api/tenant").expect(200).json()["tier"], "pro");
}

#[test]
fn a_lower_tier_keeps_its_shards_in_sight_and_its_events_as_long_as_it_allows() {
    let tenant = Tenant::of_tier("enterprise");
    change(&tenant, &json!({"retention_days": 60})).expect(200);
    let mut ids: Vec<String> = (0..30).map(|_| tenant.accepted("a")).collect();
    tenant.all_shown_as("pending", &ids);
    let lowered = change_as_admin(&tenant, &json!({"tier": "business", "retention_days": 31}));
    assert_eq!(
        lowered.problem(422, "invalid")["errors"][0]["pointer"],
        "/retention_days",
        "the new tier's days count"
    );
    let lowered = change_as_admin(&tenant, &json!({"tier": "business"})).expect(200).json();
    assert_eq!((&lowered["tier"], &lowered["retention_days"]), (&json!("business"), &json!(30)));
    let fresh = tenant.further_key(&["inbox:read", "events:write"]); // nobody believes anything of it
    ids.push(fresh.accepted("a"));
    fresh.shown_as("pending", &ids[30]);
    ids.sort();
    assert_eq!(fresh.inbox_ids("?limit=1000&order=asc"), ids);
    assert_eq!(days_kept(&tenant, &ids[30]), 30);
    let raised = change_as_admin(&tenant, &json!({"tier": "enterprise"})).expect(200).json();
    assert_eq!(raised["retention_days"], 60, "what the owner wants is not forgotten");
}

/// The limits that the list shows of the tenant's keys.
fn limits_of_keys(tenant: &Tenant) -> Vec<u64> {
    let list = tenant.get("/api/keys").expect(200).json();
    list["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["rate_limit_per_minute"].as_u64().unwrap())
        .collect()
}

#[test]
fn a_tenant_has_no_more_keys_than_a_change_of_its_tier_can_write_at_once() {
    let tenant = Tenant::new();
    let create = || tenant.post("/api/keys", r#"{"name":"one more","scopes":["inbox:read"]}"#);
    thread::scope(|scope| {
        let makers: Vec<_> =
            (0..4).map(|_| scope.spawn(|| (0..12).map(|_| create().status).collect::<Vec<_>>())).collect();
        let statuses: Vec<u16> =
            makers.into_iter().flat_map(|maker| maker.join().expect("it is answered")).collect();
        let made = statuses.iter().filter(|status| **status == 201).count();
        assert!(
            made < MAX_KEYS && statuses.iter().all(|status| [201, 422, 503].contains(status)),
            "{statuses:?}"
        );
    });
    while limits_of_keys(&tenant).len() < MAX_KEYS {
        create().expect(201);
    }
    create().problem(422, "invalid");
    tenant.post("/api/keys/rotate", r#"{"overlap_seconds":60}"#).problem(422, "invalid");
    let rotated = tenant.post("/api/keys/rotate", "").expect(200).json();
    let tenant = tenant.with_key(rotated["api_key"].as_str().unwrap());
    assert_eq!(limits_of_keys(&tenant), [1_000; MAX_KEYS]);
    change_as_admin(&tenant, &json!({"tier": "business"})).expect(200);
    assert_eq!(limits_of_keys(&tenant), [10_000; MAX_KEYS]);
}

/// Two clients at this pace stay within the events per minute of the tier pro.
const POST_EVERY: Duration = Duration::from_millis(200);

/// Events that were posted, each once it was seen in the inbox.
#[derive(Default)]
struct Posted {
    ids: Mutex<Vec<String>>,
    slowest: Mutex<Duration>,
}

impl Posted {
    /// Posts an event and waits until the inbox shows it, again and again.
    fn post_until(&self, tenant: &Tenant, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            let (id, began) = (tenant.accepted("a"), Instant::now());
            eventually("it is in the inbox", || tenant.inbox_ids("?limit=20").contains(&id).then_some(()));
            let mut slowest = self.slowest.lock().expect("no holder panics");
            *slowest = began.elapsed().max(*slowest);
            self.ids.lock().expect("no holder panics").push(id);
            eventually("it is time for the next event", || (began.elapsed() >= POST_EVERY).then_some(()));
        }
    }

    /// Those that lie on another shard than the first.
    fn beyond(&self) -> Vec<String> {
        let ids = self.ids.lock().expect("no holder panics");
        ids.iter().filter(|id| shard(id) > 0).cloned().collect()
    }
}

/// Ends the posting, also where the story fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_tier_is_raised_while_events_are_posted_and_every_one_is_seen_at_once() {
    let tenant = Tenant::of_tier("pro");
    let (posted, is_over) = (Posted::default(), AtomicBool::new(false));
    let raised_at = thread::scope(|scope| {
        let _over = Over(&is_over);
        (0..2).for_each(|_| drop(scope.spawn(|| posted.post_until(&tenant, &is_over))));
        eventually("some lie on the one shard", || (posted.ids.lock().unwrap().len() > 20).then_some(()));
        let raised_at = SystemClock.now();
        change_as_admin(&tenant, &json!({"tier": "enterprise"})).expect(200);
        eventually("some lie on new shards", || (posted.beyond().len() > 30).then_some(()));
        raised_at
    });
    let beyond = posted.beyond();
    let delays: Vec<Duration> = beyond.iter().map(|id| accepted_at(id).since(raised_at)).collect();
    let (first, slowest) = (delays.iter().min().unwrap(), posted.slowest.into_inner().unwrap());
    assert!(*first >= Duration::from_secs(35), "before every reader looks there: {first:?}");
    assert!(slowest < Duration::from_secs(15), "unseen by a reader that did not know: {slowest:?}");
    let shards: HashSet<u8> = beyond.iter().map(|id| shard(id)).collect();
    assert!(shards.len() > 8, "{shards:?}");
    let mut ids = posted.ids.into_inner().unwrap();
    ids.sort();
    assert_eq!(walk(&tenant, "limit=100&order=asc").concat(), ids, "each once");
    assert_eq!(tables::all_stored(&tenant, 16).len(), ids.len());
    println!(
        "{} events, the slowest seen after {slowest:?}; the first of {} on {} new shards {first:?} after the raise",
        ids.len(),
        beyond.len(),
        shards.len()
    );
}
