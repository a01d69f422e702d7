//! Errors as clients see them: RFC 9457 documents, and the catalogue of our types.
//!
//! Every type has a paragraph of the same name in `docs/errors.md`.

use serde_json::{Map, Value, json};

/// What went wrong, as far as a client may act on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The body cannot be read.
    Malformed,
    /// The cursor is not one of ours, or of another query.
    CursorInvalid,
    /// No key, or none that is good.
    Unauthorized,
    /// The key may not do this.
    Forbidden,
    /// There is none, or it is another tenant's.
    NotFound,
    /// The path knows other methods.
    MethodNotAllowed,
    /// More bytes than allowed.
    TooLarge,
    /// No JSON.
    UnsupportedMediaType,
    /// Readable, and against a rule.
    Invalid,
    /// The lease does not hold what it was to act on.
    LeaseLost,
    /// The event has no final delivery that could be opened again.
    NothingToReplay,
    /// The name was used for something else.
    IdempotencyMismatch,
    /// The minute's tokens are spent.
    RateLimited,
    /// Too many of the tenant's events wait for somebody to take them.
    BacklogFull,
    /// A part we depend on does not answer.
    Unavailable,
    /// Events arrive faster than they are stored.
    Overloaded,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::Malformed,
        Self::CursorInvalid,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::Invalid,
        Self::LeaseLost,
        Self::NothingToReplay,
        Self::IdempotencyMismatch,
        Self::RateLimited,
        Self::BacklogFull,
        Self::Unavailable,
        Self::Overloaded,
    ];

    /// HTTP status, slug and title.
    #[must_use]
    pub const fn document(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Malformed => (400, "malformed", "The body cannot be read"),
            Self::CursorInvalid => (400, "cursor-invalid", "The cursor does not belong to this query"),
            Self::Unauthorized => (401, "unauthorized", "A valid API key is needed"),
            Self::Forbidden => (403, "forbidden", "The API key may not do this"),
            Self::NotFound => (404, "not-found", "There is no such thing"),
            Self::MethodNotAllowed => (405, "method-not-allowed", "The path knows other methods"),
            Self::LeaseLost => (409, "lease-lost", "The lease does not hold"),
            Self::NothingToReplay => (409, "nothing-to-replay", "No delivery can be opened again"),
            Self::TooLarge => (413, "too-large", "The request is too large"),
            Self::UnsupportedMediaType => {
                (415, "unsupported-media-type", "The content type is none that is read here")
            }
            Self::Invalid => (422, "invalid", "The request breaks a rule"),
            Self::IdempotencyMismatch => {
                (422, "idempotency-mismatch", "The name was used for something else")
            }
            Self::RateLimited => (429, "rate-limited", "The rate limit is reached"),
            Self::BacklogFull => (429, "backlog-full", "Too many events wait to be taken"),
            Self::Unavailable => (503, "unavailable", "Try again in a moment"),
            Self::Overloaded => (503, "overloaded", "Too much waits to be stored"),
        }
    }
}

/// One error, ready to be answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Which type.
    pub kind: Kind,
    /// What this client can do about it, in a sentence.
    pub detail: String,
    /// The JSON pointer of the member at fault, where there is one.
    pub pointer: Option<String>,
    /// Seconds for `Retry-After`.
    pub retry_after: Option<u32>,
    /// What failed inside, for the log; it is never sent.
    pub cause: Option<String>,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let retry_after = match kind {
            Kind::Unavailable => Some(2),
            Kind::Overloaded => Some(10),  // when the queue is looked at again
            Kind::BacklogFull => Some(30), // likewise the backlog
            _ => None,
        };
        Self { kind, detail: detail.into(), pointer: None, retry_after, cause: None }
    }

    /// The same, at this member of the body.
    #[must_use]
    pub fn at(self, pointer: impl Into<String>) -> Self {
        Self { pointer: Some(pointer.into()), ..self }
    }

    /// Returns the problem with what failed inside, for the log.
    #[must_use]
    pub fn because(self, cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    /// The answer to every credential that is not good: unknown, revoked and expired read alike.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(Kind::Unauthorized, "send a valid API key in the header X-API-Key")
    }

    /// A path that leads nowhere, or to another tenant's thing: nobody can tell which.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(
            Kind::NotFound,
            "nothing is here; an event can be found about a second after it was accepted",
        )
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.kind.document().0
    }

    /// The RFC 9457 document. `error` repeats `detail` for older clients.
    #[must_use]
    pub fn to_json(&self, request_id: &str) -> Value {
        let (status, slug, title) = self.kind.document();
        let mut document = Map::new();
        document.insert("type".into(), format!("urn:triggers:problem:{slug}").into());
        document.insert("title".into(), title.into());
        document.insert("status".into(), status.into());
        document.insert("detail".into(), self.detail.as_str().into());
        document.insert("instance".into(), request_id.into());
        document.insert("error".into(), self.detail.as_str().into());
        if let Some(pointer) = &self.pointer {
            document.insert("errors".into(), json!([{"pointer": pointer, "detail": self.detail}]));
        }
        document.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_paragraph_of_its_own_in_the_documentation() {
        let paragraphs = include_str!("../../../docs/errors.md");
        for kind in Kind::ALL {
            let (status, slug, _) = kind.document();
            assert!(paragraphs.contains(&format!("\n## {slug}\n")), "{slug}");
            assert!((400..600).contains(&status));
        }
        assert_eq!(paragraphs.matches("\n## ").count(), Kind::ALL.len());
    }

    #[test]
    fn the_document_has_every_member_of_the_contract() {
        let problem = Problem::new(Kind::Invalid, "wrong").at("/type").to_json("req-1");
        assert_eq!(problem["type"], "urn:triggers:problem:invalid");
        assert_eq!(problem["status"], 422);
        assert_eq!(problem["instance"], "req-1");
        assert_eq!(problem["error"], problem["detail"]);
        assert_eq!(problem["errors"][0]["pointer"], "/type");
    }
}
