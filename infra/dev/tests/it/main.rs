//! Runs the commands of `cargo dev` as a user does, and the commands of the documentation as a reader does.

#![expect(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod listen;
mod readme;
mod support;
mod verbs;
