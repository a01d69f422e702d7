//! The local stack behind `cargo dev`: the project's own `template.yaml`, deployed into an AWS
//! emulator on this machine, with the functions of `functions/` as ordinary processes.
//!
//! ```text
//!                   REST, SQS, DynamoDB                 Lambda Runtime API
//! you, curl ──> emulator (ministack, Python) ──> cargo lambda watch ──> function processes
//!                        ▲                                                    │
//!                        └──────────────── AWS_ENDPOINT_URL ──────────────────┘
//! ```
//!
//! [`stack::Stack::start`] is the whole story in order; the tests use it as a library.
//! Whatever was started ends with the process that started it, even if that one is killed:
//! see [`guard`].

pub mod stack;

pub mod args;
pub mod background;
pub mod demo;
pub mod foreground;
pub mod latency;
mod visit;

mod workspace;

mod venv;

mod ports;

mod emulator;
mod runtime_api;

mod deploy;
mod identity;

mod functions;

mod output;

mod trace;

mod reload;

pub mod guard;
mod process;
mod session;
mod state;

mod aws;
mod client;
mod http;
mod receiver;

mod environment;
pub mod error;
