//! Endpoints whose circuit breaker is open and that answer a probe with 429, in simulated time: those that work again get their
//! deliveries soon, and those that are down behind a gateway get few requests.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::endpoint::EndpointState;
use domain::testing::START;
use domain::timestamp::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::clock::Clock;
use tokio::task::LocalSet;
use tokio::time::sleep;

use crate::breakers_fair::{HOUR, Ruled, Story};

const MINUTE: Duration = Duration::from_mins(1);

/// A receiver that is down for this time. Then it answers 429 for a time, as a server that warms up does, and then it works.
fn warming_up(down: Duration, refusing: Duration) -> Ruled {
    let (up, warm) = (START.after(down), START.after(down + refusing));
    Ruled::by(move |_, now| match now {
        now if now < up => 503,
        now if now < warm => 429,
        _ => 200,
    })
}

/// Waits until this number of events is delivered; returns the time since `from`.
async fn all_delivered(story: &Story, events: usize, from: Timestamp) -> Duration {
    while story.statuses() != BTreeMap::from([("delivered", events)]) {
        let waited = story.system.clock.now().since(from);
        assert!(waited < 12 * HOUR, "{:?} after {waited:?}", story.statuses());
        sleep(MINUTE / 6).await;
    }
    story.system.clock.now().since(from)
}

#[tokio::test(start_paused = true)]
async fn a_429_to_a_probe_lets_deliveries_flow_before_the_next_probe() {
    LocalSet::new()
        .run_until(async {
            let (down, refusing) = (5 * HOUR, 30 * MINUTE);
            let story = Story::start(warming_up(down, refusing));
            for _ in 0..300 {
                story.post().await;
            }
            let warm = START.after(down + refusing);
            sleep(warm.since(START)).await;
            let refused = story.receiver.count(429);
            let took = all_delivered(&story, 300, warm).await;
            println!(
                "down for 5 h, 429 for 30 min: {refused} refused, the last of 300 events {took:?} later, opened {} times",
                story.opened()
            );
            assert!(refused <= 60, "ten a minute at first, then one a minute: {refused}");
            let answered = story.receiver.answered.lock().unwrap().clone();
            let (first, ..) = answered.iter().find(|(_, _, code)| *code == 200).copied().unwrap();
            assert!(first.since(warm) <= 2 * MINUTE, "the next probe would come much later: {first}");
            assert!(took <= 45 * MINUTE, "from one a minute to the configured rate: {took:?}");
            let spent: u32 = story.system.tables.all_heads().iter().map(|(_, head)| head.attempts()).sum();
            assert!(spent <= 300 + 11 + 9, "neither a 429 nor a probe with an event of its own spent any: {spent}");
            assert_eq!((story.opened(), story.endpoint().health.is_closed()), (1, true));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_endpoint_whose_gateway_answers_429_in_between_gets_few_requests_and_is_disabled() {
    for percent in [30, 50, 90] {
        LocalSet::new()
            .run_until(async {
                let mut rng = StdRng::seed_from_u64(11);
                let gateway = Ruled::by(move |_, _| if rng.random_range(0..100) < percent { 429 } else { 502 });
                let story = Story::start(gateway);
                for _ in 0..500 {
                    story.post().await;
                }
                sleep(HOUR / 2).await;
                let first = story.receiver.count(0);
                sleep(6 * HOUR).await;
                let (total, failures) = (story.receiver.count(0), story.receiver.count(502));
                let of_day = total - first;
                println!("502 and {percent} % 429: {first} requests in half an hour, {of_day} in the next six, {failures} failures");
                assert!(first <= 150, "{first}");
                assert!(of_day <= 120, "two a minute at most, while the gateway answers: {of_day}");
                if percent != 50 {
                    return; // six days of one kind are enough
                }
                while story.endpoint().state == EndpointState::Active {
                    assert!(story.system.clock.now().since(START) < 8 * 24 * HOUR, "it is still active");
                    story.post().await;
                    sleep(HOUR).await;
                }
                let days = story.system.clock.now().since(START).as_secs_f64() / 86_400.0;
                println!(
                    "disabled after {days:.1} days and {} requests, opened {} times",
                    story.receiver.count(0),
                    story.opened()
                );
                assert!(days >= 5.0, "{days}");
            })
            .await;
    }
}
