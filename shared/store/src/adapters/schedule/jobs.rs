//! Jobs: under way in the one partition that the scheduler walks through; ended, a replay lies in its tenant's own partition
//! and an erasure in one that its receipt alone names.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem};

use crate::adapters::batch_delete::delete_all;
use crate::adapters::cancellation::is_race;
use crate::adapters::conditional_put::{put_new, put_over};
use crate::adapters::item::{Item, Unreadable, item, n, s};
use crate::adapters::schedule::{ScheduleTable, job_item, readable};
use crate::items::Updated;
use crate::keys;
use crate::unavailable::{PortResult, Unavailable};
use domain::job::{Job, JobId, Work};
use domain::tenant::id::TenantId;

/// What became of a job is told for so long.
const KEEP_ENDED_SECONDS: u64 = 90 * 24 * 3600;

impl ScheduleTable {
    pub(super) async fn put_new_job(&self, job: &Job) -> PortResult<()> {
        put_new(&self.client, &self.table, row_under_way(job)?).await.map(drop)
    }

    pub(super) async fn jobs_under_way(&self, most: usize) -> PortResult<Vec<Job>> {
        Ok(readable(self.rows(keys::JOBS.to_owned(), None, most).await?, job_item::read))
    }

    pub(super) async fn find_replay(&self, tenant: &TenantId, id: &JobId) -> PortResult<Option<Job>> {
        let under_way = (keys::JOBS.to_owned(), keys::job_row(tenant, id));
        let ended = (keys::ended_replays(tenant), id.to_string());
        self.first_of([under_way, ended]).await
    }

    pub(super) async fn find_erasure(&self, id: &JobId) -> PortResult<Option<Job>> {
        let under_way = (keys::JOBS.to_owned(), keys::erasure_row(id));
        let ended = (keys::receipt(id), keys::ONLY.to_owned());
        self.first_of([under_way, ended]).await
    }

    /// The first of these items that is there: a job is in its second place as soon as it has left its first.
    async fn first_of(&self, places: [(String, String); 2]) -> PortResult<Option<Job>> {
        for (pk, sk) in places {
            let get = self.client.get_item().table_name(&self.table).consistent_read(true);
            let answer = get.key("pk", s(pk)).key("sk", s(sk)).send().await;
            let answer = answer.map_err(|error| Unavailable::new("reading a job", error))?;
            if let Some(item) = answer.item() {
                return job_item::read(item).map(Some).map_err(unreadable);
            }
        }
        Ok(None)
    }

    pub(super) async fn count_replays(&self, tenant: &TenantId) -> PortResult<usize> {
        self.keys_in(keys::JOBS, Some(&keys::replays_of(tenant))).await.map(|keys| keys.len())
    }

    pub(super) async fn write_job(&self, job: &Job) -> PortResult<Updated> {
        if job.ended_at.is_none() {
            return put_over(&self.client, &self.table, row_under_way(job)?, job.rev).await;
        }
        let mut ended = written(job)?;
        ended.insert(
            "ttl".to_owned(),
            n(job.ended_at.unwrap_or(job.created_at).seconds() + KEEP_ENDED_SECONDS),
        );
        ended.extend(match &job.work {
            Work::Replay(_) => {
                item([("pk", s(keys::ended_replays(&job.tenant))), ("sk", s(job.id.as_str()))])
            }
            Work::Erasure(_) => item([("pk", s(keys::receipt(&job.id))), ("sk", s(keys::ONLY))]),
        });
        self.end(ended, job).await
    }

    /// Moves a job that has ended into its second place, both at once: whoever lost a race, or comes when the tenant's jobs
    /// are forgotten, leaves nothing there.
    async fn end(&self, ended: Item, job: &Job) -> PortResult<Updated> {
        let unwritten = |error| Unavailable::new("ending a job", error);
        let put = Put::builder().table_name(&self.table).set_item(Some(ended)).build().map_err(unwritten)?;
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(under_way(job)))
            .condition_expression("rev = :seen")
            .expression_attribute_values(":seen", n(job.rev - 1))
            .build()
            .map_err(unwritten)?;
        let writes = [
            TransactWriteItem::builder().put(put).build(),
            TransactWriteItem::builder().delete(delete).build(),
        ];
        let answer = self.client.transact_write_items().set_transact_items(Some(writes.into())).send().await;
        let Err(error) = answer else { return Ok(Updated::Done) };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(canceled)) if is_race(canceled) => {
                Ok(Updated::Raced)
            }
            _ => Err(Unavailable::new("ending a job", error)),
        }
    }

    pub(super) async fn delete_replays(&self, tenant: &TenantId) -> PortResult<usize> {
        let mut found = self.keys_in(keys::JOBS, Some(&keys::replays_of(tenant))).await?;
        found.extend(self.keys_in(&keys::ended_replays(tenant), None).await?);
        delete_all(&self.client, &self.table, &found).await?;
        Ok(found.len())
    }

    /// The keys of a partition's items, of those whose sort key begins like this.
    async fn keys_in(&self, pk: &str, prefix: Option<&str>) -> PortResult<Vec<Item>> {
        let (mut found, mut start) = (Vec::new(), None);
        let condition = if prefix.is_some() { "pk = :pk AND begins_with(sk, :prefix)" } else { "pk = :pk" };
        let mut values = item([(":pk", s(pk))]);
        values.extend(prefix.map(|prefix| (":prefix".to_owned(), s(prefix))));
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression(condition)
                .projection_expression("pk, sk")
                .set_expression_attribute_values(Some(values.clone()))
                .set_exclusive_start_key(start);
            let answer = query.send().await.map_err(|error| Unavailable::new("reading jobs", error))?;
            found.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(found);
            }
        }
    }
}

/// The row of a job that has not ended.
pub(super) fn row_under_way(job: &Job) -> PortResult<Item> {
    let mut row = written(job)?;
    row.extend(under_way(job));
    Ok(row)
}

fn under_way(job: &Job) -> Item {
    item([("pk", s(keys::JOBS)), ("sk", s(keys::job_row(&job.tenant, &job.id)))])
}

fn written(job: &Job) -> PortResult<Item> {
    job_item::write(job).map_err(|error| Unavailable::new("writing a job", error))
}

fn unreadable(error: Unreadable) -> Unavailable {
    Unavailable::new("reading a job", error)
}
