//! All HTTP routes except the posting of events: API keys, endpoints, inbox, log, replays, tenant settings, erasure,
//! health and metrics.
//!
//! `main.rs` connects this library to AWS. The tests run it over in-memory ports.

pub mod config;

pub mod deps;

pub mod router;

pub mod access;

mod caller;

mod body;

mod failure;

mod cursor;

mod routes;

mod leasing;

mod history;

mod counting;

mod export;
