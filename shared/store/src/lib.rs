//! What is kept, and how.

pub mod unavailable;

pub mod item;

pub mod table;

pub mod queue;

pub mod vault;

pub mod clock;

pub mod items;

pub mod races;

pub mod cache;

pub mod keys;

pub mod ports;

pub mod authentication;

pub mod limiter;

pub mod adapters;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
