//! Stores events: from the queue `events` and its dead letters, each once, with a message for each endpoint.
//!
//! `main.rs` only wires this library to AWS; the tests run it over tables in memory.

pub mod config;

mod expirations;

pub mod handler;

mod store;
