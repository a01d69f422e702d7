//! Replays over the real handlers: what is sent again, and that it is sent once per run wherever the scheduler dies.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::delivery::run::Run;
use domain::endpoint::Endpoint;
use domain::endpoint::id::EndpointId;
use domain::event::id::EventId;
use domain::inbox::Status;
use domain::job::id::JobId;
use domain::job::replay::{Filter, Progress, Replay};
use domain::job::{Job, Work};
use domain::tenant::backlog::Backlog;
use domain::testing::{START, endpoint, endpoint_of};
use domain::timestamp::Timestamp;
use store::clock::Clock;
use store::items::Updated;
use store::testing::faults::Fault;

use crate::pipeline::Pipeline;

/// More calls than any visit of these stories makes.
const MANY: usize = 300;

/// A replay of what was accepted until now.
fn all(pipeline: &Pipeline) -> Replay {
    let until = pipeline.clock.now().after(Duration::from_millis(1));
    Replay {
        filter: Filter { shards: 1, since: START, until, event_type: None, status: None },
        endpoint: None,
        rate_per_second: None,
        count: 0,
        count_is_exact: true,
        progress: Progress::default(),
    }
}

/// The same of what failed alone.
fn failed(pipeline: &Pipeline) -> Replay {
    let all = all(pipeline);
    Replay { filter: Filter { status: Some(Status::Failed), ..all.filter.clone() }, ..all }
}

/// Asks for a replay.
async fn ask(pipeline: &Pipeline, replay: Replay) -> JobId {
    let id = JobId::generate_replay(pipeline.clock.now(), &mut rand::rng());
    let work = Work::Replay(Box::new(replay));
    let job = Job::new(id.clone(), pipeline.tenant.clone(), work, pipeline.clock.now());
    pipeline.schedule.put_job(&job).await.unwrap();
    id
}

async fn job(pipeline: &Pipeline, id: &JobId) -> Job {
    pipeline.schedule.replay(&pipeline.tenant, id).await.unwrap().expect("a replay")
}

async fn cancel(pipeline: &Pipeline, id: &JobId) {
    let cancelled = job(pipeline, id).await.cancel().expect("it is under way");
    assert_eq!(pipeline.schedule.save_job(&cancelled).await.unwrap(), Updated::Done);
}

/// Events, events sent again, and deliveries of a replay that has ended in this state.
async fn ended(pipeline: &Pipeline, id: &JobId, state: &str) -> (u64, u64, u64) {
    let job = job(pipeline, id).await;
    assert_eq!((job.state(), job.ended_at.is_some()), (state, true));
    let Work::Replay(replay) = job.work else { panic!("no replay") };
    (replay.progress.seen, replay.progress.replayed, replay.progress.deliveries)
}

/// How often each event came to its receivers.
fn posts(pipeline: &Pipeline) -> BTreeMap<String, usize> {
    let id = |request: &domain::delivery::webhook_request::WebhookRequest| {
        request.headers.iter().find(|(name, _)| name == "webhook-id").expect("it is signed").1.clone()
    };
    pipeline.webhooks.received().iter().fold(BTreeMap::new(), |mut times, request| {
        *times.entry(id(request)).or_default() += 1;
        times
    })
}

/// So many events that are taken by so many endpoints.
async fn delivered(events: usize, endpoints: u8) -> Pipeline {
    let pipeline = Pipeline::with_endpoints(endpoints);
    for n in 0..events {
        pipeline.post_event(&format!("order-{n}")).await;
    }
    pipeline.run_until_quiet().await;
    assert!(pipeline.tables.all_heads().iter().all(|(_, head)| head.status == Status::Delivered));
    pipeline
}

/// Nothing is left to be done, and nothing waits in the inbox.
fn nothing_is_left(pipeline: &Pipeline, context: &str) {
    let stuck = pipeline.tables.all_heads().into_iter().filter(|(_, head)| head.status != Status::Delivered);
    assert_eq!(stuck.count(), 0, "{context}: delivered or failed, and in no queue");
    assert!(pipeline.tables.jobs().iter().all(|job| job.ended_at.is_some()), "{context}");
    assert_eq!((pipeline.tables.next_due(), pipeline.tables.parked()), (None, vec![]), "{context}");
    assert_eq!(pipeline.deliveries.next_visible(), None, "{context}");
}

