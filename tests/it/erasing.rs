//! The end of a tenant over the real handlers: nothing of it is left wherever the scheduler dies, and nothing comes back.

use std::time::Duration;

use domain::endpoint::health::{Notice, NoticeKind};
use domain::inbox::{Head, Status};
use domain::job::erasure::Erasure;
use domain::job::id::JobId;
use domain::job::replay::{Filter, Progress, Replay};
use domain::job::{Job, Work};
use domain::tenant::api_key::{KeyHash, Pepper};
use domain::tenant::audit::{AuditId, AuditRecord, Author};
use domain::tenant::backlog::Backlog;
use domain::tenant::id::TenantId;
use domain::tenant::stats::{Stats, StatsByMinute};
use domain::tenant::tier::Tier;
use domain::testing::{START, endpoint, endpoint_of, erasure_id, event, key_of, tenant};
use store::clock::Clock;
use store::control::audit::AuditQuery;
use store::events::unreadable::UnreadableMessage;
use store::testing::faults::Fault;
use store::unavailable::PortResult;

use crate::pipeline::Pipeline;

/// More calls than any visit of these stories makes.
const MANY: usize = 400;

/// A system in which two tenants have something of everything.
struct Two {
    pipeline: Pipeline,
    /// The one that is erased.
    ours: (TenantId, KeyHash),
    other: (TenantId, KeyHash),
    erasure: JobId,
}

impl Two {
    async fn new() -> Self {
        let pipeline = Pipeline::with_endpoints(0);
        let (ours, other) = (belongings(&pipeline).await, belongings(&pipeline).await);
        let erasure = erasure_id();
        let work = Work::Erasure(Box::new(Erasure::begin()));
        let job = Job::new(erasure.clone(), ours.0.clone(), work, pipeline.clock.now());
        pipeline.schedule.put_job(&job).await.unwrap();
        Self { pipeline, ours, other, erasure }
    }

    /// What the receipt says.
    async fn receipt(&self) -> (Job, Erasure) {
        let job = self.pipeline.schedule.erasure(&self.erasure).await.unwrap().expect("a receipt");
        let Work::Erasure(erasure) = job.work.clone() else { panic!("no erasure") };
        (job, *erasure)
    }

    /// Everything that the tables hold of a tenant, but its mark.
    async fn left(&self, (tenant, key): &(TenantId, KeyHash)) -> PortResult<Vec<String>> {
        let (pipeline, mut left) = (&self.pipeline, Vec::new());
        let mut note = |what: &str, count: usize| left.extend((count > 0).then(|| format!("{count} {what}")));
        note("keys", usize::from(pipeline.control.key(key).await?.is_some()));
        note("endpoints", pipeline.control.endpoints(tenant).await?.len());
        note("events", pipeline.tables.all_heads().iter().filter(|(owner, _)| owner == tenant).count());
        let unreadable = pipeline.tables.unreadable();
        note("messages", unreadable.iter().filter(|kept| kept.contains(tenant.as_str())).count());
        note("days", pipeline.limits.backlog(tenant).await?.days().count());
        note(
            "stats",
            usize::from(pipeline.limits.stats(tenant, 0, u64::MAX).await? != StatsByMinute::default()),
        );
        let all = AuditQuery { since: None, until: None, after: None, limit: 100 };
        note("changes", pipeline.control.audit(tenant, &all).await?.records.len());
        let jobs = pipeline.tables.jobs().into_iter();
        note("jobs", jobs.filter(|job| job.tenant == *tenant && job.id != self.erasure).count());
        Ok(left)
    }

    /// Nothing is left of the one, and everything of the other.
    async fn is_erased(&self, context: &str) {
        let (job, erasure) = self.receipt().await;
        assert_eq!(job.state(), "done", "{context}");
        assert!(erasure.key_dropped_at.is_some() && erasure.looks >= 2, "{context}: {erasure:?}");
        assert_eq!(self.left(&self.ours).await.unwrap(), Vec::<String>::new(), "{context}");
        let other =
            ["1 keys", "1 endpoints", "3 events", "1 messages", "1 days", "1 stats", "1 changes", "1 jobs"];
        assert_eq!(self.left(&self.other).await.unwrap(), other, "{context}");
        assert!(self.pipeline.control.settings(&self.ours.0).await.unwrap().is_erased, "{context}");
        assert!(!self.pipeline.control.settings(&self.other.0).await.unwrap().is_erased, "{context}");
    }
}

/// The record of a change that has no outcome yet.
fn change(tenant: &TenantId) -> AuditRecord {
    AuditRecord {
        id: AuditId::generate(START, &mut rand::rng()),
        tenant: tenant.clone(),
        at: START,
        author: Author::Operator,
        action: "tenant.suspend".to_owned(),
        subject: Some(tenant.to_string()),
        request_id: "request".to_owned(),
        status: None,
        created: None,
    }
}

