//! Data keys: one per tenant, made by KMS, kept encrypted in the table `Control`, and decrypted once per instance.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;

use crate::adapters::aws::Clients;
use crate::adapters::conditional_put::put_new;
use crate::adapters::item::{b, bytes, item, s};
use crate::keys;
use crate::ports::Vault;
use crate::unavailable::{PortResult, Unavailable};
use domain::sealed::DataKey;
use domain::tenant::id::TenantId;

/// A key that was dropped is forgotten everywhere after so long.
const REMEMBERED: Duration = Duration::from_mins(5);

/// More tenants than one instance serves in that time.
const MAX_KEYS: usize = 10_000;

/// What a data key is bound to in KMS, by name.
const CONTEXT: &str = "tenant";

/// The tenants' data keys. Clones share what they remember.
#[derive(Clone)]
pub struct KmsVault {
    kms: aws_sdk_kms::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    table: String,
    kms_key: String,
    known: Arc<Mutex<HashMap<TenantId, (Instant, DataKey)>>>,
}

impl KmsVault {
    /// The vault whose data keys lie in this table `Control`, encrypted by this key of KMS.
    #[must_use]
    pub fn new(clients: &Clients, table: String, kms_key: String) -> Self {
        let (kms, dynamodb) = (clients.kms.clone(), clients.dynamodb.clone());
        Self { kms, dynamodb, table, kms_key, known: Arc::default() }
    }

    /// Forgets a tenant's data key, here and now. Other instances do within five minutes.
    pub fn forget(&self, tenant: &TenantId) {
        self.known().remove(tenant);
    }

    async fn stored(&self, tenant: &TenantId) -> PortResult<Option<Vec<u8>>> {
        let get = self.dynamodb.get_item().table_name(&self.table).consistent_read(true);
        let get = get.key("pk", s(keys::tenant(tenant))).key("sk", s(keys::DATA_KEY));
        let answer = get.send().await.map_err(|error| Unavailable::new("reading a data key", error))?;
        Ok(answer.item().and_then(|item| bytes(item, "wrapped")))
    }

    async fn unwrap(&self, tenant: &TenantId, wrapped: Vec<u8>) -> PortResult<DataKey> {
        let call = self.kms.decrypt().key_id(&self.kms_key).ciphertext_blob(Blob::new(wrapped));
        let call = call.encryption_context(CONTEXT, tenant.as_str());
        let answer = call.send().await.map_err(|error| Unavailable::new("decrypting a data key", error))?;
        self.remember(tenant, answer.plaintext().map(Blob::as_ref))
    }

    /// Makes a data key and stores it, unless another instance was first: then that one counts.
    async fn make(&self, tenant: &TenantId) -> PortResult<DataKey> {
        let call = self.kms.generate_data_key().key_id(&self.kms_key).key_spec(DataKeySpec::Aes256);
        let call = call.encryption_context(CONTEXT, tenant.as_str());
        let answer = call.send().await.map_err(|error| Unavailable::new("making a data key", error))?;
        let wrapped = answer.ciphertext_blob().map(|blob| blob.clone().into_inner()).unwrap_or_default();
        let attributes =
            item([("pk", s(keys::tenant(tenant))), ("sk", s(keys::DATA_KEY)), ("wrapped", b(wrapped))]);
        if put_new(&self.dynamodb, &self.table, attributes).await? {
            return self.remember(tenant, answer.plaintext().map(Blob::as_ref));
        }
        let first = self.stored(tenant).await?;
        self.unwrap(tenant, first.unwrap_or_default()).await
    }

    fn remember(&self, tenant: &TenantId, plain: Option<&[u8]>) -> PortResult<DataKey> {
        let key = DataKey::new(plain.unwrap_or_default());
        let key = key.map_err(|error| Unavailable::new("reading a data key", error))?;
        let mut known = self.known();
        known.retain(|_, (since, _)| since.elapsed() < REMEMBERED);
        if known.len() >= MAX_KEYS {
            known.clear();
        }
        known.insert(tenant.clone(), (Instant::now(), key.clone()));
        Ok(key)
    }

    fn remembered(&self, tenant: &TenantId) -> Option<DataKey> {
        let mut known = self.known();
        known.retain(|_, (since, _)| since.elapsed() < REMEMBERED);
        known.get(tenant).map(|(_, key)| key.clone())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<TenantId, (Instant, DataKey)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vault for KmsVault {
    async fn key(&self, tenant: &TenantId) -> PortResult<Option<DataKey>> {
        if let Some(key) = self.remembered(tenant) {
            return Ok(Some(key));
        }
        match self.stored(tenant).await? {
            Some(wrapped) => self.unwrap(tenant, wrapped).await.map(Some),
            None => Ok(None),
        }
    }

    async fn key_or_new(&self, tenant: &TenantId) -> PortResult<DataKey> {
        match self.key(tenant).await? {
            Some(key) => Ok(key),
            None => self.make(tenant).await,
        }
    }
}
