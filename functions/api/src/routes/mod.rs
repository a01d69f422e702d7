//! The handlers, by what they are about.

pub(crate) mod keys;

pub(crate) mod endpoints;

mod settings;

pub(crate) mod attempts;

pub(crate) mod webhook;

pub(crate) mod inbox;

pub(crate) mod health;

pub(crate) mod metrics;

pub(crate) mod openapi;
