//! The tenants' data keys, made and unwrapped by KMS.

use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;

use domain::sealed::DataKey;
use domain::tenant::id::TenantId;
use store::unavailable::{PortResult, Unavailable};
use store::vault::Vault;

use crate::clients::Clients;

/// The member of the encryption context that binds a data key to its tenant.
const TENANT: &str = "tenant";

/// Data keys that one key of KMS wraps, each bound to its tenant by the encryption context.
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
}

impl Vault for KmsVault {
    async fn new_key(&self, tenant: &TenantId) -> PortResult<(DataKey, Vec<u8>)> {
        let call = self.client.generate_data_key().key_id(&self.key_id).key_spec(DataKeySpec::Aes256);
        let answer = call.encryption_context(TENANT, tenant.as_str()).send().await;
        let answer = answer.map_err(|error| Unavailable::new("GenerateDataKey", error))?;
        let (Some(plain), Some(wrapped)) = (answer.plaintext, answer.ciphertext_blob) else {
            return Err(Unavailable::new(
                "GenerateDataKey",
                "the answer lacks the plaintext data key or the encrypted data key",
            ));
        };
        Ok((data_key("GenerateDataKey", &plain)?, wrapped.into_inner()))
    }

    async fn unwrap_key(&self, tenant: &TenantId, wrapped: &[u8]) -> PortResult<DataKey> {
        let call = self.client.decrypt().key_id(&self.key_id).ciphertext_blob(Blob::new(wrapped));
        let answer = call.encryption_context(TENANT, tenant.as_str()).send().await;
        let answer = answer.map_err(|error| Unavailable::new("Decrypt", error))?;
        let plain = answer
            .plaintext
            .ok_or_else(|| Unavailable::new("Decrypt", "the answer lacks the plaintext data key"))?;
        data_key("Decrypt", &plain)
    }
}

fn data_key(operation: &'static str, plain: &Blob) -> PortResult<DataKey> {
    DataKey::new(plain.as_ref()).map_err(|error| Unavailable::new(operation, error))
}