#[tokio::test]
async fn what_was_taken_is_sent_again_once_per_run() {
    let pipeline = delivered(25, 2).await;
    for run in 1..=3 {
        let id = ask(&pipeline, all(&pipeline)).await;
        pipeline.run_until_quiet().await;
        assert_eq!(ended(&pipeline, &id, "done").await, (25, 25, 50));
        let posts = posts(&pipeline);
        assert_eq!((posts.len(), posts.values().all(|times| *times == 2 * (run + 1))), (25, true));
        nothing_is_left(&pipeline, "after a run");
    }
    let counted = pipeline.tables.counted();
    assert_eq!((counted.stored, counted.returned, counted.settled), (25, 0, 25), "no replay was late");
    assert_eq!(pipeline.limits.backlog(&pipeline.tenant).await.unwrap(), Backlog::default(), "nothing waits");
    let stats = pipeline.limits.stats(&pipeline.tenant, 0, u64::MAX).await.unwrap().sum();
    assert_eq!(stats.first_attempt_ms.count(), 50, "how long a replayed event waited says nothing");
}

#[tokio::test]
async fn a_bulk_retry_sends_again_what_failed_and_nothing_else() {
    let pipeline = delivered(3, 2).await;
    let refused = pipeline.post_event("refused").await;
    let refused = crate::pipeline::id_of(&refused);
    let gone = endpoint(2).url;
    pipeline.webhooks.answer_by(move |request, _| (request.url.as_str() == gone).then_some(410));
    pipeline.run_until_quiet().await;
    let head = pipeline.tables.head(&pipeline.tenant, refused).unwrap();
    assert_eq!(head.status, Status::Failed);
    let id = ask(&pipeline, failed(&pipeline)).await;
    pipeline.run_until_quiet().await;
    assert_eq!(ended(&pipeline, &id, "done").await, (1, 0, 0), "a disabled endpoint takes nothing");
    pipeline.webhooks.answer_by(|_, _| None);
    pipeline.tables.put_endpoint(&pipeline.tenant, &endpoint_of(&pipeline.tenant, 2));
    let before = posts(&pipeline);
    let id = ask(&pipeline, failed(&pipeline)).await;
    pipeline.run_until_quiet().await;
    assert_eq!(ended(&pipeline, &id, "done").await, (1, 1, 1));
    let mut expected = before;
    *expected.get_mut(&refused.to_string()).unwrap() += 1;
    assert_eq!(posts(&pipeline), expected, "to the one endpoint that had not taken it");
    let head = pipeline.tables.head(&pipeline.tenant, refused).unwrap();
    assert_eq!(head.status, Status::Delivered, "it leaves the inbox");
}

#[tokio::test]
async fn trace_6_a_replay_opens_nothing_that_is_open() {
    let (pipeline, id) = Pipeline::stored_event(1).await;
    let tenant = pipeline.tenant.clone();
    let replay = all(&pipeline);
    let run = JobId::generate_replay(START, &mut rand::rng());
    let asked = Job::new(run.clone(), tenant, Work::Replay(Box::new(replay)), START);
    pipeline.schedule.put_job(&asked).await.unwrap();
    let before = pipeline.only_head();
    pipeline.schedule().await; // while attempt 1 is in flight
    assert_eq!((pipeline.only_head(), pipeline.delivery_messages().len()), (before, 1));
    assert_eq!(ended(&pipeline, &run, "done").await, (1, 0, 0));
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.webhooks.received().len(), 1, "no second webhook without a fault");
    assert_eq!(pipeline.tables.head(&pipeline.tenant, id).unwrap().status, Status::Delivered);
}

