//! What needs Node.js or a browser. These tests have a process of their own, which `cargo test` runs when no other test
//! runs: a browser that shares two processors with hundreds of stories waits for minutes.

mod clients;
mod console;
mod node;
mod stack;
