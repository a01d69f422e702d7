//! The ports in memory, for tests: tables, queues, KMS, receivers of webhooks and a clock. Tests can make any call
//! fail.

pub mod faults;

pub mod table;

pub mod queue;

pub mod vault;

pub mod webhooks;

pub mod clock;

pub mod tables;

pub mod memory;
