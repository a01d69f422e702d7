//! What needs Node.js, a browser or other languages. These tests have a process of their own, which `cargo test` runs when no
//! other test runs: a browser that shares two processors with hundreds of stories waits for minutes.

mod api;
mod book;
mod clients;
mod cloud_events;
mod console;
mod node;
mod pages;
mod pulling;
mod receivers;
mod scripted;
mod senders;
mod source;
mod stack;
mod tools;
mod zapier;
