//! The dependencies that all handlers share. They are made once per process.

use std::sync::Arc;

use axum::extract::State;
use domain::delivery::signature::SigningSecrets;
use domain::endpoint::own_hosts::OwnHosts;
use domain::endpoint::url::UrlPolicy;
use store::authentication::Authenticator;
use store::control::Control;
use store::data_keys::DataKeys;
use store::events::Events;
use store::limiter::Limiter;
use store::limits::Limits;
use store::ports::Ports;
use store::queues::DeliveriesQueue;
use store::schedule::Schedule;

use crate::access::{Admin, Environment, Signup};
use crate::config::Config;
use crate::instance_limit::InstanceLimit;
use crate::readiness::Readiness;

/// The extractor that gives a handler the shared dependencies.
pub(crate) type ApiState<P> = State<Arc<Api<P>>>;

/// The tables, queues and services that the function uses. Its IAM policy allows exactly these.
pub struct Api<P: Ports> {
    pub(crate) authenticator: Authenticator<P::Table>,
    pub(crate) limiter: Limiter<P::Table>,
    pub(crate) control: Control<P::Table>,
    pub(crate) events: Events<P>,
    pub(crate) limits: Limits<P::Table>,
    pub(crate) schedule: Schedule<P::Table>,
    pub(crate) deliveries: DeliveriesQueue<P::Queue>,
    pub(crate) queues: Queues<P::Queue>,
    pub(crate) readiness: Readiness,
    /// Reads of receipts whose id has a tag.
    pub(crate) tagged_receipts: InstanceLimit,
    /// Reads of receipts whose id has no tag, so that it can be invented.
    pub(crate) untagged_receipts: InstanceLimit,
    pub(crate) keys: DataKeys<P>,
    pub(crate) webhooks: P::Webhooks,
    pub(crate) signing: SigningSecrets,
    pub(crate) clock: P::Clock,
    pub(crate) admin: Admin,
    pub(crate) signup: Signup,
    pub(crate) environment: Environment,
    pub(crate) url_policy: UrlPolicy,
    pub(crate) own_hosts: OwnHosts,
    /// The URL of the API, if it is not that of the request.
    pub(crate) public_url: Option<String>,
    /// The number of leases after which an event is quarantined.
    pub(crate) max_leases: u32,
}

/// The queues whose depth the metrics report.
pub(crate) struct Queues<Q> {
    pub(crate) events: Q,
    pub(crate) events_dead_letters: Q,
    pub(crate) deliveries: Q,
    pub(crate) deliveries_dead_letters: Q,
}

impl<P: Ports> Api<P> {
    /// Makes the dependencies over these ports.
    pub fn new(ports: &P, config: Config) -> Self {
        let control_table = ports.table(&config.control_table);
        let keys = DataKeys::new(control_table.clone(), ports.vault(&config.data_kms_key), ports.clock());
        let control = Control::new(control_table);
        let limits = Limits::new(ports.table(&config.limits_table));
        Self {
            authenticator: Authenticator::new(control.clone(), config.peppers),
            limiter: Limiter::new(limits.clone()),
            control,
            events: Events::new(ports.table(&config.events_table), keys.clone()),
            limits,
            schedule: Schedule::new(ports.table(&config.schedule_table)),
            deliveries: DeliveriesQueue::new(ports.queue(&config.deliveries_queue)),
            queues: Queues {
                events: ports.queue(&config.events_queue),
                events_dead_letters: ports.queue(&config.events_dead_letters),
                deliveries: ports.queue(&config.deliveries_queue),
                deliveries_dead_letters: ports.queue(&config.deliveries_dead_letters),
            },
            readiness: Readiness::default(),
            tagged_receipts: InstanceLimit::new(10),
            untagged_receipts: InstanceLimit::new(1),
            keys,
            webhooks: ports.webhooks(),
            signing: SigningSecrets::new(config.signing_secrets),
            clock: ports.clock(),
            admin: Admin::new(&config.admin_token),
            signup: config.signup,
            environment: config.environment,
            url_policy: config.url_policy,
            own_hosts: config.own_hosts,
            public_url: config.public_url,
            max_leases: config.max_leases,
        }
    }
}
