//! The environment, read once at start. No other file reads it.

use std::env;

use thiserror::Error;

use crate::endpoint::UrlPolicy;

/// A variable that the template should have set.
#[derive(Debug, Error)]
#[error("the environment variable {0} is not set")]
pub struct MissingVariable(pub &'static str);

/// The value of a variable.
///
/// # Errors
/// [`MissingVariable`] where it is absent or empty.
pub fn required(name: &'static str) -> Result<String, MissingVariable> {
    optional(name).ok_or(MissingVariable(name))
}

/// Whether a variable has this value.
#[must_use]
pub fn is(name: &'static str, value: &str) -> bool {
    optional(name).is_some_and(|text| text == value)
}

/// Which URLs may be endpoints: the stack's parameter `LoopbackEndpoints`.
#[must_use]
pub fn url_policy() -> UrlPolicy {
    if is("LOOPBACK_ENDPOINTS", "allowed") { UrlPolicy::LoopbackAllowed } else { UrlPolicy::Strict }
}

#[expect(clippy::disallowed_methods, reason = "this is the one reader of the environment")]
fn optional(name: &'static str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
