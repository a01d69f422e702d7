//! Makes the delivery attempts of the queue `deliveries` and of its dead-letter queue: signs, POSTs, decides on the answer,
//! records the verdict and schedules the next attempt.
//!
//! `main.rs` only connects this library to AWS. The tests run it over tables and queues in memory.

pub mod config;

mod tally;

mod admission;

pub mod handler;

mod attempt;

mod health;
