//! Moves due rows of `Schedule` along, every minute: retries whose time has come, what is parked before endpoints,
//! events that will expire, of which their owners are told, and jobs.
//!
//! `main.rs` only wires this library to AWS; the tests run it over tables in memory.

pub mod config;

mod drain;

mod due;

mod erasure;

mod expiring;

pub mod handler;

mod jobs;

mod replay;
