//! The suspension of a tenant. It is written in two steps, each one transaction:
//!
//! 1. the tenant and its API keys, so that posting and changes are refused;
//! 2. its endpoints, so that deliveries are parked. The transaction checks that the tenant is still as step 1 left it, so
//!    that a slow request cannot mark the endpoints of a tenant that was resumed meanwhile.
//!
//! No endpoint is added to a suspended tenant, so step 2 finds all of them. A request that dies between the steps is
//! repeated: each step does nothing twice.

use domain::tenant::Tenant;
use domain::tenant::id::TenantId;
use domain::tenant::suspension::Suspension;
use domain::timestamp::Timestamp;

use super::Control;
use super::tenant_item::{self, SUSPENDED};
use crate::item::{Item, Key};
use crate::items::{Committed, Updated};
use crate::keys;
use crate::races::{Round, until_won};
use crate::table::Table;
use crate::table::condition::exists;
use crate::table::write::{Update, Write};
use crate::unavailable::PortResult;

/// The largest number of endpoints in one transaction. It also checks the tenant, and may have 100 items.
const MAX_MARKED: usize = 99;

impl<T: Table> Control<T> {
    /// Suspends a tenant at `now` for this reason. Returns the tenant; `None` if it is unknown or erased.
    ///
    /// # Errors
    /// When the table does not answer. Then the suspension may be written in part, and a repeat completes it.
    pub async fn suspend(&self, id: &TenantId, reason: &str, now: Timestamp) -> PortResult<Option<Tenant>> {
        self.set_suspension(id, Some(reason), now).await
    }

    /// Resumes a tenant. Returns the tenant; `None` if it is unknown or erased.
    ///
    /// # Errors
    /// When the table does not answer. Then the tenant may be resumed in part, and a repeat completes it.
    pub async fn resume(&self, id: &TenantId, now: Timestamp) -> PortResult<Option<Tenant>> {
        self.set_suspension(id, None, now).await
    }

    async fn set_suspension(
        &self,
        id: &TenantId,
        reason: Option<&str>,
        now: Timestamp,
    ) -> PortResult<Option<Tenant>> {
        let changed = self.change_suspension(id, reason, now).await?;
        if changed.is_some() {
            self.mark_endpoints(id, reason.is_some()).await?;
        }
        Ok(changed)
    }

    /// Changes the tenant and its keys.
    async fn change_suspension(
        &self,
        id: &TenantId,
        reason: Option<&str>,
        now: Timestamp,
    ) -> PortResult<Option<Tenant>> {
        until_won("suspending a tenant", || async {
            let Some(seen) = self.tenant(id).await? else { return Ok(Round::Ended(None)) };
            let suspension = reason.map(|reason| Suspension::renew(seen.suspension.as_ref(), reason, now));
            let next = Tenant { suspension, ..seen.clone() };
            Ok(match self.change_tenant(&seen, &next, now).await? {
                Updated::Done => Round::Ended(Some(next)),
                Updated::Raced => Round::Lost,
            })
        })
        .await
    }

    /// Sets or removes the mark of all endpoints of a tenant, as long as the tenant is suspended or not.
    async fn mark_endpoints(&self, tenant: &TenantId, is_suspended: bool) -> PortResult<()> {
        until_won("marking the endpoints of a tenant", || async {
            let endpoints = self.list(tenant, keys::ENDPOINTS).await?;
            let others = endpoints.iter().filter(|endpoint| endpoint.is_set(SUSPENDED) != is_suspended);
            let others: Vec<Key> = others.map(Item::key).collect::<Result<_, _>>()?;
            for some in others.chunks(MAX_MARKED) {
                let mark = |key: &Key| {
                    let update =
                        Update::new(key.clone()).set_or_remove(SUSPENDED, is_suspended.then_some(true));
                    Write::Update(update.only_if(exists("pk")))
                };
                let check = Write::Check(tenant_item::key(tenant), tenant_item::when_suspended(is_suspended));
                let writes = [check].into_iter().chain(some.iter().map(mark)).collect();
                match self.items.transact(writes).await? {
                    Committed::Done => {}
                    Committed::Refused(refused) if refused.first() == Some(&true) => {
                        return Ok(Round::Ended(())); // a later request changed the tenant, and marks the endpoints
                    }
                    Committed::Refused(_) => return Ok(Round::Lost), // an endpoint was deleted
                }
            }
            Ok(Round::Ended(()))
        })
        .await
    }
}
