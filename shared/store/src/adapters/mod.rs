//! The ports for real: the only place that names AWS or an HTTP client. One file per table, named like it.

pub mod aws;

pub mod control;

pub mod limits;

pub mod claims;

pub mod events;

pub mod schedule;

pub mod vault;

pub mod queues;

pub mod system_clock;

mod batch_delete;

mod cancellation;

mod claim_item;

mod compression;

mod item;

mod conditional_put;
