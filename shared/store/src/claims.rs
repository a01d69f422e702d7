//! The table `Claims`: the names that clients give to events. One conditional put claims a name.
//!
//! ```text
//!    first post            repeat, same content         repeat after 24 h
//!    put: free             put refused, ALL_OLD         put: expires_at < now
//!  --|---------------------|----------------------------|------------------->
//!    First                 Repeat(first id), send again First
//! ```
//!
//! A second put marks a claim whose request was answered 503, and removes the mark with the first 202.

use domain::event::claim::{Claim, Claimed};
use domain::event::claim_name::ClaimName;
use domain::event::id::EventId;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

use crate::claim_item;
use crate::item::{Item, Key, Unreadable};
use crate::items::{Items, Outcome};
use crate::keys;
use crate::table::Table;
use crate::table::condition::equals;
use crate::table::write::Put;
use crate::unavailable::PortResult;

/// The table `Claims`.
#[derive(Clone, Debug)]
pub struct Claims<T> {
    items: Items<T>,
}

impl<T: Table> Claims<T> {
    /// Returns the store over this table.
    pub fn new(table: T) -> Self {
        Self { items: Items::new(table) }
    }

    /// Claims a name with one conditional put. A claim that expired before `now` is replaced.
    ///
    /// # Errors
    /// When the table does not answer. The name may be claimed then.
    pub async fn claim(
        &self,
        tenant: &TenantId,
        name: &ClaimName,
        ours: &Claim,
        now: Timestamp,
    ) -> PortResult<Claimed> {
        let put = Put::new(write(tenant, name, ours)).returning().only_if(claim_item::is_free(now));
        match self.items.put_if(put).await? {
            Outcome::Done(_) => Ok(Claimed::First),
            Outcome::Refused(held) => Ok(Claimed::decide(&read(&held)?, ours)),
        }
    }

    /// Writes whether a claim is unconfirmed, if its event still holds the name.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn mark(&self, tenant: &TenantId, name: &ClaimName, held: &Claim) -> PortResult<()> {
        let put = Put::new(write(tenant, name, held)).only_if(equals("event_id", held.id.to_string()));
        self.items.put_if(put).await.map(drop)
    }
}

fn write(tenant: &TenantId, name: &ClaimName, claim: &Claim) -> Item {
    let key = Key::without_sort(keys::claim(tenant, name));
    claim_item::write(claim).with("event_id", claim.id.to_string()).at(key)
}

fn read(item: &Item) -> Result<Claim, Unreadable> {
    let id = EventId::parse(item.text("event_id")?).ok_or(Unreadable("event_id"))?;
    claim_item::read(item, id)
}
