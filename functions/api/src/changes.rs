//! The changes: what each route does that is not a read, as the audit trail names it. A route with a method that may change
//! something is in one of the two lists, or it is refused.

use domain::endpoint::id::EndpointId;
use domain::event::id::EventId;
use domain::id::is_canonical;
use domain::job::id::JobId;
use http::Method;
use store::unavailable::{PortResult, Unavailable};

/// A route that changes configuration or privacy, or starts a job.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// The method and the path, such as `POST /api/endpoints`.
    pub route: &'static str,
    /// The name in the audit trail.
    pub action: &'static str,
    /// Who may ask.
    pub by: By,
    /// What is changed.
    pub subject: Subject,
}

/// Who asks for a change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum By {
    /// The bearer of an API key.
    Key,
    /// The bearer of an API key, which an earlier request with it may have deleted together with the tenant.
    ErasingKey,
    /// The operator, for the tenant in the path.
    Operator,
    /// A client without a tenant. The handler makes the record, because it makes the tenant.
    Signup,
}

/// What a change is about.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// What does not exist yet.
    New,
    /// The tenant.
    Tenant,
    /// The default endpoint of the tenant.
    DefaultEndpoint,
    /// The API key of the request.
    OwnKey,
    /// What the path names, if this accepts its id. Any other text is not recorded: a client may paste a secret into a path.
    Named(fn(&str) -> bool),
}

const ENDPOINT: Subject = Subject::Named(|id| EndpointId::parse(id).is_some());
const EVENT: Subject = Subject::Named(|id| EventId::parse(id).is_some());
const KEY: Subject = Subject::Named(|id| is_canonical("key_", id));
const REPLAY: Subject = Subject::Named(|id| JobId::parse_replay(id).is_some());

/// Every change.
pub const CHANGES: [Change; 21] = [
    Change::new("POST /api/keys/generate", "tenant.create", By::Signup, Subject::Tenant),
    Change::new("PATCH /api/tenant", "tenant.change", By::Key, Subject::Tenant),
    Change::new("DELETE /api/tenant", "tenant.erase", By::ErasingKey, Subject::Tenant),
    Change::new("GET /api/export", "tenant.export", By::Key, Subject::Tenant),
    Change::new("POST /api/keys", "key.create", By::Key, Subject::New),
    Change::new("POST /api/keys/rotate", "key.rotate", By::Key, Subject::OwnKey),
    Change::new("DELETE /api/keys/{id}", "key.delete", By::Key, KEY),
    Change::new("POST /api/webhook/config", "endpoint.set_default", By::Key, Subject::DefaultEndpoint),
    Change::new("POST /api/endpoints", "endpoint.create", By::Key, Subject::New),
    Change::new("PATCH /api/endpoints/{id}", "endpoint.change", By::Key, ENDPOINT),
    Change::new("DELETE /api/endpoints/{id}", "endpoint.delete", By::Key, ENDPOINT),
    Change::new("POST /api/endpoints/{id}/enable", "endpoint.enable", By::Key, ENDPOINT),
    Change::new("POST /api/endpoints/{id}/rotate-secret", "endpoint.rotate_secret", By::Key, ENDPOINT),
    Change::new("POST /api/endpoints/{id}/test", "endpoint.test", By::Key, ENDPOINT),
    Change::new("DELETE /api/events/{id}", "event.delete", By::Key, EVENT),
    Change::new("POST /api/events/{id}/replay", "event.replay", By::Key, EVENT),
    Change::new("POST /api/replays", "replay.create", By::Key, Subject::New),
    Change::new("DELETE /api/replays/{id}", "replay.cancel", By::Key, REPLAY),
    Change::new("POST /api/admin/tenants/{id}/keys", "key.create", By::Operator, Subject::New),
    Change::new("POST /api/admin/tenants/{id}/suspend", "tenant.suspend", By::Operator, Subject::Tenant),
    Change::new("POST /api/admin/tenants/{id}/resume", "tenant.resume", By::Operator, Subject::Tenant),
];

/// The routes that are no changes although their method may change something: a read with a body, and what clients do with
/// each event.
pub const NO_CHANGES: [&str; 6] = [
    "POST /api/explain",
    "POST /api/inbox/lease",
    "POST /api/inbox/ack",
    "POST /api/inbox/release",
    "POST /api/inbox/extend",
    "POST /api/ack/{id}",
];

impl Change {
    const fn new(route: &'static str, action: &'static str, by: By, subject: Subject) -> Self {
        Self { route, action, by, subject }
    }
}

/// Returns the change that a request asks for; `None` if it changes nothing that is recorded.
///
/// # Errors
/// When the route is in no list: what it does would leave no record.
pub(crate) fn find(method: &Method, path: &str) -> PortResult<Option<&'static Change>> {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let route = format!("{} {path}", if is_read { "GET" } else { method.as_str() });
    let change = CHANGES.iter().find(|change| change.route == route);
    if change.is_none() && !is_read && !NO_CHANGES.contains(&route.as_str()) {
        return Err(Unavailable::new("recording a change", "the route is in no list of changes.rs"));
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_in_no_list_is_refused_and_a_read_is_none() {
        let action = |method, path| find(&method, path).map(|change| change.map(|change| change.action));
        assert_eq!(action(Method::POST, "/api/endpoints").unwrap(), Some("endpoint.create"));
        assert_eq!(action(Method::HEAD, "/api/export").unwrap(), Some("tenant.export"));
        assert_eq!(action(Method::GET, "/api/endpoints").unwrap(), None);
        assert_eq!(action(Method::POST, "/api/inbox/lease").unwrap(), None);
        assert!(action(Method::PUT, "/api/endpoints").is_err());
    }
}
