//! What is kept, and how: the ports to the outside world, and the stores over them.
//!
//! A port is one small trait for one AWS service or one other outside thing; [`ports::Ports`] names the side of each. A store is a
//! concrete struct over [`table::Table`], one for each table: what is written, when it is refused, and what a lost race means is
//! decided there, once, for AWS and for memory.

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
