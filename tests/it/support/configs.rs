//! The configurations of the functions over ports in memory.

use std::time::Duration;

use api::access::{Environment, Signup};
use domain::endpoint::own_hosts::OwnHosts;
use domain::endpoint::url::UrlPolicy;
use domain::tenant::api_key::Pepper;
use domain::tenant::capacity::Capacity;
use store::testing::memory::{
    CLAIMS, CONTROL, DELIVERIES_DLQ, DELIVERIES_QUEUE, DRAINS_QUEUE, EVENTS, EVENTS_DLQ, EVENTS_QUEUE,
    LIMITS, SCHEDULE, SLOW_DELIVERIES_QUEUE,
};

/// The admin token of every stack in memory.
pub(crate) const ADMIN_TOKEN: &str = "admin token";

/// A host of every stack in memory.
pub(crate) const OWN_HOST: &str = "api.triggers.example.com";

/// The dead-letter queue of every function.
pub(crate) const DEAD_LETTERS: &str = "arn:aws:sqs:us-east-1:000000000000:dead-letters";

fn own_hosts() -> OwnHosts {
    OwnHosts::parse(OWN_HOST).expect("a host")
}

pub(crate) fn ingest() -> ingest::config::Config {
    ingest::config::Config {
        control_table: CONTROL.to_owned(),
        limits_table: LIMITS.to_owned(),
        claims_table: CLAIMS.to_owned(),
        events_queue: EVENTS_QUEUE.to_owned(),
        peppers: Pepper::new("pepper").into(),
        shed_after: Some(Duration::from_secs(600)),
    }
}

pub(crate) fn consumer() -> consumer::config::Config {
    consumer::config::Config {
        control_table: CONTROL.to_owned(),
        events_table: EVENTS.to_owned(),
        limits_table: LIMITS.to_owned(),
        schedule_table: SCHEDULE.to_owned(),
        events_queue: EVENTS_QUEUE.to_owned(),
        deliveries_queue: DELIVERIES_QUEUE.to_owned(),
        slow_deliveries_queue: SLOW_DELIVERIES_QUEUE.to_owned(),
        dead_letters_arn: DEAD_LETTERS.to_owned(),
        data_kms_key: "key".to_owned(),
        shed_after: Some(Duration::from_secs(600)),
    }
}

pub(crate) fn delivery() -> delivery::config::Config {
    delivery::config::Config {
        control_table: CONTROL.to_owned(),
        events_table: EVENTS.to_owned(),
        limits_table: LIMITS.to_owned(),
        schedule_table: SCHEDULE.to_owned(),
        deliveries_queue: DELIVERIES_QUEUE.to_owned(),
        slow_deliveries_queue: SLOW_DELIVERIES_QUEUE.to_owned(),
        slow_deliveries_arn: SLOW_DELIVERIES_QUEUE.to_owned(),
        dead_letters_arns: vec![DEAD_LETTERS.to_owned()],
        data_kms_key: "key".to_owned(),
        signing_secrets: Pepper::new("signing").into(),
        url_policy: UrlPolicy::Strict,
        capacity: Capacity::of(100),
        own_hosts: own_hosts(),
    }
}

pub(crate) fn drain() -> drain::config::Config {
    drain::config::Config {
        control_table: CONTROL.to_owned(),
        events_table: EVENTS.to_owned(),
        schedule_table: SCHEDULE.to_owned(),
        deliveries_queue: DELIVERIES_QUEUE.to_owned(),
        slow_deliveries_queue: SLOW_DELIVERIES_QUEUE.to_owned(),
        data_kms_key: "key".to_owned(),
    }
}

pub(crate) fn scheduler() -> scheduler::config::Config {
    scheduler::config::Config {
        control_table: CONTROL.to_owned(),
        events_table: EVENTS.to_owned(),
        limits_table: LIMITS.to_owned(),
        schedule_table: SCHEDULE.to_owned(),
        deliveries_queue: DELIVERIES_QUEUE.to_owned(),
        slow_deliveries_queue: SLOW_DELIVERIES_QUEUE.to_owned(),
        drains_queue: DRAINS_QUEUE.to_owned(),
        data_kms_key: "key".to_owned(),
        erasure_pause: Duration::from_mins(3),
    }
}

pub(crate) fn api() -> api::config::Config {
    api::config::Config {
        control_table: CONTROL.to_owned(),
        events_table: EVENTS.to_owned(),
        limits_table: LIMITS.to_owned(),
        schedule_table: SCHEDULE.to_owned(),
        events_queue: EVENTS_QUEUE.to_owned(),
        events_dead_letters: EVENTS_DLQ.to_owned(),
        deliveries_queue: DELIVERIES_QUEUE.to_owned(),
        slow_deliveries_queue: SLOW_DELIVERIES_QUEUE.to_owned(),
        deliveries_dead_letters: DELIVERIES_DLQ.to_owned(),
        data_kms_key: "key".to_owned(),
        peppers: Pepper::new("pepper").into(),
        signing_secrets: Pepper::new("signing").into(),
        admin_token: ADMIN_TOKEN.to_owned(),
        signup: Signup::Admin,
        environment: Environment::Aws,
        url_policy: UrlPolicy::Strict,
        own_hosts: own_hosts(),
        public_url: None,
        max_leases: 10,
    }
}
