//! A service does not answer for a while: one and the same process of ingest says so, promises nothing meanwhile, and
//! accepts again as soon as the service is back.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::deployed::support::front_door::{FrontDoor, WARMED, named, plain};
use crate::deployed::support::proxy::{Fault, Rule};
use crate::support::client::Tenant;
use crate::support::{size, tables};

/// What the template gives an invocation of ingest.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(20);

/// How a service is out, and for how many posts.
#[derive(Clone, Copy)]
struct Outage {
    fault: Fault,
    posts: usize,
}

const REFUSED: Outage = Outage { fault: Fault::Refused, posts: 20 };
const HUNG: Outage = Outage { fault: Fault::Silence, posts: 2 };

/// A process that waits for AWS as long as it would in AWS.
fn door() -> FrontDoor {
    FrontDoor::with(&[("AWS_PATIENCE", "1")])
}

impl Outage {
    /// Posts while it lasts; how often, and how long the slowest post took.
    fn endure(self, mut post: impl FnMut(usize)) -> (usize, Duration) {
        self.endure_for(Duration::ZERO, &mut post)
    }

    /// The same, but for this long at least.
    fn endure_for(self, time: Duration, mut post: impl FnMut(usize)) -> (usize, Duration) {
        let (began, mut posts, mut slowest) = (Instant::now(), 0, Duration::ZERO);
        while posts < self.posts || began.elapsed() < time {
            let posted = Instant::now();
            post(posts);
            slowest = slowest.max(posted.elapsed());
            posts += 1;
        }
        assert!(slowest < FUNCTION_TIMEOUT, "{slowest:?}");
        (posts, slowest)
    }
}

/// Set `TRIGGERS_OUTAGE_SECONDS` to have the queue out for so long by the clock.
fn the_queue_is_out(outage: Outage) {
    let lasts = Duration::from_secs(size("TRIGGERS_OUTAGE_SECONDS", 0));
    let (tenant, door) = (Tenant::deployed_of_tier("enterprise"), door());
    door.warm(&tenant);
    door.proxy.spoil(Rule::every("AmazonSQS", outage.fault));
    let mut refused = Vec::new();
    let (posts, slowest) = outage.endure_for(lasts, |number| {
        if number % 2 == 0 || number > 20 {
            door.post(&tenant, &plain()).unavailable();
        } else {
            let name = format!("during {number}");
            door.post(&tenant, &named(&name)).unavailable();
            refused.push(name);
        }
    });
    door.proxy.heal();
    let healed = Instant::now();
    let mut ids = vec![door.post(&tenant, &plain()).expect(202).id()];
    println!(
        "the queue is out, {:?}: {posts} posts, all 503, the slowest in {slowest:.1?}; then 202 in {:.1?}",
        outage.fault,
        healed.elapsed()
    );
    ids.extend(refused.iter().map(|name| door.post(&tenant, &named(name)).expect(202).id()));
    tenant.all_shown_as("pending", &ids);
    let stored = tables::all_stored(&tenant, 16);
    assert_eq!(stored.len(), ids.len() + WARMED, "those that were accepted, and those of the warming");
}

#[test]
fn a_queue_that_refuses_is_told_with_503_until_it_is_back() {
    the_queue_is_out(REFUSED);
}

#[test]
fn a_queue_that_hangs_is_told_with_503_within_the_functions_time_until_it_is_back() {
    the_queue_is_out(HUNG);
}

#[test]
fn nobody_is_let_in_while_keys_cannot_be_read_and_everybody_as_soon_as_they_can() {
    for outage in [REFUSED, HUNG] {
        let (tenant, door) = (Tenant::deployed(), door());
        door.proxy.spoil(Rule::every("GetItem", outage.fault));
        Outage { posts: 2, ..outage }.endure(|_| door.post(&tenant, &plain()).unavailable());
        door.proxy.heal();
        let id = door.post(&tenant, &plain()).expect(202).id();
        tenant.shown_as("pending", &id);
        assert_eq!(tables::all_stored(&tenant, 1).len(), 1);
    }
}

#[test]
fn a_name_that_cannot_be_claimed_is_not_accepted() {
    let (tenant, door) = (Tenant::deployed(), door());
    door.warm(&tenant);
    door.proxy.spoil(Rule::every("PutItem", Fault::Refused));
    REFUSED.endure(|_| door.post(&tenant, &named("a")).unavailable());
    assert!(!door.proxy.take_calls().contains_key("SendMessageBatch"), "nothing is sent without a claim");
    door.post(&tenant, &plain()).expect(202);
    door.proxy.heal();
    door.post(&tenant, &named("a")).expect(202);
}

#[test]
fn events_are_accepted_while_the_limits_cannot_be_counted() {
    for outage in [REFUSED, HUNG] {
        let (tenant, door) = (Tenant::deployed_of_tier("free"), door());
        door.proxy.spoil(Rule::every("UpdateItem", outage.fault));
        outage.endure(|_| {
            let reply = door.post(&tenant, &plain()).expect(202);
            assert_eq!(reply.header("x-ratelimit-limit"), Some("100"));
        });
    }
}

#[test]
fn a_full_batch_is_answered_within_the_functions_time_while_nothing_of_aws_answers() {
    let (tenant, door) = (Tenant::deployed_of_tier("business"), door());
    door.warm(&tenant);
    door.proxy.spoil(Rule::every("DynamoDB_20120810", Fault::Silence));
    door.proxy.spoil(Rule::every("AmazonSQS", Fault::Silence));
    let mut batch: Vec<_> = (1..500).map(|number| named(&format!("name {number}"))).collect();
    batch.push(plain());
    let (_, took) = Outage { posts: 1, ..HUNG }.endure(|_| {
        let answer = door.post_batch(&tenant, &batch).expect(207).json();
        assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(0), &json!(500)));
        let results = answer["results"].as_array().unwrap();
        assert!(results.iter().all(|result| result["error"]["status"] == 503));
    });
    println!("nothing of AWS answers: a batch of 500 is refused in {took:.1?}");
    door.proxy.heal();
    let answer = door.post_batch(&tenant, &batch).expect(202).json();
    assert_eq!(answer["accepted"], 500, "no name is claimed");
}
