//! The environment, read once when a function starts. No other file reads it.

use std::env;
use std::str::FromStr;

use domain::endpoint::url::UrlPolicy;
use domain::tenant::api_key::Peppers;
use thiserror::Error;

/// An environment variable that is absent or wrong.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the environment variable {0} is not set, or its value cannot be read")]
pub struct InvalidVariable(pub &'static str);

/// Returns the value of a variable.
///
/// # Errors
/// Where it is absent or empty.
pub fn required(name: &'static str) -> Result<String, InvalidVariable> {
    optional(name).ok_or(InvalidVariable(name))
}

/// Returns the value of a variable, read as `T`.
///
/// # Errors
/// Where it is absent, or cannot be read.
pub fn parsed<T: FromStr>(name: &'static str) -> Result<T, InvalidVariable> {
    required(name)?.parse().map_err(|_| InvalidVariable(name))
}

/// Returns the versions of a secret: `2:NEW,1:OLD`, or one version alone.
///
/// # Errors
/// Where the variable is absent, or has another form.
pub fn peppers(name: &'static str) -> Result<Peppers, InvalidVariable> {
    Peppers::parse(&required(name)?).map_err(|_| InvalidVariable(name))
}

/// Returns whether a variable has this value.
#[must_use]
pub fn is(name: &'static str, value: &str) -> bool {
    optional(name).is_some_and(|text| text == value)
}

/// Returns how many times as long as for AWS a client waits: 1, unless `AWS_PATIENCE` says otherwise, as for an emulator.
///
/// # Errors
/// Where the variable is no number.
pub fn aws_patience() -> Result<u32, InvalidVariable> {
    let name = "AWS_PATIENCE";
    let factor = optional(name).map_or(Ok(1), |text| text.parse().map_err(|_| InvalidVariable(name)))?;
    if factor == 0 { Err(InvalidVariable(name)) } else { Ok(factor) }
}

/// Returns which URLs may be endpoints. Only the local stack allows loopback addresses.
#[must_use]
pub fn url_policy() -> UrlPolicy {
    if is("LOOPBACK_ENDPOINTS", "allowed") { UrlPolicy::LoopbackAllowed } else { UrlPolicy::Strict }
}

#[expect(clippy::disallowed_methods, reason = "this is the one reader of the environment")]
fn optional(name: &'static str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
