//! Stories and promises, tested: the real handlers over tables in memory, and the real functions on the deployed
//! template in the local emulator.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pipeline;
mod support;

mod accepting;
mod ambiguous;
mod attacks;
mod aws_ports;
mod backpressure;
mod batches;
mod blackouts;
mod bola;
mod breakers;
mod burst;
mod cloud_events;
mod competing;
mod contract;
mod counting_parked;
mod crashes;
mod crowds;
mod delivering;
mod duplicates;
mod emulator;
mod endpoints;
mod erasing;
mod erasing_deployed;
mod expiring;
mod explain;
mod fairness;
mod health;
mod hostile_receivers;
mod hostile_urls;
mod identity;
mod inbox;
mod key_ends;
mod keys;
mod killing;
mod log;
mod openapi;
mod operators;
mod outages;
mod pager;
mod permissions;
mod queue;
mod rate_limits;
mod read_units;
mod rebinding;
mod refusing;
mod replay_pace;
mod replays;
mod replays_deployed;
mod repository;
mod resolving;
mod rotation;
mod round_trips;
mod samples;
mod stats;
mod storm;
mod table;
mod tenants;
mod traces;
mod turns;
mod unreadable;
mod values;
