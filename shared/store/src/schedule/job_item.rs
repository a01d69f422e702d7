//! The item of a job: its state as one JSON document, and the attributes that conditions use.

use serde::{Deserialize, Serialize};

use crate::item::{Item, Unreadable};
use crate::unavailable::{PortResult, Unavailable};

use domain::endpoint::id::EndpointId;
use domain::event::event_type::EventType;
use domain::event::id::EventId;
use domain::inbox::Status;
use domain::job::erasure::{Erasure, Phase};
use domain::job::id::JobId;
use domain::job::replay::{Filter, Progress, Replay};
use domain::job::{Job, Work};
use domain::timestamp::Timestamp;

#[derive(Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Document {
    Replay(ReplayV1),
    Erasure(ErasureV1),
}

#[derive(Deserialize, Serialize)]
struct ReplayV1 {
    shards: u8,
    since: u64,
    until: u64,
    event_type: Option<String>,
    status: Option<String>,
    endpoint: Option<String>,
    rate_per_second: Option<u32>,
    count: u64,
    count_is_exact: bool,
    shard: u8,
    after: Option<String>,
    seen: u64,
    replayed: u64,
    deliveries: u64,
}

#[derive(Deserialize, Serialize)]
struct ErasureV1 {
    phase: PhaseV1,
    deleted: u64,
    found: u64,
    looks: u32,
    key_dropped_at: Option<u64>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum PhaseV1 {
    Mark,
    Control,
    Shard(u8),
    Rest,
    Pause(u64),
    Done,
}

/// Returns the attributes of a job, without its key.
pub(crate) fn write(job: &Job) -> PortResult<Item> {
    let document = match &job.work {
        Work::Replay(replay) => Document::Replay(ReplayV1::of(replay)),
        Work::Erasure(erasure) => Document::Erasure(ErasureV1::of(erasure)),
    };
    let work = serde_json::to_string(&document).map_err(|error| Unavailable::new("writing a job", error))?;
    let item = Item::from([
        ("id", job.id.as_str().into()),
        ("tenant", job.tenant.as_str().into()),
        ("created_at", job.created_at.into()),
        ("busy_until", job.busy_until.into()),
        ("rev", job.rev.into()),
        ("work", work.into()),
    ]);
    let item = item.with_some("cancelled", job.is_cancelled.then_some(true));
    Ok(item.with_some("ended_at", job.ended_at).with_some("last_turn", job.last_turn))
}

/// Reads a job.
pub(crate) fn read(item: &Item) -> Result<Job, Unreadable> {
    let document = serde_json::from_str(item.text("work")?).map_err(|_| Unreadable("work"))?;
    Ok(Job {
        id: JobId::from_stored(item.text("id")?),
        tenant: item.tenant("tenant")?,
        work: match document {
            Document::Replay(replay) => Work::Replay(Box::new(replay.read()?)),
            Document::Erasure(erasure) => Work::Erasure(Box::new(erasure.read())),
        },
        created_at: item.timestamp("created_at")?,
        busy_until: item.timestamp("busy_until")?,
        last_turn: item.timestamp("last_turn").ok(),
        is_cancelled: item.is_set("cancelled"),
        ended_at: item.timestamp("ended_at").ok(),
        rev: item.number("rev")?,
    })
}

impl ReplayV1 {
    fn of(replay: &Replay) -> Self {
        let Replay { filter, endpoint, rate_per_second, count, count_is_exact, progress } = replay;
        Self {
            shards: filter.shards,
            since: filter.since.millis(),
            until: filter.until.millis(),
            event_type: filter.event_type.as_ref().map(|event_type| event_type.as_str().to_owned()),
            status: filter.status.map(|status| status.as_str().to_owned()),
            endpoint: endpoint.as_ref().map(EndpointId::to_string),
            rate_per_second: *rate_per_second,
            count: *count,
            count_is_exact: *count_is_exact,
            shard: progress.shard,
            after: progress.after.map(|event| event.to_string()),
            seen: progress.seen,
            replayed: progress.replayed,
            deliveries: progress.deliveries,
        }
    }

    fn read(self) -> Result<Replay, Unreadable> {
        let status = self.status.map(|name| Status::parse(&name).ok_or(Unreadable("status"))).transpose()?;
        let after = self.after.map(|id| EventId::parse(&id).ok_or(Unreadable("after"))).transpose()?;
        Ok(Replay {
            filter: Filter {
                shards: self.shards,
                since: Timestamp::from_millis(self.since),
                until: Timestamp::from_millis(self.until),
                event_type: self.event_type.map(EventType::from_stored),
                status,
            },
            endpoint: self.endpoint.map(EndpointId::from_stored),
            rate_per_second: self.rate_per_second,
            count: self.count,
            count_is_exact: self.count_is_exact,
            progress: Progress {
                shard: self.shard,
                after,
                seen: self.seen,
                replayed: self.replayed,
                deliveries: self.deliveries,
            },
        })
    }
}

impl ErasureV1 {
    fn of(erasure: &Erasure) -> Self {
        let phase = match erasure.phase {
            Phase::Mark => PhaseV1::Mark,
            Phase::Control => PhaseV1::Control,
            Phase::Shard(shard) => PhaseV1::Shard(shard),
            Phase::Rest => PhaseV1::Rest,
            Phase::Pause(until) => PhaseV1::Pause(until.millis()),
            Phase::Done => PhaseV1::Done,
        };
        let Erasure { deleted, found, looks, .. } = *erasure;
        Self { phase, deleted, found, looks, key_dropped_at: erasure.key_dropped_at.map(Timestamp::millis) }
    }

    fn read(self) -> Erasure {
        let phase = match self.phase {
            PhaseV1::Mark => Phase::Mark,
            PhaseV1::Control => Phase::Control,
            PhaseV1::Shard(shard) => Phase::Shard(shard),
            PhaseV1::Rest => Phase::Rest,
            PhaseV1::Pause(until) => Phase::Pause(Timestamp::from_millis(until)),
            PhaseV1::Done => Phase::Done,
        };
        let Self { deleted, found, looks, .. } = self;
        Erasure {
            phase,
            deleted,
            found,
            looks,
            key_dropped_at: self.key_dropped_at.map(Timestamp::from_millis),
        }
    }
}
