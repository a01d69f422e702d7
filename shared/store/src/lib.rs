//! What is kept, and how.

pub mod keys;

pub mod ports;

pub mod authentication;

pub mod limiter;

pub mod adapters;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
