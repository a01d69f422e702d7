//! The table `Schedule`: what is due later, what is parked, what will expire, and jobs with their names.

mod expiring;
mod job_item;
mod job_names;
mod jobs;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;

use crate::adapters::aws::Clients;
use crate::adapters::batch_delete::delete_all;
use crate::adapters::item::{Item, Unreadable, item, n, number, s, text};
use crate::adapters::queues::envelope::{delivery_body, read_delivery};
use crate::items::Updated;
use crate::keys;
use crate::ports::schedule::Schedule;
use crate::unavailable::{PortResult, Unavailable};
use domain::delivery::DeliveryMessage;
use domain::delivery::schedule::{Due, EndpointRow, Parked, shard_of_endpoint, shard_of_event};
use domain::endpoint::id::EndpointId;
use domain::event::claim::{Claim, ClaimName, Claimed};
use domain::inbox::expiry::Cohort;
use domain::job::{Job, JobId};
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

/// The table `Schedule`.
#[derive(Clone, Debug)]
pub struct ScheduleTable {
    client: Client,
    table: String,
}

/// Where a part of a partition begins or ends, by sort key; the bound itself is not in it.
enum Bound {
    Before(String),
    After(String),
}

impl ScheduleTable {
    /// The table of this name.
    #[must_use]
    pub fn new(clients: &Clients, table: String) -> Self {
        Self { client: clients.dynamodb.clone(), table }
    }

    /// How many deliveries of an endpoint are parked, counted up to `most`.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn count_parked(&self, tenant: &TenantId, endpoint: &EndpointId, most: i32) -> PortResult<u64> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .select(aws_sdk_dynamodb::types::Select::Count)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", s(keys::parked(tenant, endpoint)))
            .limit(most);
        let answer =
            query.send().await.map_err(|error| Unavailable::new("counting parked deliveries", error))?;
        Ok(u64::try_from(answer.count()).unwrap_or_default())
    }

    async fn put(&self, row: Item) -> PortResult<()> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(row)).send().await;
        put.map(drop).map_err(|error| Unavailable::new("putting a row", error))
    }

    /// Up to `most` rows of a partition within the bound, in their order.
    async fn rows(&self, pk: String, bound: Option<Bound>, most: usize) -> PortResult<Vec<Item>> {
        let (mut rows, mut start) = (Vec::new(), None);
        let (condition, bound) = match bound {
            None => ("pk = :pk", None),
            Some(Bound::Before(end)) => ("pk = :pk AND sk < :bound", Some(end)),
            Some(Bound::After(begin)) => ("pk = :pk AND sk > :bound", Some(begin)),
        };
        let mut values = item([(":pk", s(pk))]);
        values.extend(bound.map(|bound| (":bound".to_owned(), s(bound))));
        loop {
            let limit = i32::try_from(most - rows.len()).unwrap_or(i32::MAX);
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression(condition)
                .set_expression_attribute_values(Some(values.clone()))
                .limit(limit)
                .set_exclusive_start_key(start);
            let answer = query.send().await.map_err(|error| Unavailable::new("reading rows", error))?;
            rows.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() || rows.len() >= most {
                return Ok(rows);
            }
        }
    }

    /// Deletes a row where an attribute still has this value.
    async fn delete_if(
        &self,
        pk: String,
        sk: String,
        name: &str,
        value: aws_sdk_dynamodb::types::AttributeValue,
    ) -> PortResult<()> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("pk", s(pk))
            .key("sk", s(sk))
            .condition_expression("#name = :value")
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":value", value)
            .send()
            .await;
        match delete {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DeleteItemError::is_conditional_check_failed_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(Unavailable::new("deleting a row", error)),
        }
    }
}

impl Schedule for ScheduleTable {
    async fn put_due(&self, due: &Due, expires_at: Timestamp) -> PortResult<()> {
        let mut row = message_row(&due.message, expires_at);
        row.insert("pk".to_owned(), s(keys::due(shard_of_event(due.message.event))));
        row.insert("sk".to_owned(), s(keys::due_row(due)));
        row.insert("due_at".to_owned(), n(due.at.millis()));
        self.put(row).await
    }

    async fn due(&self, shard: u8, until: Timestamp, most: usize) -> PortResult<Vec<Due>> {
        let rows = self.rows(keys::due(shard), Some(Bound::Before(keys::due_until(until))), most).await?;
        let read = |row: &Item| {
            Ok(Due { message: read_message(row)?, at: Timestamp::from_millis(number(row, "due_at")?) })
        };
        Ok(readable(rows, read))
    }

    async fn delete_due(&self, rows: &[Due]) -> PortResult<()> {
        let key = |row: &Due| {
            item([("pk", s(keys::due(shard_of_event(row.message.event)))), ("sk", s(keys::due_row(row)))])
        };
        delete_all(&self.client, &self.table, &rows.iter().map(key).collect::<Vec<_>>()).await
    }

