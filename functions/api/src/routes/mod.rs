//! The handlers of the routes, one module for each resource.

pub(crate) mod keys;

pub(crate) mod endpoints;

mod settings;

pub(crate) mod tenant;

pub(crate) mod attempts;

pub(crate) mod explain;

pub(crate) mod webhook;

pub(crate) mod inbox;

pub(crate) mod queue;

pub(crate) mod events;

pub(crate) mod replays;

pub(crate) mod privacy;

pub(crate) mod stats;

pub(crate) mod health;

pub(crate) mod metrics;

pub(crate) mod openapi;
