//! Stories and promises, tested: the real handlers over tables in memory, and the real functions on the deployed
//! template in the local emulator.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod accepting;
mod api_crashes;
mod attacks;
mod backpressure;
mod batches;
mod bola;
mod breakers;
mod breakers_fair;
mod breakers_owner;
mod cloud_events;
mod competing;
mod contract;
mod counting_parked;
mod crashes;
mod delivering;
mod deployed;
mod duplicates;
mod endpoints;
mod erasing;
mod expiring;
mod explain;
mod fairness;
mod hostile_receivers;
mod hostile_urls;
mod identity;
mod inbox;
mod key_ends;
mod keys;
mod log;
mod openapi;
mod operators;
mod pager;
mod pipeline;
mod queue;
mod rate_limits;
mod rebinding;
mod refusing;
mod replay_jobs;
mod replay_pace;
mod replays;
mod repository;
mod resolving;
mod rotation;
mod samples;
mod stats;
mod storm;
mod support;
mod tenants;
mod traces;
mod turns;
mod unreadable;
mod values;
