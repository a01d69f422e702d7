//! Raw events of Lambda, sent to the six functions over ports in memory, as `main.rs` of each does it. The stories and the
//! targets of `fuzz/` use it: nothing that a client, a queue or a schedule sends may end the process.

pub(crate) mod gateway;
pub(crate) mod queues;
pub(crate) mod schedule;
mod world;
