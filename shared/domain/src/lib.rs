//! The rules of the Triggers API. Nothing here is asynchronous, reads a clock, the environment or random numbers of its own, or
//! knows AWS: the crate's dependencies make it impossible.
//!
//! The modules, in the order in which each builds on those before it.

pub mod timestamp;

pub mod id;

pub mod problem;

pub mod tenant;

pub mod sealed;

pub mod event;

pub mod endpoint;

pub mod delivery;

pub mod inbox;

pub mod job;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
