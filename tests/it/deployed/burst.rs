//! A tenant sends ten times what its tier allows, to twenty instances at once: the limit holds over all of them, every
//! refusal says when to come back, and no other tenant notices.

use aws::clients::emulator_clients;
use aws::ports::Aws;
use std::iter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use store::ports::Ports;
use store::queue::Queue;

use aws::system_clock::SystemClock;
use domain::tenant::rate_limit::{RETRY_SPREAD_SECONDS, slice};
use domain::tenant::tier::Tier;
use domain::timestamp::Timestamp;
use futures_util::future::join_all;
use http::HeaderMap;
use runtime::answer::Answer;
use serde_json::json;
use store::clock::Clock;
use store::testing::clock::FixedClock;
use store::testing::faults::Faults;
use store::testing::memory::EVENTS_QUEUE;
use store::testing::queue::MemoryQueue;
use tokio::runtime::{Builder, Runtime};

use crate::deployed::support::instances::{Instance, Mixed, instance};
use crate::deployed::support::proxy::Proxy;
use crate::deployed::support::sqs::queue;
use crate::deployed::support::stack::shared;
use crate::support::client::Tenant;
use crate::support::instances::{headers, post};

/// How often a lease can double until it takes a slice of ten tokens.
const MAX_DOUBLINGS: usize = 5;

const INSTANCES: usize = 20;
const POSTS_PER_INSTANCE: usize = 500;
const BODY: &str = r#"{"type":"order.created","payload":{"order":1}}"#;

/// The seconds of its minute at which the clock stands still.
const SECOND: u32 = 17;

/// How many posts of the quiet tenant are timed while it is alone.
const TIMED: usize = 300;

/// Instances on a thread of their own, each with its own keys, tokens and connections.
struct Worker<Q: Queue> {
    runtime: Runtime,
    instances: Vec<Instance<Q, FixedClock>>,
}

impl<Q: Queue> Worker<Q> {
    fn start(count: usize, endpoint: &str, clock: &FixedClock, queue: impl Fn(&Aws) -> Q) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let start = || {
            let aws = Aws::of(runtime.block_on(emulator_clients(endpoint)));
            let queue = queue(&aws);
            runtime.block_on(instance(&Mixed { aws, queue, clock: clock.clone() }))
        };
        let instances = iter::repeat_with(start).take(count).collect();
        Self { runtime, instances }
    }

    /// Posts this often to each instance, to all of them at once.
    fn post(&self, headers: &HeaderMap, times: usize) -> Vec<Answer> {
        let posts = async |instance| {
            let mut answers = Vec::new();
            for _ in 0..times {
                answers.push(post(instance, headers, BODY).await);
            }
            answers
        };
        self.runtime.block_on(join_all(self.instances.iter().map(posts))).concat()
    }
}

impl<Q: Queue> Worker<Q> {
    /// How long each of these posts took, the fastest first; each is accepted.
    fn times(&self, headers: &HeaderMap, goes_on: impl Fn(usize) -> bool) -> Vec<Duration> {
        let mut times = Vec::new();
        while goes_on(times.len()) {
            let began = Instant::now();
            let answers = self.post(headers, 1);
            times.push(began.elapsed());
            assert_eq!(answers[0].status(), 202, "{}", answers[0].body());
        }
        times.sort_unstable();
        times
    }

    /// The same for as long as something else goes on, and what came of that.
    fn times_while<R>(&self, headers: &HeaderMap, act: impl FnOnce() -> R) -> (R, Vec<Duration>) {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let times =
                scope.spawn(|| self.times(headers, |posts| posts == 0 || !over.load(Ordering::SeqCst)));
            let result = act();
            over.store(true, Ordering::SeqCst);
            (result, times.join().unwrap())
        })
    }
}

/// What the answers were.
#[derive(Default)]
struct Tally {
    accepted: usize,
    refused: usize,
}

impl Tally {
    fn of(answers: &[Answer]) -> Self {
        let mut tally = Self::default();
        for answer in answers {
            tally.add(answer);
        }
        tally
    }

