//! The ports in memory, for tests: tables, queues, data keys, endpoints that answer from a script, a clock that is moved by hand. Any
//! call can be made to fail.

pub mod faults;

pub mod table;

pub mod queue;

pub mod vault;

pub mod webhooks;

pub mod clock;

pub mod tables;

pub mod memory;
