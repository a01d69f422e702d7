//! What the tables promise about jobs, and about the end of a tenant.

use std::time::Duration;
use store::table::Table;

use domain::event::claim::{Claim, Claimed};
use domain::event::claim_name::{ClaimName, DedupId};
use domain::event::event_type::EventType;
use domain::event::fingerprint::Fingerprint;
use domain::inbox::Status;
use domain::job::erasure::{Erasure, Phase};
use domain::job::id::JobId;
use domain::job::replay::{Filter, Progress, Replay};
use domain::job::{Job, Work};
use domain::tenant::api_key::{KeyHash, Pepper};
use domain::tenant::backlog::Backlog;
use domain::tenant::id::TenantId;
use domain::tenant::stats::Stats;
use domain::tenant::tier::Tier;
use domain::testing::{START, endpoint, erasure_id, event, key_of, tenant};
use domain::timestamp::Timestamp;
use futures_util::future::join;
use store::control::Control;
use store::items::Updated;
use store::limits::Limits;
use store::schedule::Schedule;

use store::unavailable::PortResult;

use super::memory;

/// More jobs than any test leaves.
const ALL: usize = 10_000;

/// How often a job is read while it ends.
const READS: usize = 50;

/// A job that nobody else advances: the scheduler of a running stack leaves alone what somebody works at.
fn held(id: JobId, owner: &TenantId, work: Work) -> Job {
    let busy_until = Timestamp::from_seconds(32_503_680_000);
    Job { busy_until, ..Job::new(id, owner.clone(), work, START) }
}

fn replay_of(owner: &TenantId) -> Job {
    let event = event(owner, "a", "1", START);
    let replay = Replay {
        filter: Filter {
            shards: 4,
            since: START,
            until: START.after(Duration::from_mins(1)),
            event_type: Some(EventType::parse("order.created").unwrap()),
            status: Some(Status::Failed),
        },
        endpoint: Some(endpoint(1).id),
        rate_per_second: Some(7),
        count: 11,
        count_is_exact: false,
        progress: Progress { shard: 2, after: Some(event.id), seen: 5, replayed: 4, deliveries: 3 },
    };
    held(JobId::generate_replay(START, &mut rand::rng()), owner, Work::Replay(Box::new(replay)))
}

fn erasure_of(owner: &TenantId, phase: Phase) -> Job {
    let erasure = Erasure { phase, deleted: 5, found: 4, looks: 3, key_dropped_at: Some(START) };
    held(erasure_id(), owner, Work::Erasure(Box::new(erasure)))
}

pub(super) async fn jobs_keep_their_promises(schedule: &Schedule<impl Table>) -> PortResult<()> {
    let (ours, other) = (tenant(), tenant());
    let (first, second, others) = (replay_of(&ours), replay_of(&ours), replay_of(&other));
    let under_way = async || {
        let turns = schedule.turns(ALL, ALL).await?;
        let mut jobs: Vec<Job> = turns.into_iter().flat_map(|turn| turn.jobs).collect();
        jobs.retain(|job| job.tenant == ours);
        jobs.sort_by(|one, two| one.id.cmp(&two.id));
        PortResult::Ok(jobs)
    };
    for job in [&first, &second, &others, &first] {
        schedule.put_job(job).await?; // twice is once
    }
    let mut both = [first.clone(), second.clone()];
    both.sort_by(|one, two| one.id.cmp(&two.id));
    assert_eq!(under_way().await?, both);
    assert!(schedule.turns(1, 1).await?.iter().map(|turn| turn.jobs.len()).sum::<usize>() <= 1);
    assert_eq!(schedule.count_running_replays(&ours).await?, 2, "another tenant's do not count");
    assert_eq!(schedule.replay(&ours, &first.id).await?, Some(first.clone()));
    assert_eq!(schedule.replay(&other, &first.id).await?, None);
    assert_eq!(
        schedule.save_job(&Job { rev: 2, ..replay_of(&ours) }).await?,
        Updated::Raced,
        "it is not there"
    );

    let cancelled = first.cancel().unwrap();
    assert_eq!(schedule.save_job(&cancelled).await?, Updated::Done);
    assert_eq!(schedule.save_job(&cancelled).await?, Updated::Raced, "rev has moved on");
    assert_eq!(schedule.save_job(&first.ended(START)).await?, Updated::Raced, "it was cancelled meanwhile");
    schedule.put_job(&first).await?;
    assert_eq!(schedule.replay(&ours, &first.id).await?, Some(cancelled.clone()), "it is under way");
    let ended = cancelled.ended(START.after(Duration::from_secs(1)));
    let read = async {
        let mut found = Vec::new();
        for _ in 0..READS {
            found.push(schedule.replay(&ours, &first.id).await?);
        }
        PortResult::Ok(found)
    };
    let (saved, found) = join(schedule.save_job(&ended), read).await;
    assert_eq!(saved?, Updated::Done);
    assert!(found?.iter().all(|job| job == &Some(cancelled.clone()) || job == &Some(ended.clone())));
    assert_eq!(schedule.replay(&ours, &first.id).await?, Some(ended.clone()));
    for late in [cancelled.ended(START), cancelled.advanced()] {
        assert_eq!(schedule.save_job(&late).await?, Updated::Raced, "it has ended");
    }
    assert_eq!(schedule.replay(&ours, &first.id).await?, Some(ended));
    assert_eq!((under_way().await?, schedule.count_running_replays(&ours).await?), (vec![second.clone()], 1));
    erasures_keep_their_promises(schedule, &ours).await?;
    Box::pin(listed_replays_keep_their_promises(schedule, [&first, &second], &others)).await?;

    assert_eq!(schedule.purge_replays(&ours).await?, 4, "one under way, two that have ended, and a name");
    assert_eq!(schedule.purge_replays(&ours).await?, 0);
    assert_eq!(schedule.save_job(&second.ended(START)).await?, Updated::Raced, "it does not come back");
    for id in [&first.id, &second.id] {
        assert_eq!(schedule.replay(&ours, id).await?, None);
    }
    assert_eq!(schedule.replay(&other, &others.id).await?, Some(others));
    schedule.purge_replays(&other).await?;
    names_keep_their_promises(schedule).await
}

