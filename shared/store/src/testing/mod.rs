//! The ports in memory, for tests: tables, queues, KMS, receivers of webhooks and a clock. Tests can make any call
//! fail.

pub mod clock;
pub mod faults;
pub mod memory;
pub mod queue;
pub mod table;
pub mod tables;
pub mod vault;
pub mod webhooks;
