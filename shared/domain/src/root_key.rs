//! The root key of a stack, which encrypts the data keys of its tenants with AES-256-GCM. Each encrypted data key is bound
//! to its tenant, so it cannot be decrypted as the key of another tenant.

use ring::aead::NONCE_LEN;

use crate::sealed::{CannotDecrypt, DataKey, Sealed};
use crate::tenant::id::TenantId;

/// The name of the data key in what it is bound to.
const DATA_KEY: &str = "data_key";

/// The root key of a stack.
#[derive(Clone, Debug)]
pub struct RootKey(DataKey);

impl RootKey {
    /// Makes the root key from 32 bytes.
    ///
    /// # Errors
    /// [`CannotDecrypt`] for any other length.
    pub fn new(bytes: &[u8]) -> Result<Self, CannotDecrypt> {
        DataKey::new(bytes).map(Self)
    }

    /// Encrypts the data key of this tenant. `nonce` must be 96 fresh random bits.
    ///
    /// # Errors
    /// [`CannotDecrypt`] if AES-GCM refuses; it does so only for a longer text.
    pub fn seal(
        &self,
        tenant: &TenantId,
        key: &DataKey,
        nonce: [u8; NONCE_LEN],
    ) -> Result<Sealed, CannotDecrypt> {
        self.0.seal(tenant, DATA_KEY, key.bytes(), nonce)
    }

    /// Decrypts the data key of this tenant.
    ///
    /// # Errors
    /// [`CannotDecrypt`] for what was encrypted under another root key or for another tenant, or was changed.
    pub fn open(&self, tenant: &TenantId, sealed: &Sealed) -> Result<DataKey, CannotDecrypt> {
        self.0.open(tenant, DATA_KEY, sealed).and_then(|bytes| DataKey::new(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{data_key, tenant};

    #[test]
    fn a_data_key_opens_only_for_its_tenant_under_its_root_key() {
        let (ours, root) = (tenant(), RootKey::new(&[1; 32]).unwrap());
        let sealed = root.seal(&ours, &data_key(), [7; NONCE_LEN]).unwrap();
        let opened = root.open(&ours, &sealed).unwrap();
        let text = data_key().seal(&ours, "ep_1", b"secret", [7; NONCE_LEN]).unwrap();
        assert_eq!(opened.open(&ours, "ep_1", &text).as_deref(), Ok(&b"secret"[..]));
        assert!(root.open(&tenant(), &sealed).is_err(), "another tenant");
        assert!(RootKey::new(&[2; 32]).unwrap().open(&ours, &sealed).is_err(), "another root key");
        assert!(root.open(&ours, &text).is_err(), "another text");
        let short = DataKey::new(&[1; 32]).unwrap().seal(&ours, DATA_KEY, b"short", [7; NONCE_LEN]).unwrap();
        assert!(root.open(&ours, &short).is_err(), "no key");
        assert!(RootKey::new(&[1; 31]).is_err());
        assert_eq!(format!("{root:?}"), "RootKey(DataKey(...))");
    }
}
