//! Messages of an unknown format. They are kept for an operator to inspect.

use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

use super::Events;
use crate::item::{Item, Key};
use crate::keys;
use crate::ports::Ports;
use crate::table::query::Query;
use crate::unavailable::PortResult;

/// How long a message is kept, in seconds.
const KEEP_SECONDS: u64 = 90 * 24 * 3600;

/// A message whose format this version cannot read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnreadableMessage {
    /// The queue from which it was received.
    pub queue: String,
    /// Its id in SQS.
    pub message_id: String,
    /// The tenant that its body names, if any.
    pub tenant: Option<TenantId>,
    /// Its body.
    pub body: String,
}

impl<P: Ports> Events<P> {
    /// Stores a message. Storing it twice has the same effect as once.
    pub async fn keep_unreadable(&self, message: &UnreadableMessage, now: Timestamp) -> PortResult<()> {
        let item = Item::from([
            ("body", message.body.as_str().into()),
            ("ttl", (now.seconds() + KEEP_SECONDS).into()),
        ]);
        let partition = keys::unreadable_of(message.tenant.as_ref());
        let key = Key::new(partition, keys::unreadable(&message.queue, &message.message_id));
        self.items.put(item.at(key)).await
    }

    /// Deletes the messages that name a tenant; returns their number.
    ///
    /// # Errors
    /// When the table does not answer. Some messages may be deleted then.
    pub async fn purge_unreadable(&self, tenant: &TenantId) -> PortResult<usize> {
        self.items.delete_found(Query::consistent(keys::unreadable_of(Some(tenant)))).await
    }
}
