//! The tenant itself in the table `Control`: `pk` the tenant's, `sk` `tenant`.

use super::super::item::{Item, Unreadable, number, text};
use super::{ControlTable, endpoints};
use crate::keys;
use crate::ports::{PortResult, Standing, Unavailable};
use crate::tenant::TenantId;

impl ControlTable {
    pub(super) async fn read_standing(&self, tenant: &TenantId) -> PortResult<Standing> {
        let items = self.list_all(tenant).await?;
        let found = items.iter().find(|item| text(item, "sk").is_ok_and(|sk| sk == keys::TENANT));
        let own = items.iter().filter(|item| endpoints::is_endpoint(item)).map(endpoints::read);
        Ok(Standing {
            endpoints: own.collect::<Result<_, _>>().map_err(unreadable)?,
            retention_days: found.and_then(retention_days),
            is_erased: found.is_some_and(|item| item.contains_key(ERASED_AT)),
        })
    }
}

/// When the erasure of the tenant began; absent for every other.
const ERASED_AT: &str = "erased_at";

const RETENTION_DAYS: &str = "retention_days";

fn retention_days(item: &Item) -> Option<u16> {
    number(item, RETENTION_DAYS).ok().and_then(|days| days.try_into().ok())
}

fn unreadable(error: Unreadable) -> Unavailable {
    Unavailable::new("reading a tenant", error)
}
