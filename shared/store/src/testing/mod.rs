//! Doubles of the ports for tests: tables and queues in memory, a clock that is moved by hand, receivers that
//! answer from a script. One contract test (`tests/it/contract.rs`) runs against these tables and the real ones.

pub mod faults;

pub mod table;

pub mod clock;

pub mod control;

pub mod limits;

pub mod claims;

pub mod events;

pub mod schedule;

pub mod vault;

pub mod queues;

pub mod webhooks;
