//! Handles the due rows of `Schedule`, every minute: sends due retries, shares the endpoints with parked deliveries out to
//! drain, sends expiry notices, and advances jobs.
//!
//! `main.rs` only connects this library to AWS. The tests run it over tables and queues in memory.

pub mod config;
mod due;
mod erasure;
mod expiring;
pub mod handler;
mod inbox_notices;
mod jobs;
mod replay;
mod sharing;
mod step;
