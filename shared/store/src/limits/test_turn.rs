//! The test of an endpoint that a tenant has under way: at most one at a time, in all instances.

use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

use super::once::update_once;
use super::{KEEP_SECONDS, Limits};
use crate::item::Key;
use crate::items::Outcome;
use crate::keys;
use crate::table::Table;
use crate::table::condition::{absent_or_at_most, equals};
use crate::table::write::Update;
use crate::unavailable::PortResult;

/// The attribute with the time, in milliseconds since the epoch, when the turn ends.
const UNTIL: &str = "until";

/// Whether a test may start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// The test may start.
    Taken,
    /// Another test is under way, at most until this time.
    BusyUntil(Timestamp),
}

impl<T: Table> Limits<T> {
    /// Takes the turn of a tenant's tests until `end`, if no other test has it at `now`.
    pub async fn start_test(&self, tenant: &TenantId, now: Timestamp, end: Timestamp) -> PortResult<Turn> {
        let take = Update::new(key(tenant))
            .set(UNTIL, end.millis())
            .set("ttl", end.seconds() + KEEP_SECONDS)
            .only_if(absent_or_at_most(UNTIL, now.millis()));
        Ok(match update_once(&self.items, take).await? {
            Outcome::Done(_) => Turn::Taken,
            Outcome::Refused(item) => Turn::BusyUntil(Timestamp::from_millis(item.number(UNTIL)?)),
        })
    }

    /// Gives back a turn that ends at `end`. A turn that was taken since then has another end, and stays.
    ///
    /// # Errors
    /// When the table does not answer. The turn then ends by itself.
    pub async fn end_test(&self, tenant: &TenantId, end: Timestamp) -> PortResult<()> {
        let give_back = Update::new(key(tenant)).set(UNTIL, 0_u64).only_if(equals(UNTIL, end.millis()));
        self.items.update(give_back).await.map(drop)
    }
}

fn key(tenant: &TenantId) -> Key {
    Key::new(keys::test_turn(tenant), keys::ONLY)
}
