//! The signups of a day, counted for each client and in total.

use domain::tenant::signup::{Exhausted, SignupLimits};
use domain::timestamp::Timestamp;

use super::once::update_once;
use super::{KEEP_SECONDS, Limits};
use crate::item::Key;
use crate::keys;
use crate::table::Table;
use crate::table::condition::{absent, less};
use crate::table::write::Update;
use crate::unavailable::PortResult;

impl<T: Table> Limits<T> {
    /// Counts a signup at `now`, unless a limit of its day is reached. `client` is a keyed hash: the address itself is not
    /// stored. The total does not count what the limit of a client refuses.
    ///
    /// # Errors
    /// When the table does not answer. The signup may have counted then.
    pub async fn take_signup(
        &self,
        client: &str,
        limits: SignupLimits,
        now: Timestamp,
    ) -> PortResult<Result<(), Exhausted>> {
        if !self.count_signup(Some(client), limits.per_client, now).await? {
            return Ok(Err(Exhausted::Client));
        }
        let is_counted = self.count_signup(None, limits.total, now).await?;
        Ok(if is_counted { Ok(()) } else { Err(Exhausted::Total) })
    }

    /// Adds one to a count if it is below the limit; returns whether it was.
    async fn count_signup(&self, client: Option<&str>, limit: u32, now: Timestamp) -> PortResult<bool> {
        let day = now.days();
        let ttl = Timestamp::from_days(day + 1).seconds() + KEEP_SECONDS;
        let count = Update::new(Key::new(keys::signups(day, client), keys::ONLY))
            .add("taken", 1_u32)
            .set("ttl", ttl)
            .only_if(absent("taken").or(less("taken", limit)));
        Ok(update_once(&self.items, count).await?.is_done())
    }
}
