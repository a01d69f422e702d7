//! The cost meter behind `cargo cost`: what AWS would bill for an event.
//!
//! ```text
//!   scenarios ──> system: the six functions over ports in memory, in simulated time
//!                    │
//!                 recorded: each invocation with its calls
//!                    │
//!                 counts ── prices ──> bill ──> report
//! ```
//!
//! Calls, units, messages and log bytes are counted from what the functions do. Milliseconds come from a model
//! ([`latency`], [`duration`]). `docs/decisions/0115-what-an-event-costs.md` has the assumptions and the present figures.

pub mod bill;
pub mod clock;
#[path = "../../../tests/it/support/configs.rs"]
mod configs;
pub mod counts;
pub mod duration;
pub mod item_kind;
pub mod latency;
pub mod log;
pub mod measured;
pub mod ports;
pub mod prices;
pub mod recorded;
pub mod report;
pub mod scenarios;
pub mod system;
pub mod template;
