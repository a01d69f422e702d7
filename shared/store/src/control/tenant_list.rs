//! The list of all tenants, for the operator. An entry is written with its tenant and deleted when the tenant is erased. It
//! holds the id alone, so that no change of a tenant writes it.

use domain::tenant::Tenant;
use domain::tenant::id::TenantId;
use futures_util::future::try_join_all;

use super::Control;
use crate::item::{Item, Key};
use crate::keys;
use crate::table::Table;
use crate::table::query::{Query, Range};
use crate::unavailable::PortResult;

/// One page of the list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TenantPage {
    /// The tenants, newest first.
    pub tenants: Vec<Tenant>,
    /// The tenant after which the next page starts; `None` on the last page.
    pub next: Option<String>,
}

impl<T: Table> Control<T> {
    /// Returns a page of at most `most` tenants, which starts after `after`. Leaves out a tenant that is being erased.
    pub async fn tenants(&self, after: Option<String>, most: usize) -> PortResult<TenantPage> {
        let range = after.map_or(Range::All, Range::Before);
        let page =
            self.items.page(Query::consistent(keys::TENANTS).range(range).backwards().limit(most)).await?;
        let ids: Vec<TenantId> =
            page.items.iter().map(|entry| entry.tenant("sk")).collect::<Result<_, _>>()?;
        let found = try_join_all(ids.iter().map(|id| self.tenant(id))).await?;
        let next = page.next.and_then(|_| ids.last()).map(ToString::to_string);
        Ok(TenantPage { tenants: found.into_iter().flatten().collect(), next })
    }
}

/// Returns the key of a tenant's entry.
pub(crate) fn key(tenant: &TenantId) -> Key {
    Key::new(keys::TENANTS, tenant.as_str())
}

/// Returns the entry of a tenant.
pub(crate) fn write(tenant: &TenantId) -> Item {
    Item::default().at(key(tenant))
}
