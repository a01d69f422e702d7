//! Clients' own names for their requests for replays. A name is put together with its job, both or none: unlike the claim of an
//! event it proves that there is a job. It lies beside the tenant's replays that have ended, and goes with them.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};

use crate::adapters::aws::BATCH_PAUSES;
use crate::adapters::cancellation::is_race;
use crate::adapters::claim_item;
use crate::adapters::item::{Item, Unreadable, item, n, s, text};
use crate::adapters::schedule::ScheduleTable;
use crate::adapters::schedule::jobs::row_under_way;
use crate::keys;
use crate::unavailable::{PortResult, Unavailable};
use domain::event::claim::{Claim, ClaimName, Claimed};
use domain::job::{Job, JobId};
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

impl ScheduleTable {
    pub(super) async fn put_job_and_name(
        &self,
        job: &Job,
        name: &ClaimName,
        ours: &Claim<JobId>,
    ) -> PortResult<Claimed<JobId>> {
        let unwritten = |error| Unavailable::new("naming a job", error);
        let new = |item: Item| Put::builder().table_name(&self.table).set_item(Some(item));
        let row = new(row_under_way(job)?).condition_expression("attribute_not_exists(pk)").build();
        let claim = new(written(&job.tenant, name, ours))
            .condition_expression(claim_item::FREE)
            .expression_attribute_values(":now", n(job.created_at.seconds()))
            .build();
        let writes = [row.map_err(unwritten)?, claim.map_err(unwritten)?]
            .map(|put| TransactWriteItem::builder().put(put).build());
        for pause in BATCH_PAUSES {
            tokio::time::sleep(pause).await; // a transaction that another one was in the way of has told nothing yet
            let put = self.client.transact_write_items().set_transact_items(Some(writes.clone().into()));
            let Err(error) = put.send().await else { return Ok(Claimed::First) };
            match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled))
                    if is_race(canceled) => {}
                _ => return Err(Unavailable::new("naming a job", error)),
            }
            if let Some(held) = self.find_name(&job.tenant, name, job.created_at).await? {
                return Ok(Claimed::decide(&held, ours));
            }
        }
        Err(Unavailable::new("naming a job", "too many races"))
    }

    pub(super) async fn find_name(
        &self,
        tenant: &TenantId,
        name: &ClaimName,
        now: Timestamp,
    ) -> PortResult<Option<Claim<JobId>>> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let get = get.key("pk", s(keys::ended_replays(tenant))).key("sk", s(keys::job_name(name)));
        let answer = get.send().await.map_err(|error| Unavailable::new("reading a job's name", error))?;
        let held = answer.item().map(read).transpose();
        let held = held.map_err(|error| Unavailable::new("reading a job's name", error))?;
        Ok(held.filter(|held| held.is_live(now)))
    }
}

fn written(tenant: &TenantId, name: &ClaimName, claim: &Claim<JobId>) -> Item {
    let mut attributes = claim_item::write(claim);
    attributes.extend(item([
        ("pk", s(keys::ended_replays(tenant))),
        ("sk", s(keys::job_name(name))),
        ("id", s(claim.id.as_str())),
        ("ttl", n(claim.expires_at.seconds())),
    ]));
    attributes
}

fn read(item: &Item) -> Result<Claim<JobId>, Unreadable> {
    claim_item::read(item, JobId::from_stored(text(item, "id")?))
}
