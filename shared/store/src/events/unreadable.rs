//! Messages of an unknown form, kept as they came until a person looks at them.

use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

use super::Events;
use crate::item::{Item, Key};
use crate::keys;
use crate::ports::Ports;
use crate::table::query::Query;
use crate::unavailable::PortResult;

/// How long a message is kept.
const KEEP_SECONDS: u64 = 90 * 24 * 3600;

/// A message of a form that this version does not know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnreadableMessage {
    /// The queue it came from.
    pub queue: String,
    /// The id that SQS gave it.
    pub message_id: String,
    /// The tenant that it names, if it names one.
    pub tenant: Option<TenantId>,
    /// What it says.
    pub body: String,
}

impl<P: Ports> Events<P> {
    /// Keeps a message. Keeping it twice changes nothing.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn keep_unreadable(&self, message: &UnreadableMessage, now: Timestamp) -> PortResult<()> {
        let item = Item::from([
            ("body", message.body.as_str().into()),
            ("ttl", (now.seconds() + KEEP_SECONDS).into()),
        ]);
        let partition = keys::unreadable_of(message.tenant.as_ref());
        self.items
            .put(item.at(Key::new(partition, keys::unreadable(&message.queue, &message.message_id))))
            .await
    }

    /// Deletes the kept messages that name a tenant; returns how many there were.
    ///
    /// # Errors
    /// When the table does not answer; some may be deleted then.
    pub async fn purge_unreadable(&self, tenant: &TenantId) -> PortResult<usize> {
        let query = Query::consistent(keys::unreadable_of(Some(tenant))).keys();
        let items = self.items.all(query).await?;
        let found: Vec<Key> = items.iter().map(Item::key).collect::<Result<_, _>>()?;
        let count = found.len();
        self.items.delete_all(found).await?;
        Ok(count)
    }
}
