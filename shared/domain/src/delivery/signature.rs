//! The signatures of a request by Standard Webhooks 1.0: `v1` (HMAC-SHA-256), and if the endpoint asks for it `v1a`
//! (Ed25519).
//!
//! Specification: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
//!
//! The `v1a` key differs from endpoint to endpoint. With one key for all, a client could point its own endpoint at
//! the receiver of another client, and its events would have valid signatures there. The key is derived from a secret
//! of the stack and the endpoint id, so it is not stored. The public key may be given to anyone.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use crate::endpoint::id::EndpointId;
use crate::endpoint::secret::Secret;
use crate::tenant::api_key::Peppers;
use crate::timestamp::Timestamp;

/// Returns the text to sign: `id.timestamp.body`.
///
/// `sent_at` is the time of this attempt. Its seconds are the value of `webhook-timestamp`.
#[must_use]
pub fn content(id: &str, sent_at: Timestamp, body: &[u8]) -> Vec<u8> {
    [format!("{id}.{}.", sent_at.seconds()).as_bytes(), body].concat()
}

/// Signs a text with a secret. Returns `v1,` and the base64 of the HMAC.
#[must_use]
pub fn sign(secret: &Secret, content: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.bytes().unwrap_or_default());
    format!("v1,{}", BASE64.encode(hmac::sign(&key, content)))
}

/// The secrets of the stack from which the `v1a` keys are derived, the newest first. An older secret stays until
/// receivers know the newer public key.
pub struct SigningSecrets(Peppers);

/// The `v1a` keys of one endpoint, the newest first.
pub struct SigningKeys(Vec<(u32, Ed25519KeyPair)>);

impl SigningSecrets {
    /// Makes the signing secrets from those of the stack.
    #[must_use]
    pub fn new(secrets: Peppers) -> Self {
        Self(secrets)
    }

    /// Derives the keys of an endpoint.
    #[must_use]
    pub fn keys_of(&self, endpoint: &EndpointId) -> SigningKeys {
        let mut keys = Vec::new();
        for (version, seed) in self.0.tags("webhook-signing", endpoint.as_str().as_bytes()) {
            // an HMAC-SHA-256 has 32 bytes, the length of a seed, so no version is left out
            if let Ok(key) = Ed25519KeyPair::from_seed_unchecked(&seed) {
                keys.push((version, key));
            }
        }
        SigningKeys(keys)
    }
}

impl SigningKeys {
    /// Signs a text with each key. Each signature is `v1a,` and base64.
    pub fn sign(&self, content: &[u8]) -> impl Iterator<Item = String> {
        self.0.iter().map(move |(_, key)| format!("v1a,{}", BASE64.encode(key.sign(content))))
    }

    /// Returns the newest public key in the form of Standard Webhooks: `whpk_` and base64.
    #[must_use]
    pub fn public(&self) -> Option<String> {
        self.0.first().map(|(_, key)| format!("whpk_{}", BASE64.encode(key.public_key())))
    }

    /// Returns the public keys as a JSON Web Key Set (RFC 7517, RFC 8037).
    #[must_use]
    pub fn key_set(&self) -> Value {
        let key = |(version, key): &(u32, Ed25519KeyPair)| {
            json!({
                "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": version.to_string(),
                "x": URL_SAFE_NO_PAD.encode(key.public_key()),
            })
        };
        json!({"keys": self.0.iter().map(key).collect::<Vec<_>>()})
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;
    use crate::testing::{START, endpoint};

    #[test]
    fn the_signature_matches_the_vector_of_the_specification() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let sent_at = Timestamp::from_seconds(1_614_265_330);
        let content = content("msg_p5jXN8AQM9LWM0D4loKWxJek", sent_at, br#"{"test": 2432232314}"#);
        assert_eq!(sign(&secret, &content), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_endpoint_has_its_own_keys_and_the_public_key_verifies_them() {
        let secrets = SigningSecrets::new(Peppers::parse("2:new,1:old").unwrap());
        let keys = secrets.keys_of(&endpoint(1).id);
        let other = secrets.keys_of(&endpoint(2).id);
        let content = content("evt_1", START, b"{}");
        let signatures: Vec<String> = keys.sign(&content).collect();
        assert_eq!(signatures.len(), 2, "one for each version of the secret");
        let public = BASE64.decode(&keys.public().unwrap()["whpk_".len()..]).unwrap();
        let signature = BASE64.decode(&signatures[0]["v1a,".len()..]).unwrap();
        assert_eq!(UnparsedPublicKey::new(&ED25519, &public).verify(&content, &signature), Ok(()));
        assert!(UnparsedPublicKey::new(&ED25519, &public).verify(b"other", &signature).is_err());
        assert_ne!(keys.public(), other.public());
        let set = keys.key_set();
        assert_eq!((&set["keys"][0]["kid"], &set["keys"][1]["kid"]), (&json!("2"), &json!("1")));
        assert_eq!(set["keys"][0]["x"], URL_SAFE_NO_PAD.encode(&public));
    }

    /// The steps of docs/rotation.md. The functions are updated one after another, so steps beside each other are mixed.
    #[test]
    fn a_signature_of_each_step_verifies_with_the_public_key_of_the_step_beside_it() {
        let steps = ["OLD", "1:OLD,2:NEW", "2:NEW,1:OLD", "2:NEW"]
            .map(|text| SigningSecrets::new(Peppers::parse(text).unwrap()).keys_of(&endpoint(1).id));
        let content = content("evt_1", START, b"{}");
        let verifies = |signer: &SigningKeys, holder: &SigningKeys| {
            let public = BASE64.decode(&holder.public().unwrap()["whpk_".len()..]).unwrap();
            let public = UnparsedPublicKey::new(&ED25519, public);
            signer.sign(&content).any(|signature| {
                let signature = BASE64.decode(&signature["v1a,".len()..]).unwrap();
                public.verify(&content, &signature).is_ok()
            })
        };
        for step in 0..3 {
            assert!(verifies(&steps[step], &steps[step + 1]), "{step} signs");
            assert!(verifies(&steps[step + 1], &steps[step]), "{} signs", step + 1);
        }
        assert!(verifies(&steps[2], &steps[0]), "the old public key is enough until the last step");
        assert!(
            !verifies(&steps[3], &steps[0]),
            "the last step is for receivers that have the new public key"
        );
    }
}
