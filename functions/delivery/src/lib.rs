//! Makes the delivery attempts of the queues `deliveries` and `deliveries-slow` and of their dead-letter queue: signs, POSTs,
//! decides on the answer, records the verdict and schedules the next attempt.
//!
//! `main.rs` only connects this library to AWS. The tests run it over tables and queues in memory.

mod admission;
mod attempt;
pub mod config;
pub mod handler;
mod health;
mod health_turns;
mod last_deliveries;
mod moves;
mod parking;
mod presence;
mod slowness;
mod successes;
mod tally;
mod tiers;
