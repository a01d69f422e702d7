//! The storage of the Triggers API: the ports to AWS, and the stores over them.
//!
//! A port is one small trait for one external service. [`ports::Ports`] names the implementation of each port. A store
//! is a concrete struct over [`table::Table`], and there is one store for each table. A store decides what is written
//! and on which condition, and handles conflicts. The same store runs over `DynamoDB` and over memory.

#![allow(clippy::missing_errors_doc, reason = "`PortResult` says it once for all methods of the stores")]

pub mod authentication;
pub mod cache;
mod claim_item;
pub mod claims;
pub mod clock;
mod compression;
pub mod control;
mod counted_vault;
pub mod data_keys;
pub mod envelope;
pub mod events;
pub mod expirations;
pub mod filling;
pub mod item;
pub mod items;
pub mod keys;
pub mod limiter;
pub mod limits;
pub mod notices;
pub mod ports;
pub mod queue;
pub mod queues;
pub mod races;
pub mod reads;
mod root_keys;
pub mod schedule;
mod single_flight;
pub mod table;
pub mod unavailable;
pub mod vault;
pub mod webhook_sender;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
