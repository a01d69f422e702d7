//! Everything over HTTP but the posting of events: keys, endpoints, inbox, log, replays, a tenant's settings and its erasure, health and
//! metrics.
//!
//! `main.rs` only wires this library to AWS; the tests run it over ports in memory.

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
