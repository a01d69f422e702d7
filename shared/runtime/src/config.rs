//! Reads environment variables, once, when a function starts. No other file reads them.

use std::env;
use std::str::FromStr;

use domain::endpoint::own_hosts::OwnHosts;
use domain::endpoint::url::UrlPolicy;
use domain::tenant::api_key::Peppers;
use thiserror::Error;

/// An environment variable that is missing or not valid.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the environment variable {0} is missing or not valid; set it as template.yaml does")]
pub struct InvalidVariable(pub &'static str);

/// Returns the value of a variable.
///
/// # Errors
/// [`InvalidVariable`] if the variable is missing or empty.
pub fn required(name: &'static str) -> Result<String, InvalidVariable> {
    optional(name).ok_or(InvalidVariable(name))
}

/// Returns the value of a variable, parsed as `T`.
///
/// # Errors
/// [`InvalidVariable`] if the variable is missing or not a `T`.
pub fn parsed<T: FromStr>(name: &'static str) -> Result<T, InvalidVariable> {
    required(name)?.parse().map_err(|_| InvalidVariable(name))
}

/// Returns the values of variables, each with its name.
///
/// # Errors
/// [`InvalidVariable`] if one is missing or empty.
pub fn named(names: &[&'static str]) -> Result<Vec<(&'static str, String)>, InvalidVariable> {
    names.iter().map(|name| Ok((*name, required(name)?))).collect()
}

/// The values of secrets, by the variables that name the secrets.
pub struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    /// Returns the secrets with these values.
    #[must_use]
    pub const fn new(values: Vec<(&'static str, String)>) -> Self {
        Self(values)
    }

    /// Returns the value of a secret.
    ///
    /// # Errors
    /// [`InvalidVariable`] if it is missing or empty.
    pub fn text(&self, name: &'static str) -> Result<String, InvalidVariable> {
        let found = self.0.iter().find(|(own, value)| *own == name && !value.is_empty());
        found.map(|(_, value)| value.clone()).ok_or(InvalidVariable(name))
    }

    /// Returns the versions of a secret. It has the form `2:NEW,1:OLD`, or is one version only. The first one is used for what is
    /// made now, and all are accepted.
    ///
    /// # Errors
    /// [`InvalidVariable`] if it is missing or has another form.
    pub fn versions(&self, name: &'static str) -> Result<Peppers, InvalidVariable> {
        Peppers::parse(&self.text(name)?).map_err(|_| InvalidVariable(name))
    }
}

/// Returns whether a variable has this value.
#[must_use]
pub fn is(name: &'static str, value: &str) -> bool {
    optional(name).is_some_and(|text| text == value)
}

/// Returns the factor by which the timeouts of AWS clients are multiplied: `AWS_PATIENCE`, or 1. A slow emulator needs
/// more than 1.
///
/// # Errors
/// [`InvalidVariable`] if the variable is 0 or not a number.
pub fn aws_patience() -> Result<u32, InvalidVariable> {
    let name = "AWS_PATIENCE";
    let Some(text) = optional(name) else { return Ok(1) };
    match text.parse() {
        Ok(0) | Err(_) => Err(InvalidVariable(name)),
        Ok(factor) => Ok(factor),
    }
}

/// Returns the name of this function, for example `triggers-prod-ingest`. Lambda always sets it, and its runtime does not
/// start without it.
#[must_use]
pub fn function_name() -> String {
    optional("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default()
}

/// Returns which URLs endpoints may have. Only the local stack allows loopback addresses.
#[must_use]
pub fn url_policy() -> UrlPolicy {
    if is("LOOPBACK_ENDPOINTS", "allowed") { UrlPolicy::LoopbackAllowed } else { UrlPolicy::Strict }
}

/// Returns the hosts of this API: `OWN_HOSTS`, or none.
///
/// # Errors
/// [`InvalidVariable`] if the variable is no list of hosts.
pub fn own_hosts() -> Result<OwnHosts, InvalidVariable> {
    let name = "OWN_HOSTS";
    OwnHosts::parse(&optional(name).unwrap_or_default()).ok_or(InvalidVariable(name))
}

/// Returns the value of a variable; `None` if it is missing or empty.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of the environment")]
fn optional(name: &'static str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