#[tokio::test]
async fn trace_6_a_replayed_event_that_fails_is_in_the_inbox_until_it_is_taken_or_acknowledged() {
    for ends in ["taken", "acknowledged", "refused"] {
        let pipeline = delivered(1, 1).await;
        let head = pipeline.only_head();
        if ends == "acknowledged" {
            pipeline.webhooks.answer(500);
        } else if ends == "refused" {
            pipeline.webhooks.answer(410);
        }
        ask(&pipeline, all(&pipeline)).await;
        pipeline.clock.advance(Duration::from_mins(1));
        pipeline.schedule().await;
        let open = pipeline.only_head();
        assert_eq!(
            (open.status, open.in_inbox, open.rev),
            (Status::Delivering, false, head.rev + 1),
            "its first attempt is under way once more"
        );
        let backlog = async || pipeline.limits.backlog(&pipeline.tenant).await.unwrap();
        assert_eq!(backlog().await, Backlog::default());
        pipeline.deliver().await;
        let late = pipeline.tables.head(&pipeline.tenant, head.id).unwrap();
        assert_eq!(late.in_inbox, ends != "taken", "{ends}");
        if ends == "acknowledged" {
            assert_eq!(backlog().await, Backlog::stored(head.id.accepted_at()));
            let acked = late.acknowledge().unwrap();
            pipeline.tables.overwrite_head(&pipeline.tenant, &acked);
        }
        pipeline.run_until_quiet().await;
        let head = pipeline.tables.head(&pipeline.tenant, head.id).unwrap();
        let expected = match ends {
            "taken" => (Status::Delivered, 2),
            "acknowledged" => (Status::Acked, 2),
            _ => (Status::Failed, 2),
        };
        assert_eq!((head.status, pipeline.webhooks.received().len()), expected, "{ends}");
    }
}

#[tokio::test]
async fn a_new_endpoint_that_is_named_gets_what_was_stored_before_it_was_made() {
    let pipeline = delivered(5, 1).await;
    pipeline.tables.put_endpoint(&pipeline.tenant, &endpoint_of(&pipeline.tenant, 2));
    let to = |id: EndpointId| Replay { endpoint: Some(id), ..all(&pipeline) };
    let id = ask(&pipeline, to(endpoint(2).id)).await;
    pipeline.run_until_quiet().await;
    assert_eq!(ended(&pipeline, &id, "done").await, (5, 5, 5));
    let urls: Vec<String> =
        pipeline.webhooks.received()[5..].iter().map(|request| request.url.as_str().to_owned()).collect();
    assert_eq!(urls, vec![endpoint(2).url; 5], "and nobody else gets anything");
    let id = ask(&pipeline, all(&pipeline)).await;
    pipeline.run_until_quiet().await;
    assert_eq!(ended(&pipeline, &id, "done").await, (5, 5, 10));
    nothing_is_left(&pipeline, "both");
}

#[tokio::test]
async fn all_replays_together_keep_half_of_an_endpoints_rate_free() {
    for replays in [1, 2] {
        let pipeline = delivered(50, 1).await;
        pipeline.clock.advance(Duration::from_secs(1));
        let middle = pipeline.clock.now();
        for n in 50..100 {
            pipeline.post_event(&format!("order-{n}")).await;
        }
        pipeline.run_until_quiet().await;
        let slow = Endpoint { rate_per_second: 4, ..endpoint_of(&pipeline.tenant, 1) };
        pipeline.tables.put_endpoint(&pipeline.tenant, &slow);
        let whole = all(&pipeline);
        let parts = if replays == 1 {
            vec![whole.filter.clone()]
        } else {
            let early = Filter { until: middle, ..whole.filter.clone() };
            vec![early, Filter { since: middle, ..whole.filter.clone() }]
        };
        for filter in parts {
            ask(&pipeline, Replay { filter, ..whole.clone() }).await;
        }
        pipeline.run_until_quiet().await;
        let at = &pipeline.webhooks.received_at()[100..];
        let within = |from: &Timestamp| {
            at.iter().filter(|at| *at >= from && at.since(*from) < Duration::from_secs(1)).count()
        };
        let most = at.iter().map(within).max();
        assert_eq!((at.len(), most), (100, Some(2)), "two a second, of {replays} replays");
    }
}

#[tokio::test]
async fn what_is_cancelled_sends_no_more_than_what_it_had_opened() {
    let pipeline = delivered(150, 1).await;
    pipeline
        .tables
        .change_endpoint(&pipeline.tenant, &endpoint(1).id, |endpoint| endpoint.rate_per_second = 2);
    let id = ask(&pipeline, all(&pipeline)).await;
    pipeline.clock.advance(Duration::from_mins(1));
    pipeline.schedule().await;
    cancel(&pipeline, &id).await;
    pipeline.run_until_quiet().await;
    assert_eq!(ended(&pipeline, &id, "cancelled").await, (60, 60, 60), "a minute's worth");
    assert_eq!(pipeline.webhooks.received().len(), 150 + 60);
    nothing_is_left(&pipeline, "cancelled");
}

