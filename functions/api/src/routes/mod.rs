//! The handlers of the routes, one module for each resource.

pub(crate) mod attempts;
pub(crate) mod audit;
pub(crate) mod console;
mod duplicates;
pub(crate) mod endpoints;
pub(crate) mod events;
pub(crate) mod explain;
mod handshake;
pub(crate) mod health;
pub(crate) mod inbox;
pub(crate) mod keys;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod operator;
pub(crate) mod privacy;
pub(crate) mod queue;
pub(crate) mod reference;
pub(crate) mod replays;
mod settings;
pub(crate) mod stats;
pub(crate) mod tenant;
mod turn;
pub(crate) mod webhook;
