//! What the lists of events cost at most in one request, with as many large heads as a tenant can set up, for a tenant with one
//! shard and for one with sixteen. And what the statistics of a day cost at most.

use std::time::Duration;

use domain::event::id::EventId;
use domain::tenant::spread::Spread;
use domain::tenant::stats::Stats;
use domain::tenant::tier::Tier;
use domain::testing::START;
use http::StatusCode;
use serde_json::Value;
use store::clock::Clock;

use crate::pipeline::Pipeline;

/// The heads of each shard and their bytes: more than five pages of 1 MB.
const HEADS: u64 = 220;
const HEAD_BYTES: usize = 30_000;

/// The requests in which nothing matches, with the most read units for one shard and for sixteen.
const BOUNDS: [(&str, u64, u64); 3] = [
    ("/api/events?type=rare", 1_300, 5_500),
    ("/api/events?status=failed", 1_300, 5_500),
    ("/api/inbox?type=rare", 10, 120),
];

/// A tenant of this tier whose log and inbox have `HEADS` large heads in each shard.
async fn with_large_heads(tier: Tier) -> Pipeline {
    let pipeline = Pipeline::of_tier(tier, 0);
    pipeline.post_event("one").await;
    pipeline.consume().await;
    let item = pipeline.tables.events.items().remove(0);
    let partition = item.text("pk").unwrap().to_owned();
    let (tenant, _) = partition.rsplit_once('#').unwrap();
    for shard in 0..Spread::of(tier).read() {
        for number in 1..=HEADS {
            let at = START.before(Duration::from_secs(number));
            let id = EventId::generate(at, 1, &mut rand::rng());
            let copy = item.clone().with("padding", "x".repeat(HEAD_BYTES));
            let copy = copy.with("pk", format!("{tenant}#{shard}")).with("sk", id.to_string());
            pipeline.tables.events.put_item(copy);
        }
    }
    pipeline
}

#[tokio::test]
async fn a_list_of_events_costs_no_more_than_its_bound_however_many_shards_there_are() {
    for (tier, is_many) in [(Tier::Free, false), (Tier::Enterprise, true)] {
        let pipeline = with_large_heads(tier).await;
        for (path, of_one, of_many) in BOUNDS {
            pipeline.tables.events.reset_usage();
            let response = pipeline.call("GET", path, &Value::Null).await;
            let units = pipeline.tables.events.usage().half_reads / 2;
            println!(
                "{tier:?} {path}: {units} read units, next {}",
                response.body["next_cursor"].is_string()
            );
            assert_eq!(response.status, StatusCode::OK, "{}", response.body);
            let bound = if is_many { of_many } else { of_one };
            assert!(units <= bound, "{tier:?} {path}: {units}");
            pipeline.clock.advance(Duration::from_mins(1));
        }
    }
}

#[tokio::test]
async fn a_walk_by_cursor_in_sixteen_large_shards_ends() {
    let pipeline = with_large_heads(Tier::Enterprise).await;
    let mut path = "/api/events?type=rare".to_owned();
    for requests in 1.. {
        let page = pipeline.call("GET", &path, &Value::Null).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let Some(cursor) = page.body["next_cursor"].as_str() else {
            println!("{requests} requests");
            assert!(requests > 1, "one budget is less than all shards");
            return;
        };
        path = format!("/api/events?type=rare&cursor={cursor}");
        assert!(requests < 100);
    }
}

/// Counts in each of the last 1,500 minutes, with waits in this many buckets.
async fn with_busy_day(waits: u64) -> Pipeline {
    let pipeline = Pipeline::of_tier(Tier::Free, 0);
    let now = pipeline.clock.now().minutes();
    for minute in now - 1_500..=now {
        let counts =
            Stats { accepted: 1_000, stored: 1_000, delivered: 1_000, failed: 10, ..Stats::default() };
        let stats = (0..waits).fold(counts, |mut stats, wait| {
            stats.add(&format!("l{wait}"), 1_000);
            stats
        });
        pipeline.limits.add_stats(&pipeline.tenant, minute, &stats).await.unwrap();
    }
    pipeline
}

#[tokio::test]
async fn the_statistics_of_a_day_cost_no_more_than_their_bound_and_a_series_nothing_more() {
    for (waits, bound) in [(10, 60), (141, 260)] {
        let pipeline = with_busy_day(waits).await;
        let mut of_hour = Vec::new();
        for query in
            ["window=1h", "window=1h&step=1m", "window=24h", "window=24h&step=1m", "window=24h&step=1h"]
        {
            pipeline.tables.limits.reset_usage();
            let response = pipeline.call("GET", &format!("/api/stats?{query}"), &Value::Null).await;
            let units = pipeline.tables.limits.usage().half_reads.div_ceil(2);
            let bytes = response.body.to_string().len();
            println!("{waits} waits, {query}: {units} read units, {bytes} bytes");
            assert_eq!(response.status, StatusCode::OK, "{}", response.body);
            assert!(units <= bound && bytes < 400_000, "{query}: {units} read units, {bytes} bytes");
            of_hour.extend(query.starts_with("window=1h").then_some(units));
            pipeline.clock.advance(Duration::from_millis(1));
        }
        assert_eq!(of_hour[0], of_hour[1], "a series is made of the items that are read anyway");
    }
}
