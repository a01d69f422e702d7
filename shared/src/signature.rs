//! The signature of a delivery: Standard Webhooks 1.0, scheme `v1` (HMAC-SHA-256).
//!
//! Specification: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;

use crate::endpoint::Secret;
use crate::timestamp::Timestamp;

/// The value of `webhook-signature`: `v1,` and base64 of the HMAC over `id.timestamp.body`.
///
/// `sent_at` is the moment of this attempt, to the second: the value of `webhook-timestamp`.
#[must_use]
pub fn sign(secret: &Secret, id: &str, sent_at: Timestamp, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.bytes().unwrap_or_default());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{id}.{}.", sent_at.seconds()).as_bytes());
    context.update(body);
    format!("v1,{}", BASE64.encode(context.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_of_the_specification_holds() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = sign(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            Timestamp::from_seconds(1_614_265_330),
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
