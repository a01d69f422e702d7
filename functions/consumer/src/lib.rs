//! Stores the events of the queue `events` and of its dead-letter queue, each once, and sends a message for each endpoint.
//!
//! `main.rs` only connects this library to AWS. The tests run it over tables and queues in memory.

pub mod config;
pub mod handler;
mod lateness;
mod settings;
mod store;
mod waits;