/// Replays of a tenant are listed newest first, those that run and those that have ended, each one once.
async fn listed_replays_keep_their_promises(
    schedule: &Schedule<impl Table>,
    [ended, running]: [&Job; 2],
    others: &Job,
) -> PortResult<()> {
    let name = ClaimName::Idempotency(DedupId::parse("beside them").unwrap());
    let (ours, other) = (&ended.tenant, &others.tenant);
    let newest = Job { created_at: START, ..replay_of(ours) };
    let claim = Claim::new(newest.id.clone(), Fingerprint::of_request("a"), START);
    assert_eq!(schedule.put_named_job(&newest, &name, &claim).await?, Claimed::First);
    let mut expected: Vec<&JobId> = [&ended.id, &running.id, &newest.id].into();
    expected.sort_unstable();
    expected.reverse();
    let all = schedule.replays(ours, None, 3).await?;
    assert_eq!(
        (all.jobs.iter().map(|job| &job.id).collect::<Vec<_>>(), all.has_more),
        (expected.clone(), false)
    );
    let states: Vec<bool> = all.jobs.iter().map(|job| job.ended_at.is_some()).collect();
    assert_eq!(states.iter().filter(|has_ended| **has_ended).count(), 1, "the others run");
    let mut walked = Vec::new();
    for has_more in [true, true, false] {
        let page = schedule.replays(ours, walked.last(), 1).await?;
        assert_eq!((page.jobs.len(), page.has_more), (1, has_more));
        walked.extend(page.jobs.into_iter().map(|job| job.id));
    }
    assert_eq!(walked.iter().collect::<Vec<_>>(), expected, "the same, one by one");
    assert_eq!(schedule.replays(ours, walked.last(), 1).await?.jobs, []);
    let of_other = schedule.replays(other, None, 3).await?.jobs;
    assert_eq!(of_other, std::slice::from_ref(others), "a tenant has its own");

    // A replay that ends meanwhile is listed once, running or ended.
    let list = async {
        let mut found = Vec::new();
        for _ in 0..READS {
            found.push(schedule.replays(ours, None, 3).await?.jobs);
        }
        PortResult::Ok(found)
    };
    let end = newest.ended(START.after(Duration::from_secs(2)));
    let (saved, found) = join(schedule.save_job(&end), list).await;
    assert_eq!(saved?, Updated::Done);
    for jobs in found? {
        assert_eq!(jobs.iter().map(|job| &job.id).collect::<Vec<_>>(), expected);
    }
    Ok(())
}

/// A name stands for the job it was put with, for a day, or for none.
async fn names_keep_their_promises(schedule: &Schedule<impl Table>) -> PortResult<()> {
    let (ours, other, now) = (tenant(), tenant(), START);
    let name = ClaimName::Idempotency(DedupId::parse("retry of today").unwrap());
    let claim =
        |job: &Job, asked: &str| Claim::new(job.id.clone(), Fingerprint::of_request(asked), job.created_at);
    let (first, second, others) = (replay_of(&ours), replay_of(&ours), replay_of(&other));
    let held = claim(&first, "a");
    assert_eq!(schedule.named_job(&ours, &name, now).await?, None);
    for _ in 0..2 {
        assert_eq!(schedule.put_named_job(&first, &name, &held).await?, Claimed::First, "twice is once");
    }
    let repeat = schedule.put_named_job(&second, &name, &claim(&second, "a")).await?;
    assert_eq!(repeat, Claimed::Repeat(held.clone()));
    assert_eq!(
        schedule.put_named_job(&second, &name, &claim(&second, "b")).await?,
        Claimed::Mismatch(first.id.clone())
    );
    assert_eq!(schedule.replay(&ours, &second.id).await?, None, "without its name there is no job");
    assert_eq!(schedule.put_named_job(&others, &name, &claim(&others, "a")).await?, Claimed::First);
    assert_eq!(schedule.named_job(&ours, &name, held.expires_at).await?, Some(held.clone()));
    let later = Timestamp::from_seconds(held.expires_at.seconds() + 1);
    assert_eq!(schedule.named_job(&ours, &name, later).await?, None);
    let late = Job { created_at: later, ..replay_of(&ours) };
    assert_eq!(schedule.put_named_job(&late, &name, &claim(&late, "b")).await?, Claimed::First);
    assert_eq!(schedule.replay(&ours, &first.id).await?, Some(first));
    assert_eq!(schedule.purge_replays(&ours).await?, 3, "two jobs and a name");
    assert_eq!(schedule.named_job(&ours, &name, later).await?, None);
    assert_eq!(schedule.purge_replays(&other).await?, 2);
    Ok(())
}

