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

pub mod args;
mod attach;
mod aws;
pub mod background;
mod client;
pub mod demo;
mod deploy;
mod emulator;
mod environment;
pub mod error;
pub mod foreground;
mod functions;
pub mod guard;
mod health;
mod http;
mod identity;
mod kept;
pub mod latency;
pub mod listen;
pub mod load;
pub mod options;
pub mod output;
mod ports;
mod process;
mod receiver;
mod reload;
mod runtime_api;
mod session;
pub mod stack;
mod state;
mod trace;
mod venv;
mod workspace;
