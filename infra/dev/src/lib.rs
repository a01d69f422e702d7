//! The local stack behind `cargo dev`. It deploys the project's `template.yaml` into an AWS emulator
//! on this machine, and runs the functions of `functions/` as ordinary processes.
//!
//! ```text
//!                   REST, SQS, DynamoDB                 Lambda Runtime API
//! you, curl ──> emulator (ministack, Python) ──> cargo lambda watch ──> function processes
//!                        ▲                                                    │
//!                        └──────────────── AWS_ENDPOINT_URL ──────────────────┘
//! ```
//!
//! [`stack::Stack::start`] runs all steps in order. The tests use it as a library.
//! When the owning process ends, even by SIGKILL, the processes that it started end too: see
//! [`guard`].

pub mod stack;

pub mod args;
pub mod background;
pub mod demo;
pub mod foreground;
pub mod latency;

mod attach;

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
