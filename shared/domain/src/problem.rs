//! Errors as clients get them: `application/problem+json` documents (RFC 9457), and the list of their types.
//!
//! Each type has a section of the same name in `docs/errors.md`.

use serde_json::{Map, Value, json};

/// The type of a problem. Each type has one HTTP status, one slug and one title.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// 400: the body is not valid JSON.
    Malformed,
    /// 400: the cursor was not issued by this API, or belongs to another tenant or another filter.
    CursorInvalid,
    /// 401: the API key is missing or not valid.
    Unauthorized,
    /// 403: the API key lacks the scope that the route needs.
    Forbidden,
    /// 403: the request is a webhook of a stack of this API.
    OwnWebhook,
    /// 403: the operator has suspended the tenant.
    Suspended,
    /// 404: the resource does not exist, or belongs to another tenant.
    NotFound,
    /// 405: the path exists, but not with this method.
    MethodNotAllowed,
    /// 413: the body has more bytes than the route allows.
    TooLarge,
    /// 415: the route does not read this content type or content encoding.
    UnsupportedMediaType,
    /// 422: the request can be read, but a member or a parameter is not valid.
    Invalid,
    /// 409: the lease has expired, or does not exist.
    LeaseLost,
    /// 409: the event has no final delivery that a replay can open again.
    NothingToReplay,
    /// 409: the endpoint is paused or disabled.
    EndpointInactive,
    /// 409: another endpoint sends some of the same events to the same URL.
    EndpointExists,
    /// 409: the tenant would have no API key with the scope `keys:admin`.
    LastAdminKey,
    /// 422: the `dedup_id` or `Idempotency-Key` was used before with other content.
    IdempotencyMismatch,
    /// 429: all tokens of this minute are spent.
    RateLimited,
    /// 429: the inbox holds as many events as the tier allows.
    BacklogFull,
    /// 503: an AWS service that the request needs did not answer.
    Unavailable,
    /// 503: events arrive faster than they are stored.
    Overloaded,
}

impl Kind {
    /// All types.
    pub const ALL: [Self; 21] = [
        Self::Malformed,
        Self::CursorInvalid,
        Self::Unauthorized,
        Self::Forbidden,
        Self::OwnWebhook,
        Self::Suspended,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::Invalid,
        Self::LeaseLost,
        Self::NothingToReplay,
        Self::EndpointInactive,
        Self::EndpointExists,
        Self::LastAdminKey,
        Self::IdempotencyMismatch,
        Self::RateLimited,
        Self::BacklogFull,
        Self::Unavailable,
        Self::Overloaded,
    ];

    /// Returns the HTTP status, the slug at the end of `type`, and the title.
    #[must_use]
    pub const fn document(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Malformed => (400, "malformed", "Invalid JSON"),
            Self::CursorInvalid => (400, "cursor-invalid", "Invalid cursor"),
            Self::Unauthorized => (401, "unauthorized", "Invalid API key"),
            Self::Forbidden => (403, "forbidden", "Permission denied"),
            Self::OwnWebhook => (403, "own-webhook", "Webhook of this API"),
            Self::Suspended => (403, "suspended", "Organization suspended"),
            Self::NotFound => (404, "not-found", "Not found"),
            Self::MethodNotAllowed => (405, "method-not-allowed", "Method not allowed"),
            Self::LeaseLost => (409, "lease-lost", "The lease has expired, or does not exist"),
            Self::NothingToReplay => (409, "nothing-to-replay", "Nothing to replay"),
            Self::EndpointInactive => (409, "endpoint-inactive", "The endpoint is paused or disabled"),
            Self::EndpointExists => (409, "endpoint-exists", "An endpoint with this URL exists"),
            Self::LastAdminKey => (409, "last-admin-key", "The last key with keys:admin"),
            Self::TooLarge => (413, "too-large", "Request too large"),
            Self::UnsupportedMediaType => (415, "unsupported-media-type", "Unsupported Content-Type"),
            Self::Invalid => (422, "invalid", "Invalid request"),
            Self::IdempotencyMismatch => {
                (422, "idempotency-mismatch", "Idempotency key already used with other content")
            }
            Self::RateLimited => (429, "rate-limited", "Rate limit exceeded"),
            Self::BacklogFull => (429, "backlog-full", "Inbox full"),
            Self::Unavailable => (503, "unavailable", "Service unavailable"),
            Self::Overloaded => (503, "overloaded", "Service overloaded"),
        }
    }
}

/// The part of the request that a problem is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// A member of the body, as JSON pointer (RFC 6901). The empty pointer means the whole body.
    Pointer(String),
    /// A query parameter, by its name.
    Parameter(String),
}

