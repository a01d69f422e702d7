//! The edges that functions share: how they are configured, what they log and count, how HTTP and SQS reach them.

pub mod config;

pub mod telemetry;

pub mod metrics;

pub mod request;

pub mod answer;

pub mod batch;
