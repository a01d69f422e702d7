//! The storage of the Triggers API: the ports to AWS, and the stores over them.
//!
//! A port is one small trait for one external service. [`ports::Ports`] names the implementation of each port. A store
//! is a concrete struct over [`table::Table`], and there is one store for each table. A store decides what is written
//! and on which condition, and handles conflicts. The same store runs over `DynamoDB` and over memory.

pub mod unavailable;

pub mod ports;

pub mod item;

pub mod table;

pub mod queue;

pub mod vault;

pub mod webhook_sender;

pub mod clock;

pub mod items;

pub mod races;

pub mod cache;

pub mod keys;

pub mod control;

pub mod data_keys;

pub mod limits;

pub mod claims;

mod claim_item;

pub mod events;

mod compression;

pub mod schedule;

pub mod queues;

pub mod envelope;

pub mod authentication;

pub mod limiter;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
