//! All HTTP routes except the posting of events: API keys, endpoints, inbox, log, replays, tenant settings, erasure,
//! health and metrics.
//!
//! `main.rs` connects this library to AWS. The tests run it over in-memory ports.

pub mod access;
mod audit;
mod body;
mod caller;
pub mod changes;
pub mod config;
mod counting;
mod cursor;
pub mod deps;
mod document;
mod export;
mod failure;
mod history;
mod instance_limit;
mod leasing;
mod page;
mod query;
mod readiness;
mod receipt_id;
mod route;
pub mod router;
mod routes;
