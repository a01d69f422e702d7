//! The root key and the tenants' data keys, made and unwrapped by KMS.

use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;

use domain::root_key::RootKey;
use domain::sealed::{CannotDecrypt, DataKey};
use domain::tenant::id::TenantId;
use store::unavailable::{PortResult, Unavailable};
use store::vault::Vault;

use crate::clients::Clients;

/// The member of the encryption context that binds a data key to its tenant.
const TENANT: &str = "tenant";

/// What this member holds for the root key. It has a space, so it is the id of no tenant.
const ROOT_KEY: &str = "root key";

const GENERATE: &str = "GenerateDataKey";
const DECRYPT: &str = "Decrypt";

/// Keys that one key of KMS wraps, each bound to its tenant, or to being the root key, by the encryption context.
#[derive(Clone, Debug)]
pub struct KmsVault {
    client: Client,
    key_id: String,
}

impl KmsVault {
    /// Returns the vault of this KMS key.
    #[must_use]
    pub fn new(clients: &Clients, key_id: String) -> Self {
        Self { client: clients.kms.clone(), key_id }
    }

    /// Makes a key; returns it, and its wrapped form.
    async fn generate(&self, owner: &str) -> PortResult<(Blob, Vec<u8>)> {
        let call = self.client.generate_data_key().key_id(&self.key_id).key_spec(DataKeySpec::Aes256);
        let answer = call.encryption_context(TENANT, owner).send().await;
        let answer = answer.map_err(|error| Unavailable::new(GENERATE, error))?;
        let (Some(plain), Some(wrapped)) = (answer.plaintext, answer.ciphertext_blob) else {
            return Err(Unavailable::new(
                GENERATE,
                "the answer lacks the plaintext data key or the encrypted data key",
            ));
        };
        Ok((plain, wrapped.into_inner()))
    }

    /// Unwraps a key of this owner.
    async fn decrypt(&self, owner: &str, wrapped: &[u8]) -> PortResult<Blob> {
        let call = self.client.decrypt().key_id(&self.key_id).ciphertext_blob(Blob::new(wrapped));
        let answer = call.encryption_context(TENANT, owner).send().await;
        let answer = answer.map_err(|error| Unavailable::new(DECRYPT, error))?;
        answer.plaintext.ok_or_else(|| Unavailable::new(DECRYPT, "the answer lacks the plaintext data key"))
    }
}

impl Vault for KmsVault {
    async fn new_key(&self, tenant: &TenantId) -> PortResult<(DataKey, Vec<u8>)> {
        let (plain, wrapped) = self.generate(tenant.as_str()).await?;
        Ok((readable(GENERATE, DataKey::new(plain.as_ref()))?, wrapped))
    }

    async fn unwrap_key(&self, tenant: &TenantId, wrapped: &[u8]) -> PortResult<DataKey> {
        let plain = self.decrypt(tenant.as_str(), wrapped).await?;
        readable(DECRYPT, DataKey::new(plain.as_ref()))
    }

    async fn new_root_key(&self) -> PortResult<(RootKey, Vec<u8>)> {
        let (plain, wrapped) = self.generate(ROOT_KEY).await?;
        Ok((readable(GENERATE, RootKey::new(plain.as_ref()))?, wrapped))
    }

    async fn unwrap_root_key(&self, wrapped: &[u8]) -> PortResult<RootKey> {
        let plain = self.decrypt(ROOT_KEY, wrapped).await?;
        readable(DECRYPT, RootKey::new(plain.as_ref()))
    }
}

fn readable<K>(operation: &'static str, key: Result<K, CannotDecrypt>) -> PortResult<K> {
    key.map_err(|error| Unavailable::new(operation, error))
}
