//! Accepts events over HTTP: authenticate, limit, validate, claim, enqueue, 202.
//!
//! `main.rs` only wires this library to AWS; the tests run it over tables in memory.

pub mod config;

mod backpressure;

mod batch;

mod intake;

mod invocation;

pub mod handler;
