//! The fingerprint of a request: it shows whether a second request with the same name has the same content.

use crate::digest::sha256;
use crate::event::NewEvent;
use crate::event::claim_name::ClaimName;
use crate::event::json::canonical::canonical;

/// The fingerprint of a request's content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fingerprint {
    /// The SHA-256 of the content in its canonical form. `None` if the name alone decides, as `source` and `id` of a
    /// CloudEvent do, and in a claim of the previous version.
    pub content: Option<[u8; 32]>,
    /// The SHA-256 of the content as it was sent. The previous version compares it, and wrote nothing else.
    pub text: [u8; 32],
}

impl Fingerprint {
    /// Returns the fingerprint of an event: of its type and its canonical payload. The content of a CloudEvent is its
    /// `source` and `id`, because everything else can differ between two sends of one event.
    #[must_use]
    pub fn of(event: &NewEvent) -> Self {
        let event_type = event.event_type.as_str().as_bytes();
        let digest = |payload: &str| sha256(&[event_type, b"\0", payload.as_bytes()]); // a type never contains NUL, so the two parts cannot run together
        let content = match &event.name {
            Some(name @ ClaimName::CloudEvent { .. }) => name.digest(),
            _ => digest(&canonical(&event.payload)),
        };
        Self { content: Some(content), text: digest(&event.payload) }
    }

    /// Returns the digest of an item of a batch: of its content and its own name.
    #[must_use]
    pub fn of_item(event: &NewEvent) -> [u8; 32] {
        let Self { content, text } = Self::of(event);
        let name = event.name.as_ref().map_or_else(|| [0; 32], ClaimName::digest);
        sha256(&[&content.unwrap_or(text), &name])
    }

    /// Returns the fingerprint of a request that posts no event.
    #[must_use]
    pub fn of_request(request: &str) -> Self {
        let text = sha256(&[request.as_bytes()]);
        Self { content: Some(text), text }
    }

    /// Returns the fingerprint for a claim that the name alone decides.
    #[must_use]
    pub fn of_name_alone(self) -> Self {
        Self { content: None, ..self }
    }

    /// Returns whether a request with this fingerprint repeats the one that holds the name.
    #[must_use]
    pub fn repeats(&self, held: &Self) -> bool {
        match (self.content, held.content) {
            (None, _) => true,
            (Some(ours), Some(held)) => ours == held,
            (Some(_), None) => self.text == held.text, // a claim of the previous version
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Fingerprint {
        Fingerprint::of(&NewEvent::parse(body.as_bytes()).unwrap())
    }

    #[test]
    fn the_same_json_in_another_spelling_is_a_repeat() {
        let held = of(r#"{"type":"a","payload":{"a":1,"b":"\u0041"}}"#);
        assert!(of(r#"{"payload":{ "b":"A", "a":1 },"type":"a"}"#).repeats(&held));
        assert!(!of(r#"{"type":"a","payload":{"a":1.0,"b":"A"}}"#).repeats(&held));
        assert!(!of(r#"{"type":"b","payload":{"a":1,"b":"A"}}"#).repeats(&held));
    }

    #[test]
    fn the_fingerprint_separates_type_and_payload() {
        let (one, other) = (of(r#"{"type":"ab","payload":1}"#), of(r#"{"type":"a","payload":"b"}"#));
        assert!(one.content != other.content && one.text != other.text);
    }

    #[test]
    fn a_claim_of_the_previous_version_is_compared_by_its_text() {
        let sent = of(r#"{"type":"a","payload":[1]}"#);
        let old = Fingerprint { content: None, text: sent.text };
        assert!(sent.repeats(&old));
        assert!(!of(r#"{"type":"a","payload":[1 ]}"#).repeats(&old));
    }

    #[test]
    fn a_name_that_decides_alone_is_a_repeat_of_everything() {
        let (one, other) = (of(r#"{"type":"a","payload":1}"#), of(r#"{"type":"b","payload":2}"#));
        assert!(one.of_name_alone().repeats(&other.of_name_alone()));
    }
}