/// One error, ready to become a response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The type of the problem.
    pub kind: Kind,
    /// One sentence for the client: what is wrong, what is allowed, and what to do.
    pub detail: String,
    /// The part of the request that is wrong, if it is known.
    pub source: Option<Source>,
    /// The value of `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
    /// The id of what holds the name that this request used, if a name is the problem.
    pub first_id: Option<String>,
    /// The internal cause. It is logged, and never sent to the client.
    pub cause: Option<String>,
}

impl Problem {
    /// Makes a problem of this type. Types that a retry can solve get a `Retry-After`.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let retry_after = match kind {
            Kind::Unavailable => Some(2),
            Kind::Overloaded => Some(10), // the age of the queue is read every 10 s
            Kind::BacklogFull => Some(30), // the backlog is read every 30 s
            _ => None,
        };
        Self { kind, detail: detail.into(), source: None, retry_after, first_id: None, cause: None }
    }

    /// Adds the JSON pointer (RFC 6901) of the member that is wrong.
    #[must_use]
    pub fn at(self, pointer: impl Into<String>) -> Self {
        Self { source: Some(Source::Pointer(pointer.into())), ..self }
    }

    /// Adds the name of the query parameter that is wrong.
    #[must_use]
    pub fn in_query(self, name: impl Into<String>) -> Self {
        Self { source: Some(Source::Parameter(name.into())), ..self }
    }

    /// Adds the id of what holds the name that this request used.
    #[must_use]
    pub fn of_first(self, id: impl Into<String>) -> Self {
        Self { first_id: Some(id.into()), ..self }
    }

    /// Adds the internal cause, for the log.
    #[must_use]
    pub fn with_cause(self, cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    /// Returns the answer to every API key that is not valid. An unknown, a revoked and an expired key get the same
    /// text.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(
            Kind::Unauthorized,
            "Invalid API key: it is missing, unknown, revoked or expired; send a valid key in the header X-API-Key",
        )
    }

    /// Returns the answer to a tenant that may not post events or change anything, because it is suspended.
    #[must_use]
    pub fn suspended() -> Self {
        Self::new(
            Kind::Suspended,
            "the operator of this service has suspended your organization: you can read, lease, acknowledge, export and erase events, and nothing else; ask the operator to resume it, then send the request again",
        )
    }

    /// Returns the answer to an unknown path or id. A resource of another tenant gets the same text.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(
            Kind::NotFound,
            "Not found: check the path and the id; an event can be read about one second after its 202",
        )
    }

    /// Returns the HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.kind.document().0
    }

    /// Returns the RFC 9457 document. The member `error` repeats `detail` for older clients.
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
        if let Some(id) = &self.first_id {
            document.insert("id".into(), id.as_str().into());
        }
        if let Some(entry) = self.errors_entry() {
            document.insert("errors".into(), json!([entry]));
        }
        document.into()
    }

    /// Returns the entry of `errors`. A 422 always has one: without a known source it names the whole body.
    fn errors_entry(&self) -> Option<Value> {
        match &self.source {
            Some(Source::Pointer(pointer)) => Some(json!({"pointer": pointer, "detail": self.detail})),
            Some(Source::Parameter(name)) => Some(json!({"parameter": name, "detail": self.detail})),
            None if self.status() == 422 => Some(json!({"pointer": "", "detail": self.detail})),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_own_section_in_the_documentation() {
        let sections = include_str!("../../../docs/errors.md");
        for kind in Kind::ALL {
            let (status, slug, _) = kind.document();
            assert!(sections.contains(&format!("\n## {slug}\n")), "{slug}");
            assert!((400..600).contains(&status));
        }
        assert_eq!(sections.matches("\n## ").count(), Kind::ALL.len());
    }

    #[test]
    fn the_document_has_every_member_of_the_contract() {
        let problem = Problem::new(Kind::Invalid, "wrong").at("/type").to_json("req-1");
        assert_eq!(problem["type"], "urn:triggers:problem:invalid");
        assert_eq!(problem["status"], 422);
        assert_eq!(problem["instance"], "req-1");
        assert_eq!(problem["error"], problem["detail"]);
        assert_eq!(problem["errors"][0]["pointer"], "/type");
        assert_eq!(problem.get("id"), None);
        assert_eq!(Problem::new(Kind::Invalid, "wrong").of_first("evt_1").to_json("req-1")["id"], "evt_1");
    }

    #[test]
    fn errors_names_a_query_parameter_by_its_name() {
        let problem = Problem::new(Kind::Invalid, "wrong").in_query("since").to_json("req-1");
        assert_eq!(problem["errors"], json!([{"parameter": "since", "detail": "wrong"}]));
    }

    #[test]
    fn every_422_has_an_entry_in_errors_and_other_types_only_with_a_source() {
        for kind in Kind::ALL {
            let problem = Problem::new(kind, "wrong");
            let errors = problem.to_json("req-1").get("errors").cloned();
            let whole_body = json!([{"pointer": "", "detail": "wrong"}]);
            assert_eq!(errors, (problem.status() == 422).then_some(whole_body), "{kind:?}");
        }
    }
}
