//! The webhook client: one POST over its own connection, to a checked address.

pub mod client;

pub mod connection;

mod resolver;

mod tls;

mod exchange;

mod bounded;
