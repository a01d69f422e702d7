//! The error of the ports: an external service failed, or did not answer in time.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use domain::problem::{Kind, Problem};

use crate::item::Unreadable;

/// An external service failed, or did not answer in time. The operation may have had its effect.
#[derive(Clone, Debug)]
pub struct Unavailable {
    operation: &'static str,
    source: Arc<dyn Error + Send + Sync>,
}

/// The result of a call of a port, or of a method of a store, which fails with [`Unavailable`] if one of its calls fails.
/// A section "Errors" of a method names only what else it can fail with, or what a failed call leaves behind.
pub type PortResult<T> = Result<T, Unavailable>;

impl Unavailable {
    /// Returns the failure of `operation`. The source is for the log.
    pub fn new(operation: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { operation, source: Arc::from(source.into()) }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.operation)?;
        let mut cause: Option<&dyn Error> = Some(self.source.as_ref());
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl Error for Unavailable {}

impl From<Unreadable> for Unavailable {
    fn from(error: Unreadable) -> Self {
        Self::new("reading an item", error)
    }
}

impl From<Unavailable> for Problem {
    /// Keeps the cause for the log. It is not sent to the client.
    fn from(error: Unavailable) -> Self {
        Self::new(Kind::Unavailable, "A service that this API needs did not answer. Send the request again.")
            .with_cause(error.to_string())
    }
}
