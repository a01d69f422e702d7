//! The rules of the Triggers API, its ports and their AWS adapters.
//!
//! An event travels like this: `ingest` [authenticates](authentication) the caller, takes a
//! [token](rate_limit), checks the [event] and its [json], [claims](claim) its name and puts it into the queue `events`;
//! `consumer` stores its [head](inbox) once and sends one [message](delivery) for each [endpoint];
//! `delivery` [signs](signature) and posts it, [judges](verdict) the answer, and [schedules](retry_schedule)
//! the next attempt; what no endpoint took waits in the [inbox] until it is acknowledged, with or without a
//! [lease](inbox::lease). A [job] sends events once more, or erases a tenant; [expiry] tells of what nobody took.
//!
//! The modules, in reading order. Up to [`metrics`] they are pure: no clock, no environment, no randomness of
//! their own, nothing asynchronous; a test reads their `use` lines and holds them to it. Then come the
//! [boundaries](ports), what stands on them, and [`adapters`], the one place that names AWS or an HTTP client.

pub mod timestamp;

mod id;

pub mod tenant;

pub mod api_key;

pub mod rate_limit;

pub mod json;

pub mod event;

pub mod claim;

pub mod cloud_event;

pub mod keys;

pub mod sealed;

pub mod endpoint;

pub mod address;

pub mod breaker;

pub mod pace;

pub mod delivery;

pub mod schedule;

pub mod signature;

pub mod retry_schedule;

pub mod verdict;

pub mod attempt;

pub mod inbox;

pub mod job;

pub mod notice;

pub mod expiry;

pub mod problem;

pub mod backlog;

pub mod stats;

pub mod metrics;

pub mod ports;

pub mod authentication;

pub mod limiter;

pub mod webhook;

pub mod answer;

pub mod request;

pub mod batch;

pub mod config;

pub mod telemetry;

pub mod adapters;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
