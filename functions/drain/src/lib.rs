//! Sends parked deliveries: once a minute those of each endpoint that takes deliveries again, at its rate, and a probe to one
//! whose circuit breaker is open.
//!
//! `main.rs` only connects this library to AWS. The tests run it over tables and queues in memory.

pub mod config;
mod counts;
mod drain;
pub mod handler;
mod probe;
