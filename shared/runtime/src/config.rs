//! The environment, read once at start. No other file reads it.

use std::env;
use std::num::NonZeroU32;
use std::time::Duration;

use thiserror::Error;

use domain::endpoint::url::UrlPolicy;

/// A variable that the template should have set.
#[derive(Debug, Error)]
#[error("the environment variable {0} is not set, or is nothing that can be read")]
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

/// How long an event may wait to be stored before no more are accepted: the stack's parameter `ShedAfterSeconds`, where 0
/// is no bound.
///
/// # Errors
/// [`MissingVariable`] where it is absent or no number.
pub fn shed_after() -> Result<Option<Duration>, MissingVariable> {
    let name = "SHED_AFTER_SECONDS";
    let seconds: u64 = required(name)?.parse().map_err(|_| MissingVariable(name))?;
    Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
}

/// How many times longer than AWS an emulator on a busy machine may let a client wait: `AWS_PATIENCE`, which only `cargo dev` sets.
///
/// # Errors
/// [`MissingVariable`] where it is no number above zero.
pub fn aws_patience() -> Result<NonZeroU32, MissingVariable> {
    let name = "AWS_PATIENCE";
    optional(name).map_or(Ok(NonZeroU32::MIN), |text| text.parse().map_err(|_| MissingVariable(name)))
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
