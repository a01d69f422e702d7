//! Encryption of a tenant's private data with AES-256-GCM. Each ciphertext is bound to its tenant and to the name of
//! what it holds, so it cannot be decrypted in another place.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use thiserror::Error;

use crate::tenant::id::TenantId;

/// The length of a key in bytes.
const KEY_LEN: usize = 32;

/// The data key of one tenant.
#[derive(Clone)]
pub struct DataKey {
    cipher: LessSafeKey,
    bytes: [u8; KEY_LEN],
}

/// An encrypted text: nonce, ciphertext and tag.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sealed(Vec<u8>);

/// The error for a ciphertext that was encrypted with another key, for another tenant or name, or was changed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "a stored secret cannot be decrypted with the data key of its tenant; check the KMS key and the stored data key"
)]
pub struct CannotDecrypt;

impl DataKey {
    /// Makes the data key from 32 bytes.
    ///
    /// # Errors
    /// [`CannotDecrypt`] for any other length.
    pub fn new(bytes: &[u8]) -> Result<Self, CannotDecrypt> {
        let bytes = <[u8; KEY_LEN]>::try_from(bytes).map_err(|_| CannotDecrypt)?;
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| CannotDecrypt)?;
        Ok(Self { cipher: LessSafeKey::new(key), bytes })
    }

    /// Returns the key itself, for the root key to encrypt.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Encrypts a text of this tenant. `what` names it. `nonce` must be 96 fresh random bits, because a repeated
    /// nonce breaks AES-GCM.
    ///
    /// # Errors
    /// [`CannotDecrypt`] for a text longer than AES-GCM allows (64 GiB).
    pub fn seal(
        &self,
        tenant: &TenantId,
        what: &str,
        text: &[u8],
        nonce: [u8; NONCE_LEN],
    ) -> Result<Sealed, CannotDecrypt> {
        let mut sealed = text.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.cipher
            .seal_in_place_append_tag(unique, bound_to(tenant, what), &mut sealed)
            .map_err(|_| CannotDecrypt)?;
        Ok(Sealed([&nonce[..], &sealed].concat()))
    }

    /// Decrypts a text of this tenant that was encrypted as `what`.
    ///
    /// # Errors
    /// [`CannotDecrypt`] for any other ciphertext.
    pub fn open(
        &self,
        tenant: &TenantId,
        what: &str,
        Sealed(bytes): &Sealed,
    ) -> Result<Vec<u8>, CannotDecrypt> {
        let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN).ok_or(CannotDecrypt)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CannotDecrypt)?;
        let mut text = sealed.to_vec();
        let opened =
            self.cipher.open_in_place(nonce, bound_to(tenant, what), &mut text).map_err(|_| CannotDecrypt)?;
        Ok(opened.to_vec())
    }
}

impl Sealed {
    /// Takes a ciphertext from a table, without a check.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Returns the bytes to write into a table.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes to write into a table, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(...)")
    }
}

fn bound_to(tenant: &TenantId, what: &str) -> Aad<Vec<u8>> {
    Aad::from(format!("{tenant}\0{what}").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tenant;

    #[test]
    fn a_ciphertext_decrypts_only_with_its_own_tenant_name_and_key() {
        let ours = tenant();
        let key = DataKey::new(&[1; 32]).unwrap();
        let other_key = DataKey::new(&[2; 32]).unwrap();
        let sealed = key.seal(&ours, "ep_1", b"secret", [7; NONCE_LEN]).unwrap();
        assert!(!sealed.bytes().windows(6).any(|bytes| bytes == b"secret"));
        assert_eq!(key.open(&ours, "ep_1", &sealed).as_deref(), Ok(&b"secret"[..]));
        assert_eq!(key.open(&ours, "ep_2", &sealed), Err(CannotDecrypt));
        assert_eq!(key.open(&tenant(), "ep_1", &sealed), Err(CannotDecrypt));
        assert_eq!(other_key.open(&ours, "ep_1", &sealed), Err(CannotDecrypt));
        let mut changed = sealed.bytes().to_vec();
        changed[NONCE_LEN] ^= 1;
        for damaged in [vec![], vec![0; 5], changed] {
            assert_eq!(key.open(&ours, "ep_1", &Sealed::from_bytes(damaged)), Err(CannotDecrypt));
        }
        assert!(DataKey::new(&[1; 31]).is_err());
    }
}
