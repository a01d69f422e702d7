//! The root key of the stack, under which the data keys of the tenants are sealed. KMS makes it and wraps it, the table
//! `Control` stores the wrapped key, and each instance unwraps it once an hour: without it, each instance would have to unwrap the
//! data key of each tenant.

use std::sync::Arc;
use std::time::Duration;

use domain::root_key::RootKey;
use domain::timestamp::Timestamp;
use futures_util::FutureExt;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::counted_vault::CountedVault;
use crate::item::{Item, Key};
use crate::items::Items;
use crate::keys;
use crate::ports::Ports;
use crate::single_flight::SingleFlight;
use crate::unavailable::{PortResult, Unavailable};
use crate::vault::Vault;

/// How long an instance keeps the root key. No instance has it longer after KMS has refused it, or its item is deleted.
const KEPT_FOR: Duration = Duration::from_hours(1);

/// The pause before an instance that has no root key tries again to get it.
const RETRY_AFTER: Duration = Duration::from_mins(1);

/// The attribute with the root key, wrapped by KMS.
const WRAPPED: &str = "wrapped";

/// The root key. Clones share what they know.
#[derive(Clone)]
pub(crate) struct RootKeys<P: Ports> {
    control: Items<P::Table>,
    vault: CountedVault<P::Vault>,
    clock: P::Clock,
    known: Arc<Cache<(), Known>>,
    loading: SingleFlight<bool, Option<RootKey>>,
}

/// The root key, or that it could not be had, and since when.
#[derive(Clone)]
struct Known {
    root: Option<RootKey>,
    since: Timestamp,
}

impl<P: Ports> RootKeys<P> {
    /// Returns the root key in this table `Control`, which this vault wraps.
    pub(crate) fn new(control: Items<P::Table>, vault: CountedVault<P::Vault>, clock: P::Clock) -> Self {
        Self { control, vault, clock, known: Arc::new(Cache::new(1)), loading: SingleFlight::default() }
    }

    /// Returns the root key; `None` if it cannot be had: the work must go on without it. Makes it first if there is none, and
    /// `makes` is set.
    pub(crate) async fn get(&self, makes: bool) -> Option<RootKey> {
        if let Some(known) = self.known() {
            return known.root;
        }
        let this = self.clone();
        self.loading.join(makes, || async move { this.load(makes).await }.boxed()).await
    }

    /// Returns what this instance knows, if it still holds.
    fn known(&self) -> Option<Known> {
        let known = self.known.get(&())?;
        let holds = if known.root.is_some() { KEPT_FOR } else { RETRY_AFTER };
        (self.clock.now().since(known.since) < holds).then_some(known)
    }

    /// Gets the root key. Logs the first failure in a row.
    async fn load(&self, makes: bool) -> Option<RootKey> {
        let since = self.clock.now();
        let result = self.read_or_make(makes).await;
        let failed_before = self.known.get(&()).is_some_and(|known| known.root.is_none());
        if let Err(error) = &result
            && !failed_before
        {
            tracing::error!(cause = %error, "there is no root key; KMS unwraps the data key of each tenant");
        }
        let root = result.ok();
        self.known.insert((), Known { root: root.clone(), since });
        root
    }

    /// Reads the root key. Makes it if there is none, on the condition that no other instance did: a data key that is sealed
    /// under a root key that is not stored can be opened by no other instance.
    async fn read_or_make(&self, makes: bool) -> PortResult<RootKey> {
        // 1. Read it.
        if let Some(root) = self.read().await? {
            return Ok(root);
        }
        if !makes {
            return Err(Unavailable::new(
                "reading the root key",
                "there is none; consumer or api will make it",
            ));
        }

        // 2. Make it. If another instance was faster, use its key.
        let (root, wrapped) = self.vault.new_root_key().await?;
        let item = Item::from([(WRAPPED, wrapped.into())]).at(item_key());
        if self.control.put_new(item).await? {
            return Ok(root);
        }
        let stored = self.read().await?;
        stored.ok_or_else(|| Unavailable::new("making the root key", "it was deleted while it was made"))
    }

    async fn read(&self) -> PortResult<Option<RootKey>> {
        match self.control.get(item_key()).await? {
            Some(item) => self.vault.unwrap_root_key(item.bytes(WRAPPED)?).await.map(Some),
            None => Ok(None),
        }
    }
}

fn item_key() -> Key {
    Key::new(keys::ROOT_KEY, keys::ONLY)
}
