//! The query parameters of a request. An unknown, a repeated and a misspelt parameter are refused, so that none is ignored
//! silently.

use axum::extract::{MatchedPath, RawQuery, Request};
use axum::middleware::Next;
use axum::response::Response;
use domain::event::json::pointer::shortened;
use domain::event::json::whole_number::without_zero_fraction;
use domain::problem::Problem;
use http::Method;
use runtime::request::no_query_allowed;

use crate::body::{invalid, parameter};
use crate::failure::Failure;

const INBOX: [&str; 7] = ["limit", "cursor", "type", "event_type", "status", "delivery_status", "order"];

const LOG: [&str; 9] =
    ["limit", "cursor", "type", "event_type", "status", "delivery_status", "order", "since", "until"];

/// The query parameters that a `GET` of these routes allows. All other requests allow none.
const ALLOWED: [(&str, &[&str]); 10] = [
    ("/api/inbox", &INBOX),
    ("/api/events", &LOG),
    ("/api/export", &["limit", "cursor"]),
    ("/api/audit", &["limit", "cursor", "since", "until"]),
    ("/api/replays", &["limit", "cursor"]),
    ("/api/admin/tenants", &["limit", "cursor"]),
    ("/api/stats", &["window", "step"]),
    ("/api/endpoints", &["pending"]),
    ("/api/endpoints/{id}/attempts", &["limit", "cursor"]),
    ("/.well-known/webhook-keys", &["endpoint_id"]),
];

/// Parameters with a second name: the name, and the name that it stands for.
const ALIASES: [(&str, &str); 2] = [("event_type", "type"), ("delivery_status", "status")];

/// Refuses a request whose query the route does not allow.
///
/// # Errors
/// 422 for a parameter that is not allowed, and for one that is sent twice.
pub(crate) async fn check(
    route: MatchedPath,
    RawQuery(query): RawQuery,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    check_names(query.as_deref(), allowed(is_read, route.as_str()))?;
    Ok(next.run(request).await)
}

fn allowed(is_read: bool, route: &str) -> &'static [&'static str] {
    let found = ALLOWED.iter().find(|(path, _)| is_read && *path == route);
    found.map_or(&[], |(_, names)| names)
}

fn check_names(query: Option<&str>, allowed: &[&str]) -> Result<(), Problem> {
    let mut seen: Vec<String> = Vec::new();
    for (name, _) in pairs(query) {
        if !allowed.contains(&name.as_str()) {
            if allowed.is_empty() {
                return Err(no_query_allowed(&name));
            }
            let names = allowed.join(", ");
            let rule = format!(
                "is not a query parameter of this request; allowed: {names}; correct its name or remove it"
            );
            return Err(invalid(parameter(&shortened(&name)), rule));
        }
        let meant = meant(&name).to_owned();
        if seen.contains(&meant) {
            return Err(invalid(parameter(&name), "is sent twice; send it once"));
        }
        seen.push(meant);
    }
    Ok(())
}

/// Returns the parameter that a name stands for.
fn meant(name: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, meant)| meant)
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = (String, String)> {
    url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned()
}

/// Returns the value of a query parameter, which may be sent under its alias. An empty value means absent.
pub(crate) fn query_value(query: Option<&str>, name: &str) -> Option<String> {
    let value = pairs(query).find(|(key, _)| meant(key) == name).map(|(_, value)| value);
    value.filter(|value| !value.is_empty())
}

/// Returns the query parameter `limit`: the largest number of items in the response.
///
/// # Errors
/// 422 for a value that is not a whole number from 1 to `max`.
pub(crate) fn query_limit(query: Option<&str>, default: usize, max: usize) -> Result<usize, Problem> {
    let Some(text) = query_value(query, "limit") else { return Ok(default) };
    let limit = without_zero_fraction(&text).parse().ok().filter(|limit| (1..=max).contains(limit));
    limit.ok_or_else(|| {
        invalid(parameter("limit"), format!("must be a whole number from 1 to {max}; correct it"))
    })
}

/// Returns a query parameter that is `true` or `false`. Without it, it is `false`.
///
/// # Errors
/// 422 for any other value.
pub(crate) fn query_bool(query: Option<&str>, name: &str) -> Result<bool, Problem> {
    match query_value(query, name).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(invalid(parameter(name), "must be `true` or `false`; correct it")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_empty_value_means_absent_and_an_alias_its_parameter() {
        assert_eq!(query_value(Some("type=a%2Fb&limit=5"), "type").as_deref(), Some("a/b"));
        assert_eq!(query_value(Some("event_type=a"), "type").as_deref(), Some("a"));
        assert_eq!(query_value(Some("type=&limit=5"), "type"), None);
        assert_eq!(query_value(None, "type"), None);
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused_by_name() {
        let refused = |query, route| check_names(Some(query), allowed(true, route)).unwrap_err().detail;
        assert!(check_names(Some("type=a&limit=&order=asc"), &INBOX).is_ok());
        assert_eq!(refused("window=1h&window=2h", "/api/stats"), "`window` is sent twice; send it once");
        assert_eq!(refused("type=a&event_type=b", "/api/inbox"), "`event_type` is sent twice; send it once");
        assert!(
            refused("limits=5", "/api/export")
                .ends_with("allowed: limit, cursor; correct its name or remove it")
        );
        assert!(refused("x=", "/api/tenant").ends_with("which has none; remove it"));
        assert!(check_names(Some("limit=5"), allowed(false, "/api/inbox")).is_err());
    }

    #[test]
    fn an_error_names_the_parameter() {
        let limit = query_limit(Some("limit=0"), 10, 100).unwrap_err();
        let detail = "`limit` must be a whole number from 1 to 100; correct it";
        assert_eq!(limit.to_json("r")["errors"], json!([{"parameter": "limit", "detail": detail}]));
    }
}
