//! The stories of the deployed template in the local emulator: what only the template, the roles, the queues and the
//! processes can show. `cargo test -p tests --test it -- --list | grep -c '^deployed::'` counts them.
//!
//! The shared stack is visible here alone, so that no story outside of this folder can need it.

pub(crate) mod support;

mod alarms;
mod ambiguous;
mod audit;
mod aws_ports;
mod blackouts;
mod burst;
mod contract;
mod crowds;
mod emulator;
mod erasing;
mod expiring;
mod gateway;
mod hanging;
mod health;
mod identity;
mod key_ends;
mod killing;
mod lanes;
mod lost_answers;
mod neighbours;
mod notices;
mod operators;
mod outages;
mod permissions;
mod read_units;
mod replays;
mod rollout;
mod rotation;
mod round_trips;
mod rules;
mod samples;
mod shedding;
mod smoke;
mod table;
mod tenants;
