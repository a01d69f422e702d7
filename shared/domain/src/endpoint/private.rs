//! The private part of an endpoint: its secrets and its owner's headers, encrypted as one text.

use serde::{Deserialize, Serialize};

use crate::endpoint::headers::Headers;
use crate::endpoint::id::EndpointId;
use crate::endpoint::secret::{Secret, Secrets};
use crate::sealed::{CannotDecrypt, DataKey, Sealed};
use crate::tenant::id::TenantId;
use crate::timestamp::Timestamp;

/// The secrets and headers of an endpoint. Only its requests may contain them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Private {
    /// The secrets that sign the requests.
    pub secrets: Secrets,
    /// The owner's own headers. They often have a credential.
    pub headers: Headers,
}

#[derive(Deserialize, Serialize)]
struct Stored {
    secret: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    previous: Vec<(String, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
}

impl Private {
    /// Encrypts the private part for this endpoint.
    ///
    /// # Errors
    /// [`CannotDecrypt`] if it cannot be serialized. A private part made by this crate always can.
    pub fn seal(
        &self,
        key: &DataKey,
        tenant: &TenantId,
        endpoint: &EndpointId,
        nonce: [u8; 12],
    ) -> Result<Sealed, CannotDecrypt> {
        let previous = self.secrets.previous.iter();
        let stored = Stored {
            secret: self.secrets.current.expose().to_owned(),
            previous: previous.map(|(secret, until)| (secret.expose().to_owned(), until.millis())).collect(),
            headers: self.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        };
        let text = serde_json::to_vec(&stored).map_err(|_| CannotDecrypt)?;
        key.seal(tenant, endpoint.as_str(), &text, nonce)
    }

    /// Decrypts the private part of this endpoint.
    ///
    /// # Errors
    /// [`CannotDecrypt`] for any other ciphertext.
    pub fn open(
        key: &DataKey,
        tenant: &TenantId,
        endpoint: &EndpointId,
        sealed: &Sealed,
    ) -> Result<Self, CannotDecrypt> {
        let text = key.open(tenant, endpoint.as_str(), sealed)?;
        let stored: Stored = serde_json::from_slice(&text).map_err(|_| CannotDecrypt)?;
        let mut secrets = Secrets::new(Secret::parse(stored.secret).ok_or(CannotDecrypt)?);
        for (text, until) in stored.previous {
            let secret = Secret::parse(text).ok_or(CannotDecrypt)?;
            secrets.previous.push((secret, Timestamp::from_millis(until)));
        }
        let headers = Headers::from_stored(stored.headers);
        Ok(Self { secrets, headers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{START, endpoint, tenant};

    #[test]
    fn a_private_part_is_the_same_after_decryption() {
        let key = DataKey::new(&[1; 32]).unwrap();
        let tenant = tenant();
        let id = endpoint(1).id;
        let [first, second] = [0, 1].map(|_| Secret::generate(&mut rand::rng()));
        let plain = Private { secrets: Secrets::new(first), headers: Headers::default() };
        let headers = Headers::parse([("authorization".to_owned(), "Bearer x".to_owned())]).unwrap();
        let rotated = Private { secrets: plain.secrets.rotate(second, START, START), headers };
        for private in [plain, rotated] {
            let sealed = private.seal(&key, &tenant, &id, rand::random()).unwrap();
            assert_eq!(Private::open(&key, &tenant, &id, &sealed), Ok(private));
            assert_eq!(Private::open(&key, &tenant, &endpoint(2).id, &sealed), Err(CannotDecrypt));
        }
    }
}
