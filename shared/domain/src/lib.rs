//! The rules of the Triggers API. The code here is not asynchronous and does not use AWS. It does not read a clock or
//! the environment, and its callers pass in the random number generator. The dependencies of the crate allow nothing
//! else.
//!
//! The modules are declared in reading order.

pub mod delivery;
mod digest;
pub mod endpoint;
pub mod event;
pub mod id;
pub mod inbox;
pub mod job;
pub mod plain_text;
pub mod problem;
pub mod root_key;
pub mod sealed;
pub mod tenant;
pub mod timestamp;
pub mod trace;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
