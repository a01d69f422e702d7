//! A request's JSON body and query, read with the contract's strictness.

use axum::body::{self, Body, Bytes};
use axum::extract::{FromRequest, Request};
use domain::event::json::rule::Bounds;
use domain::event::{InvalidEvent, json, object};
use domain::problem::{Kind, Problem};
use domain::timestamp::Timestamp;
use http::HeaderMap;
use runtime::request::require_json;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// No body of these routes is larger.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Nor deeper, nor richer.
const BOUNDS: Bounds = Bounds { depth: 8, nodes: 1000 };

/// A JSON body. Members that its shape does not know are rejected.
pub(crate) struct Json<T>(pub(crate) T);

/// A JSON body that may be absent.
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        Ok(json(&parts.headers, body).await.map(Self)?)
    }
}

impl<T: DeserializeOwned + Default, S: Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let bytes = bytes(body).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        require_json(&parts.headers)?;
        Ok(Self(read(&bytes)?))
    }
}

/// Reads a JSON body.
///
/// # Errors
/// 415, 413, 400 or 422, as the contract says.
pub(crate) async fn json<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    require_json(headers)?;
    read(&bytes(body).await?)
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    json::check(bytes, BOUNDS).map_err(InvalidEvent::from)?;
    Ok(object(bytes)?)
}

async fn bytes(body: Body) -> Result<Bytes, Problem> {
    let too_large = |_| Problem::new(Kind::TooLarge, format!("the body may have {MAX_BODY_BYTES} bytes"));
    body::to_bytes(body, MAX_BODY_BYTES).await.map_err(too_large)
}

/// The value of a query parameter; an empty one means absent.
pub(crate) fn query_value(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let value = pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    value.filter(|value| !value.is_empty())
}

/// The query parameter `limit`: how much is wanted at most.
///
/// # Errors
/// 422 for anything but 1 to `most`.
pub(crate) fn query_limit(query: Option<&str>, default: usize, most: usize) -> Result<usize, Problem> {
    let limit = query_value(query, "limit").map_or(Some(default), |text| text.parse().ok());
    let limit = limit.filter(|limit| (1..=most).contains(limit));
    limit.ok_or_else(|| invalid(format!("\"limit\" must be 1 to {most}"), "/limit"))
}

/// The moment that a member or a query parameter tells.
///
/// # Errors
/// 422 for anything but RFC 3339.
pub(crate) fn moment(text: &str, pointer: &str) -> Result<Timestamp, Problem> {
    Timestamp::parse(text).ok_or_else(|| invalid("this must be a moment, as RFC 3339", pointer))
}

/// A rule of the body or query that is broken, at this member.
pub(crate) fn invalid(detail: impl Into<String>, pointer: &str) -> Problem {
    Problem::new(Kind::Invalid, detail).at(pointer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_means_absent() {
        assert_eq!(query_value(Some("type=a%2Fb&limit=5"), "type").as_deref(), Some("a/b"));
        assert_eq!(query_value(Some("type=&limit=5"), "type"), None);
        assert_eq!(query_value(None, "type"), None);
    }
}
