//! Direct reads and writes of `Events`.

use domain::event::id::EventId;
use domain::inbox::Head;
use domain::inbox::lease::LeaseId;
use domain::tenant::id::TenantId;

use super::MemoryTables;
use crate::events::attempt_item::{self, LoggedAttempt, is_attempt};
use crate::events::head_item::{self, DELIVERIES};
use crate::item::Item;

impl MemoryTables {
    /// Returns the stored head of an event.
    ///
    /// # Panics
    /// If it is unreadable.
    #[must_use]
    pub fn head(&self, tenant: &TenantId, id: EventId) -> Option<Head> {
        let item = self.events.item(&head_item::key(tenant, id))?;
        Some(head_item::read(&item).expect("a head"))
    }

    /// Returns all heads, each with its tenant.
    ///
    /// # Panics
    /// If one is unreadable.
    #[must_use]
    pub fn all_heads(&self) -> Vec<(TenantId, Head)> {
        let items = self.events.items();
        let heads = items.iter().filter(|item| item.has(DELIVERIES));
        heads.map(|item| (tenant_of(item), head_item::read(item).expect("a head"))).collect()
    }

    /// Returns all attempts, in the order of their keys.
    ///
    /// # Panics
    /// If one is unreadable.
    #[must_use]
    pub fn attempts(&self) -> Vec<LoggedAttempt> {
        let items = self.events.items();
        let attempts = items.iter().filter(|item| is_attempt(item) && item.has("verdict"));
        attempts.map(|item| attempt_item::read(item).expect("an attempt")).collect()
    }

    /// Returns the bodies of the stored messages of an unknown format.
    #[must_use]
    pub fn unreadable(&self) -> Vec<String> {
        let items = self.events.items();
        let messages = items.iter().filter(|item| item.text("pk").is_ok_and(|pk| pk.ends_with("unreadable")));
        messages.filter_map(|item| item.text("body").ok().map(str::to_owned)).collect()
    }

    /// Writes a head without a condition, as if another process had written it.
    pub fn overwrite_head(&self, tenant: &TenantId, head: &Head) {
        let key = head_item::key(tenant, head.id);
        let payload = self.events.item(&key).and_then(|mut item| item.remove("payload"));
        let mut item = head_item::write(tenant, head).with_some("payload", payload);
        if let Some(lease) = &head.lease {
            item.insert("lease_until", lease.until);
            item = item.with_some("lease", lease.holder.as_ref().map(LeaseId::as_str));
        }
        if head.lease_count > 0 {
            item.insert("lease_count", head.lease_count);
        }
        self.events.put_item(item);
    }
}

/// Returns the tenant from the partition of an item.
#[expect(clippy::disallowed_methods, reason = "tests have no credential")]
fn tenant_of(item: &Item) -> TenantId {
    let partition = item.text("pk").expect("a partition");
    TenantId::from_stored(partition.split('#').nth(1).expect("a tenant"))
}