async fn erasures_keep_their_promises(schedule: &Schedule<impl Table>, ours: &TenantId) -> PortResult<()> {
    let pause = Phase::Pause(START);
    for phase in [Phase::Mark, Phase::Control, Phase::Shard(15), Phase::Rest, pause, Phase::Done] {
        let erasure = erasure_of(ours, phase);
        schedule.put_job(&erasure).await?;
        assert_eq!(schedule.erasure(&erasure.id).await?, Some(erasure.clone()));
        assert_eq!(schedule.receipt(&erasure.id).await?, Some(erasure.clone()));
        let erasure = erasure.advanced();
        assert_eq!(schedule.save_job(&erasure).await?, Updated::Done);
        assert_eq!(schedule.save_job(&erasure).await?, Updated::Raced, "rev has moved on");
        assert_eq!(schedule.receipt(&erasure.id).await?, Some(erasure.clone()), "the receipt is up to date");
        assert_eq!(schedule.count_running_replays(ours).await?, 1, "an erasure is no replay");
        let ended = erasure.ended(START);
        assert_eq!(schedule.save_job(&ended).await?, Updated::Done);
        assert_eq!(schedule.erasure(&erasure.id).await?, Some(ended.clone()), "its receipt stays");
        assert_eq!(schedule.receipt(&erasure.id).await?, Some(ended));
    }
    assert_eq!(schedule.erasure(&erasure_id()).await?, None);
    Ok(())
}

/// What is promised of a tenant with an endpoint and this key.
pub(crate) async fn tenants_end(
    control: &Control<impl Table>,
    ours: &TenantId,
    key: &KeyHash,
) -> PortResult<()> {
    let (first, second) = (erasure_id(), erasure_id());
    let before = control.settings(ours).await?;
    assert_eq!((before.endpoints.len(), before.is_erased), (1, false));
    assert!(control.key(key).await?.is_some() && control.settings(ours).await?.tier.is_some());
    for job in [&first, &second, &first] {
        assert_eq!(control.mark_erased(ours, job, START).await?, first, "the first one counts");
    }
    assert!(control.settings(ours).await?.is_erased);
    assert_eq!(control.settings(ours).await?.tier, None, "an erased tenant has no tier");
    assert!(control.purge(ours).await? > 0);
    assert_eq!(control.purge(ours).await?, 0, "twice is once");
    let after = control.settings(ours).await?;
    assert_eq!((after.endpoints.len(), after.retention_days, after.is_erased), (0, None, true));
    assert_eq!(control.key(key).await?, None);
    assert_eq!(control.endpoint(ours, &endpoint(1).id).await?, None);
    assert_eq!(control.mark_erased(ours, &second, START).await?, first, "the mark stays");
    Ok(())
}

pub(super) async fn counters_are_forgotten(limits: &Limits<impl Table>) -> PortResult<()> {
    let (ours, other, minute) = (tenant(), tenant(), START.minutes());
    let stats = Stats { accepted: 1, ..Stats::default() };
    for tenant in [&ours, &other] {
        limits.change_backlog(tenant, &Backlog::of([(20_000, 2), (20_001, 1)])).await?;
        limits.add_stats(tenant, minute, &stats).await?;
    }
    assert_eq!(limits.purge(&ours).await?, 3, "two days and a minute");
    assert_eq!(limits.purge(&ours).await?, 0);
    assert_eq!((limits.backlog(&ours).await?, limits.stats(&ours, 0, minute).await?), Default::default());
    assert_eq!(limits.backlog(&other).await?, Backlog::of([(20_000, 2), (20_001, 1)]));
    assert_eq!(limits.stats(&other, 0, minute).await?.sum(), stats);
    Ok(())
}

#[tokio::test]
async fn tenants_in_memory_end() {
    let tables = memory().tables;
    let ours = tenant();
    let (key, record) = key_of(&ours, Tier::Pro);
    let hash = key.hash(&Pepper::new("pepper"));
    tables.put_key(&hash, &record);
    tables.put_endpoint(&ours, &endpoint(1));
    tables.set_retention_days(&ours, 3);
    tenants_end(&Control::new(tables.control), &ours, &hash).await.unwrap();
}
