//! What the functions share at their edges: configuration, logs, metrics, HTTP requests and answers, and SQS batches.

pub mod answer;
pub mod batch;
pub mod config;
pub mod encoding;
pub mod gateway;
pub mod heartbeat;
pub mod metrics;
pub mod request;
pub mod suspects;
pub mod telemetry;