    async fn park(&self, parked: &Parked, expires_at: Timestamp) -> PortResult<()> {
        let DeliveryMessage { tenant, endpoint, .. } = &parked.message;
        let mut row = message_row(&parked.message, expires_at);
        row.insert("pk".to_owned(), s(keys::parked(tenant, endpoint)));
        row.insert("sk".to_owned(), s(keys::parked_row(&parked.message)));
        row.insert("token".to_owned(), s(&parked.token));
        self.put(row).await?;
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", s(keys::parking(shard_of_endpoint(endpoint))))
            .key("sk", s(keys::parking_row(tenant, endpoint)))
            .update_expression("ADD version :one SET tenant = :tenant, endpoint = :endpoint")
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":tenant", s(tenant.as_str()))
            .expression_attribute_values(":endpoint", s(endpoint.as_str()))
            .send()
            .await;
        update.map(drop).map_err(|error| Unavailable::new("putting an endpoint's row", error))
    }

    async fn endpoint_rows(&self, shard: u8) -> PortResult<Vec<EndpointRow>> {
        let rows = self.rows(keys::parking(shard), None, usize::MAX).await?;
        let read = |row: &Item| {
            Ok(EndpointRow {
                tenant: TenantId::from_stored(text(row, "tenant")?),
                endpoint: EndpointId::from_stored(text(row, "endpoint")?),
                version: number(row, "version")?,
            })
        };
        Ok(readable(rows, read))
    }

    async fn parked(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        after: Option<&Parked>,
        most: usize,
    ) -> PortResult<Vec<Parked>> {
        let bound = after.map(|parked| Bound::After(keys::parked_row(&parked.message)));
        let rows = self.rows(keys::parked(tenant, endpoint), bound, most).await?;
        let read =
            |row: &Item| Ok(Parked { message: read_message(row)?, token: text(row, "token")?.to_owned() });
        Ok(readable(rows, read))
    }

    async fn unpark(&self, parked: &Parked) -> PortResult<()> {
        let DeliveryMessage { tenant, endpoint, .. } = &parked.message;
        let (pk, sk) = (keys::parked(tenant, endpoint), keys::parked_row(&parked.message));
        self.delete_if(pk, sk, "token", s(&parked.token)).await
    }

    async fn put_job(&self, job: &Job) -> PortResult<()> {
        self.put_new_job(job).await
    }

    async fn put_named_job(
        &self,
        job: &Job,
        name: &ClaimName,
        ours: &Claim<JobId>,
    ) -> PortResult<Claimed<JobId>> {
        self.put_job_and_name(job, name, ours).await
    }

    async fn named_job(
        &self,
        tenant: &TenantId,
        name: &ClaimName,
        now: Timestamp,
    ) -> PortResult<Option<Claim<JobId>>> {
        self.find_name(tenant, name, now).await
    }

    async fn jobs(&self, most: usize) -> PortResult<Vec<Job>> {
        self.jobs_under_way(most).await
    }

    async fn replay(&self, tenant: &TenantId, id: &JobId) -> PortResult<Option<Job>> {
        self.find_replay(tenant, id).await
    }

    async fn replays_under_way(&self, tenant: &TenantId) -> PortResult<usize> {
        self.count_replays(tenant).await
    }

    async fn erasure(&self, id: &JobId) -> PortResult<Option<Job>> {
        self.find_erasure(id).await
    }

    async fn save_job(&self, job: &Job) -> PortResult<Updated> {
        self.write_job(job).await
    }

    async fn purge_replays(&self, tenant: &TenantId) -> PortResult<usize> {
        self.delete_replays(tenant).await
    }

    async fn retire(&self, row: &EndpointRow) -> PortResult<()> {
        let pk = keys::parking(shard_of_endpoint(&row.endpoint));
        self.delete_if(pk, keys::parking_row(&row.tenant, &row.endpoint), "version", n(row.version)).await
    }

    async fn put_expiring(&self, cohort: &Cohort) -> PortResult<()> {
        self.put_cohort(cohort).await
    }

    async fn expiring(&self, until: Timestamp, most: usize) -> PortResult<Vec<Cohort>> {
        self.cohorts(until, most).await
    }

    async fn delete_expiring(&self, cohort: &Cohort) -> PortResult<()> {
        self.delete_cohort(cohort).await
    }
}

/// The attributes that every row of a message has: the message in its queue's own form, and the end of its event.
fn message_row(message: &DeliveryMessage, expires_at: Timestamp) -> Item {
    item([("message", s(delivery_body(message))), ("ttl", n(expires_at.seconds()))])
}

fn read_message(row: &Item) -> Result<DeliveryMessage, Unreadable> {
    read_delivery(text(row, "message")?).map_err(|_| Unreadable("message"))
}

/// The rows that can be read. Another one stays where it is, for a newer version or a human, and stops nobody.
fn readable<T>(rows: Vec<Item>, read: impl Fn(&Item) -> Result<T, Unreadable>) -> Vec<T> {
    let read =
        |row: Item| read(&row).inspect_err(|error| tracing::error!(cause = %error, "a row cannot be read"));
    rows.into_iter().filter_map(|row| read(row).ok()).collect()
}