/// What a replay whose scheduler dies here comes to.
struct Death {
    events: usize,
    call: usize,
    fault: Fault,
    /// Whether it is cancelled right afterwards, and the endpoint made slower.
    is_cancelled: bool,
}

/// Lets the scheduler die in the middle of a replay; whether it did, and how many webhooks came once too often.
async fn die(death: &Death) -> (bool, usize) {
    let Death { events, call, fault, is_cancelled } = *death;
    let (context, pipeline) = (format!("{fault:?} at {call}"), delivered(events, 2).await);
    let id = ask(&pipeline, all(&pipeline)).await;
    pipeline.clock.advance(Duration::from_mins(1));
    pipeline.faults.die_at(call, fault);
    pipeline.schedule().await;
    let died = pipeline.faults.recover();
    let under_way = job(&pipeline, &id).await.ended_at.is_none();
    if is_cancelled && under_way {
        cancel(&pipeline, &id).await;
        pipeline.tables.change_endpoint(&pipeline.tenant, &endpoint(1).id, |endpoint: &mut Endpoint| {
            endpoint.rate_per_second = 1;
        });
    }
    pipeline.run_until_quiet().await;
    nothing_is_left(&pipeline, &context);
    let ids: Vec<EventId> = pipeline.tables.all_heads().into_iter().map(|(_, head)| head.id).collect();
    let replayed = ids.iter().filter(|event| {
        let head = pipeline.tables.head(&pipeline.tenant, **event).unwrap();
        assert!(head.deliveries.values().all(|delivery| delivery.attempts == 1), "{context}");
        head.was_replayed_by(&Run::Replay(id.clone()))
    });
    let replayed: Vec<String> = replayed.map(ToString::to_string).collect();
    let state = if is_cancelled && under_way { "cancelled" } else { "done" };
    let count = u64::try_from(replayed.len()).unwrap();
    let progress = ended(&pipeline, &id, state).await;
    assert_eq!(progress, (count, count, 2 * count), "{context}");
    if state == "done" {
        assert_eq!(replayed.len(), events, "{context}");
    }
    let posts = posts(&pipeline);
    let too_many: usize = posts
        .iter()
        .map(|(event, times)| {
            let expected = if replayed.contains(event) { 4 } else { 2 };
            assert!(*times >= expected, "{context}: {event} came {times} times");
            times - expected
        })
        .sum();
    let backlog = pipeline.limits.backlog(&pipeline.tenant).await.unwrap();
    let off: i64 = backlog.days().map(|(_, number)| number).sum();
    assert!(
        (-i64::try_from(events).unwrap()..=0).contains(&off),
        "{context}: {off}: what a dead process did not count, and nothing more"
    );
    (died, too_many)
}

#[tokio::test]
async fn each_event_is_replayed_once_per_run_wherever_the_scheduler_dies() {
    for is_cancelled in [false, true] {
        let (mut deaths, mut too_many) = (0, 0);
        for fault in Fault::ALL {
            for call in 0..MANY {
                let (died, more) = die(&Death { events: 6, call, fault, is_cancelled }).await;
                if !died {
                    break; // the visit was over
                }
                deaths += 1;
                too_many += more;
            }
        }
        println!(
            "{deaths} deaths in a replay, cancelled: {is_cancelled}; {too_many} webhooks came once too often"
        );
        assert!(deaths > 2 * 60, "{deaths}");
        assert_eq!(too_many, 0);
    }
}

#[tokio::test]
async fn a_large_step_that_was_cut_off_is_found_again_though_steps_are_small_now() {
    let mut deaths = 0;
    for call in (100..MANY).step_by(25) {
        let death = Death { events: 90, call, fault: Fault::AnswerLost, is_cancelled: true };
        let (died, too_many) = die(&death).await;
        deaths += usize::from(died);
        assert_eq!(too_many, 0, "at {call}");
    }
    assert!(deaths > 5, "{deaths}");
}