    fn add(&mut self, answer: &Answer) {
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("x-ratelimit-limit").as_deref(), Some("1000"));
        let reset = (60 - SECOND).to_string();
        assert_eq!(header("x-ratelimit-reset"), Some(reset.clone()));
        match answer.status().as_u16() {
            202 => self.accepted += 1,
            429 => {
                self.refused += 1;
                let after: u32 = header("retry-after").and_then(|seconds| seconds.parse().ok()).unwrap();
                assert!((60 - SECOND..=60 - SECOND + RETRY_SPREAD_SECONDS).contains(&after), "{after}");
                assert_eq!(header("x-ratelimit-remaining").as_deref(), Some("0"));
                assert_eq!(header("ratelimit"), Some(format!("\"events\";r=0;t={reset}")));
                assert_eq!(header("ratelimit-policy").as_deref(), Some("\"events\";q=1000;w=60"));
            }
            status => panic!("{status}: {}", answer.body()),
        }
    }
}

/// A present minute, standing still.
fn clock() -> FixedClock {
    FixedClock::at(Timestamp::from_seconds(SystemClock.now().minutes() * 60 + u64::from(SECOND)))
}

/// The time that 99 of 100 stay under.
fn p99(times: &[Duration]) -> Duration {
    times[times.len() * 99 / 100]
}

#[test]
fn ten_times_the_limit_at_twenty_instances_is_accepted_up_to_the_limit_and_hurts_nobody_else() {
    let limit = Tier::Pro.limits().events_per_minute;
    let (limit, slice) = (limit as usize, slice(limit) as usize);
    let (loud, quiet, clock) =
        (headers(&Tenant::deployed()), headers(&Tenant::deployed_of_tier("business")), clock());
    let proxy = Proxy::start();
    let crowd = Worker::start(INSTANCES, &proxy.url(), &clock, |_| {
        MemoryQueue::new(EVENTS_QUEUE, Faults::default(), clock.clone()) // the limit is what is tested
    });
    let url = queue(&json!({})); // nobody takes its messages
    let emulator = &shared().summary().emulator;
    let beside = Worker::start(1, emulator, &clock, |aws: &Aws| aws.queue(&url));
    let alone = beside.times(&quiet, |posts| posts < TIMED);

    let welcome = headers(&Tenant::deployed_of_tier("enterprise"));
    let (_, beside_accepted) = beside.times_while(&quiet, || crowd.post(&welcome, POSTS_PER_INSTANCE));
    proxy.take_calls();

    let began = Instant::now();
    let (answers, beside_refused) = beside.times_while(&quiet, || crowd.post(&loud, POSTS_PER_INSTANCE));
    let took = began.elapsed();
    let Tally { accepted, refused } = Tally::of(&answers);
    let updates = proxy.take_calls()["UpdateItem"];
    println!(
        "{} posts at {INSTANCES} instances in {took:.1?}: {accepted} accepted, {refused} refused, {updates} updates of tables",
        answers.len(),
    );
    let [alone, beside_accepted, beside_refused] = [alone, beside_accepted, beside_refused].map(|t| p99(&t));
    println!(
        "another tenant's p99: {alone:.1?} alone, {beside_accepted:.1?} beside as many posts of a tenant within its limit, \
         {beside_refused:.1?} beside these: {:.2} times that",
        beside_refused.as_secs_f64() / beside_accepted.as_secs_f64(),
    );
    assert!(accepted <= limit, "{accepted}");
    assert!(accepted >= limit - INSTANCES * slice, "{accepted}");
    assert_eq!(accepted + refused, INSTANCES * POSTS_PER_INSTANCE);
    assert!(
        updates <= 2 * limit / slice + INSTANCES * (2 + MAX_DOUBLINGS),
        "{updates}: each instance notes the use of the key, doubles its leases, and hears once that the minute is spent"
    );

    assert!(crowd.post(&quiet, 1).iter().all(|answer| answer.status() == 202), "it is not spent for others");
    assert!(crowd.post(&loud, 10).iter().all(|answer| answer.status() == 429));
    let updates = proxy.take_calls()["UpdateItem"];
    assert_eq!(updates, 2 * INSTANCES, "the other tenant's key and lease: a spent minute is remembered");

    clock.advance(Duration::from_secs(60));
    assert!(crowd.post(&loud, 1).iter().all(|answer| answer.status() == 202), "there are tokens again");
}
