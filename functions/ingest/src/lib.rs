//! Accepts events over HTTP: authenticates the request, takes a rate-limit token, validates, claims, sends to the queue
//! and answers 202.
//!
//! `main.rs` only connects this library to AWS. The tests run it over tables and queues in memory.

pub mod config;

mod claimed_event;

mod backpressure;

mod intake;

mod invocation;

pub mod handler;

mod batch;
