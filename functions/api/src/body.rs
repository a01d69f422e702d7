//! Reads the JSON body of a request. Unknown members are refused.

use std::fmt::Display;
use std::ops::RangeInclusive;

use axum::body::{self, Body, Bytes};
use axum::extract::{FromRequest, Request};
use domain::event::json::rule::Bounds;
use domain::event::{InvalidEvent, json, object};
use domain::plain_text::first_forbidden;
use domain::problem::{Kind, Problem, Source};
use domain::timestamp::Timestamp;
use http::HeaderMap;
use runtime::encoding;
use runtime::request::require_json;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::failure::Failure;

/// The largest size of a body, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// The largest depth of a body, and its largest number of JSON values.
const BOUNDS: Bounds = Bounds { depth: 8, nodes: 1000 };

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

/// A JSON body that may be empty. An empty body gives the default.
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
        Ok(Self(read(&parts.headers, &bytes)?))
    }
}

/// Reads a JSON body.
///
/// # Errors
/// 415 for another content type, 413 for a body that is too large, 400 for invalid JSON, and 422 for members that are
/// not valid.
pub(crate) async fn json<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    require_json(headers)?;
    read(headers, &bytes(body).await?)
}

fn read<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Problem> {
    let decoded = encoding::decode(headers, bytes, MAX_BODY_BYTES)?;
    let text = json::without_mark(&decoded);
    json::check(text, BOUNDS).map_err(InvalidEvent::from)?;
    Ok(object(text)?)
}

async fn bytes(body: Body) -> Result<Bytes, Problem> {
    let detail = || format!("the body is larger than {MAX_BODY_BYTES} bytes; send a smaller body");
    body::to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| Problem::new(Kind::TooLarge, detail()))
}

/// A member of a `PATCH`, which is a merge patch (RFC 7396).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Patch<T> {
    /// The member is absent: the value stays as it is.
    #[default]
    Absent,
    /// The member is `null`: the value becomes its default.
    Reset,
    /// The member has this new value.
    Set(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Reset, Self::Set))
    }
}

impl<T> Patch<T> {
    /// Returns whether the request has the member, also as `null`.
    pub(crate) const fn is_present(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    /// Returns the new value, if it is one.
    pub(crate) const fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Absent | Self::Reset => None,
        }
    }

    /// Returns the new value of a member that has no default.
    ///
    /// # Errors
    /// 422 for `null`.
    pub(crate) fn required(&self, pointer: &str) -> Result<Option<&T>, Problem> {
        match self {
            Self::Reset => Err(invalid(member(pointer), "has no default; send a value, or leave it out")),
            other => Ok(other.value()),
        }
    }
}

/// Reads an RFC 3339 time.
///
/// # Errors
/// 422 for any other text.
pub(crate) fn time(text: &str, source: Source) -> Result<Timestamp, Problem> {
    Timestamp::parse(text).ok_or_else(|| {
        let is_plus_lost = matches!(source, Source::Parameter(_)) && text.contains(' ');
        let correction = if is_plus_lost { "write `+` as `%2B` in a query" } else { "correct it" };
        invalid(source, format!("must be an RFC 3339 time, for example 2026-11-28T17:00:00Z; {correction}"))
    })
}

/// Checks that a number of the body is within its limits.
///
/// # Errors
/// 422 for a number outside of the limits.
pub(crate) fn check_range<N: Copy + Display + PartialOrd>(
    number: N,
    allowed: RangeInclusive<N>,
    pointer: &str,
) -> Result<(), Problem> {
    if allowed.contains(&number) {
        return Ok(());
    }
    let (min, max) = allowed.into_inner();
    Err(invalid(member(pointer), format!("must be a whole number from {min} to {max}; correct it")))
}

/// Checks that a text of the body has no character that a reader does not see.
///
/// # Errors
/// 422 that names the first such character.
pub(crate) fn check_plain(text: &str, pointer: &str) -> Result<(), Problem> {
    let Some(found) = first_forbidden(text) else { return Ok(()) };
    let rule = format!(
        "must have no control character, no line break and no character that hides or turns text; remove U+{:04X}",
        u32::from(found)
    );
    Err(invalid(member(pointer), rule))
}

/// Returns the source of a problem with a member of the body, given by its JSON pointer (RFC 6901).
pub(crate) fn member(pointer: impl Into<String>) -> Source {
    Source::Pointer(pointer.into())
}

/// Returns the source of a problem with a query parameter.
pub(crate) fn parameter(name: &str) -> Source {
    Source::Parameter(name.to_owned())
}

/// Makes the problem of a member or a query parameter that breaks this rule. The detail begins with its name.
pub(crate) fn invalid(source: Source, rule: impl Display) -> Problem {
    let (Source::Pointer(name) | Source::Parameter(name)) = &source;
    let detail = format!("`{}` {rule}", json::pointer::shortened(name));
    Problem { source: Some(source), ..Problem::new(Kind::Invalid, detail) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_names_the_member() {
        let seconds = check_range(0, 1..=3600, "/lease_seconds").unwrap_err();
        let detail = "`/lease_seconds` must be a whole number from 1 to 3600; correct it";
        assert_eq!(seconds.to_json("r")["errors"], json!([{"pointer": "/lease_seconds", "detail": detail}]));
    }
}
