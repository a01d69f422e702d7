//! The webhook client: one POST over one connection of its own, to an address that was checked.

pub mod client;

pub mod connection;

mod resolver;

mod tls;

mod exchange;

mod bounded;
