//! Accepts events over HTTP: authenticates the request, takes a rate-limit token, validates, claims, sends to the queue
//! and answers 202.
//!
//! `main.rs` only connects this library to AWS. The tests run it over tables and queues in memory.

mod backpressure;
mod batch;
mod claimed_event;
mod claiming;
pub mod config;
pub mod handler;
mod intake;
mod invocation;