/// A tenant with something of everything.
async fn belongings(pipeline: &Pipeline) -> (TenantId, KeyHash) {
    let tenant = tenant();
    let (key, record) = key_of(&tenant, Tier::Pro);
    let hash = key.hash(&Pepper::new("pepper"));
    pipeline.tables.put_key(&hash.clone(), &record);
    pipeline.tables.put_endpoint(&tenant, &endpoint_of(&tenant, 1));
    for n in 0..3 {
        let event = event(&tenant, "a", &n.to_string(), START);
        pipeline.events.insert(&event, &Head::new(&event, [])).await.unwrap();
    }
    let kept = UnreadableMessage {
        queue: "q".to_owned(),
        message_id: tenant.to_string(),
        tenant: Some(tenant.clone()),
        body: format!(r#"{{"tenant":"{tenant}"}}"#),
    };
    pipeline.events.keep_unreadable(&kept, START).await.unwrap();
    let minute = START.minutes();
    pipeline.limits.change_backlog(&tenant, &Backlog::of([(START.days(), 3)])).await.unwrap();
    let stats = Stats { stored: 3, ..Stats::default() };
    pipeline.limits.add_stats(&tenant, minute, &stats).await.unwrap();
    let until = START.after(Duration::from_secs(1));
    let replay = Replay {
        filter: Filter { shards: 1, since: START, until, event_type: None, status: Some(Status::Failed) },
        endpoint: None,
        rate_per_second: Some(1),
        count: 0,
        count_is_exact: true,
        progress: Progress::default(),
    };
    pipeline.control.begin_change(&change(&tenant)).await.unwrap();
    let id = JobId::generate_replay(START, &mut rand::rng());
    let job = Job::new(id, tenant.clone(), Work::Replay(Box::new(replay)), START);
    pipeline.schedule.put_job(&job).await.unwrap();
    (tenant, hash)
}

#[tokio::test]
async fn nothing_is_left_of_a_tenant_wherever_the_scheduler_dies_and_nothing_of_another_is_touched() {
    let mut deaths = 0;
    for visit in 0..2 {
        for fault in Fault::ALL {
            for call in 0..MANY {
                let (two, context) = (Two::new().await, format!("{fault:?} at {call} of visit {visit}"));
                for earlier in 0..=visit {
                    if earlier == visit {
                        two.pipeline.faults.die_at(call, fault);
                    }
                    two.pipeline.schedule().await;
                    if earlier < visit {
                        two.pipeline.clock.advance(Duration::from_mins(4));
                    }
                }
                let died = two.pipeline.faults.recover();
                two.pipeline.run_until_quiet().await;
                two.is_erased(&context).await;
                if !died {
                    break; // the visit was over
                }
                deaths += 1;
            }
        }
    }
    println!("{deaths} deaths in an erasure: nothing left, and nothing of another tenant touched");
    assert!(deaths > 4 * 60, "{deaths}");
}

#[tokio::test]
async fn what_somebody_wrote_who_had_not_seen_the_mark_is_found_by_a_later_look() {
    let two = Two::new().await;
    two.pipeline.schedule().await;
    assert_eq!(two.left(&two.ours).await.unwrap(), Vec::<String>::new(), "the first look takes everything");
    let (_, first) = two.receipt().await;
    let late = event(&two.ours.0, "a", "1", START);
    two.pipeline.events.insert(&late, &Head::new(&late, [])).await.unwrap();
    two.pipeline.run_until_quiet().await;
    two.is_erased("late").await;
    let (_, last) = two.receipt().await;
    assert_eq!((last.looks, last.deleted), (3, first.deleted + 1), "until a look finds nothing");
}

#[tokio::test]
async fn the_outcome_of_a_change_brings_no_record_of_an_erased_tenant_back() {
    let two = Two::new().await;
    let record = AuditRecord { status: Some(202), ..change(&two.ours.0) };
    two.pipeline.control.begin_change(&record).await.unwrap();
    two.pipeline.run_until_quiet().await;
    assert!(!two.pipeline.control.end_change(&record).await.unwrap());
    two.is_erased("with the outcome").await;
}

#[tokio::test]
async fn what_is_under_way_when_a_tenant_is_erased_ends_quietly() {
    let (pipeline, _) = Pipeline::stored_event(1).await;
    pipeline.post_event("accepted before").await;
    let erasure = erasure_id();
    let work = Work::Erasure(Box::new(Erasure::begin()));
    pipeline.schedule.put_job(&Job::new(erasure, pipeline.tenant.clone(), work, START)).await.unwrap();
    pipeline.schedule().await;
    assert_eq!((pipeline.delivery_messages().len(), pipeline.events_queue.bodies().len()), (1, 1));
    assert!(pipeline.deliver().await.batch_item_failures.is_empty());
    assert!(pipeline.consume().await.batch_item_failures.is_empty());
    pipeline.run_until_quiet().await;
    assert!(pipeline.webhooks.received().is_empty() && pipeline.tables.all_heads().is_empty());
    assert_eq!((pipeline.events_queue.next_visible(), pipeline.deliveries.next_visible()), (None, None));
}

#[tokio::test]
async fn a_message_whose_tenant_has_no_data_key_any_more_is_done() {
    let (pipeline, _) = Pipeline::stored_event(1).await;
    pipeline.tables.drop_data_key(&pipeline.tenant); // its endpoints go a moment later
    assert!(pipeline.deliver().await.batch_item_failures.is_empty());
    assert!(pipeline.webhooks.received().is_empty());
    assert_eq!(pipeline.deliveries.next_visible(), None);
}

#[tokio::test]
async fn an_erased_tenant_is_told_nothing_more_about_its_endpoints() {
    for already_noted in [false, true] {
        let (pipeline, _) = Pipeline::stored_event(1).await;
        if already_noted {
            let notice = Notice { kind: NoticeKind::Recovered, at: START };
            pipeline.tables.change_endpoint(&pipeline.tenant, &endpoint(1).id, |endpoint| {
                endpoint.health.notice = Some(notice);
            });
        }
        let (tables, tenant) = (pipeline.tables.clone(), pipeline.tenant.clone());
        pipeline.webhooks.during_next(move || tables.erase(&tenant));
        pipeline.webhooks.answer(410);
        pipeline.deliver().await;
        assert_eq!(pipeline.webhooks.received().len(), 1);
        assert_eq!(pipeline.tables.all_heads().len(), 1, "no notice is stored: {already_noted}");
    }
}
