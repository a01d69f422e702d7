//! Delivers events: from the queue `deliveries` and its dead letters: sign, POST, judge, record, schedule.
//!
//! `main.rs` only wires this library to AWS; the tests run it over tables in memory.

pub mod config;

mod attempt;

mod admission;

pub mod handler;

mod health;

mod tally;
