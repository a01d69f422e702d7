//! The webhook client: one POST over its own connection, to a checked address.

mod bounded;
pub mod client;
pub mod connection;
mod exchange;
mod http_request;
mod odd_head;
mod recorded;
mod resolver;
mod tls;
