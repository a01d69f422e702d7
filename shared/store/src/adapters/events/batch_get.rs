//! Many heads at once, read consistently.

use aws_sdk_dynamodb::types::KeysAndAttributes;

use crate::adapters::aws::BATCH_PAUSES;
use crate::adapters::events::{EventsTable, head_item};
use crate::adapters::item::{Item, item, s};
use crate::keys;
use crate::ports::events::Found;
use crate::unavailable::{PortResult, Unavailable};
use domain::event::id::EventId;
use domain::tenant::id::TenantId;

/// The most keys that one `BatchGetItem` takes.
pub(super) const BATCH_GET_KEYS: usize = 100;

impl EventsTable {
    /// The heads of at most a hundred events, read consistently, in the same order; some may be gone.
    pub(super) async fn heads(&self, tenant: &TenantId, ids: &[EventId]) -> PortResult<Vec<Found>> {
        let mut wanted: Vec<Item> = ids
            .iter()
            .map(|id| {
                let partition = s(keys::shard(tenant, id.shard()));
                item([("pk", partition), ("sk", s(keys::head(*id)))])
            })
            .collect();
        let mut found = Vec::with_capacity(ids.len());
        for pause in BATCH_PAUSES {
            tokio::time::sleep(pause).await;
            let request = KeysAndAttributes::builder().consistent_read(true).set_keys(Some(wanted)).build();
            let request = request.map_err(|error| Unavailable::new("reading heads", error))?;
            let answer = self.client.batch_get_item().request_items(&self.table, request).send().await;
            let mut answer = answer.map_err(|error| Unavailable::new("reading heads", error))?;
            for item in answer.responses.take().into_iter().flatten().flat_map(|(_, items)| items) {
                found
                    .push(head_item::found(&item).map_err(|error| Unavailable::new("reading heads", error))?);
            }
            let left = answer.unprocessed_keys.take().into_iter().flatten();
            wanted = left.flat_map(|(_, request)| request.keys).collect();
            if wanted.is_empty() {
                found.sort_unstable_by_key(|found| ids.iter().position(|id| *id == found.head.id));
                return Ok(found);
            }
        }
        Err(Unavailable::new("reading heads", "the table is too busy"))
    }
}
