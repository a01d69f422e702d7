//! Moves due rows of `Schedule` along, every minute: retries whose time has come, and what is parked before endpoints.
//!
//! `main.rs` only wires this library to AWS; the tests run it over tables in memory.

mod drain;

mod due;

pub mod handler;
