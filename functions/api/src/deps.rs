//! The dependencies that all handlers share. They are made once per process.

use std::sync::Arc;

use axum::extract::State;
use domain::delivery::lane::Lane;
use domain::delivery::signature::SigningSecrets;
use domain::endpoint::own_hosts::OwnHosts;
use domain::endpoint::url::UrlPolicy;
use store::authentication::Authenticator;
use store::control::Control;
use store::data_keys::DataKeys;
use store::events::Events;
use store::limiter::Limiter;
use store::limits::Limits;
use store::limits::counters::QueueName;
use store::ports::Ports;
use store::queue::Queue;
use store::queues::Lanes;
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
    pub(crate) deliveries: Lanes<P::Queue>,
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

/// The queues whose depths the metrics report.
pub(crate) struct Queues<Q> {
    pub(crate) events: MeasuredQueue<Q>,
    pub(crate) deliveries: [MeasuredQueue<Q>; 2],
}

/// A queue with its dead-letter queue. Both lanes of deliveries have one, which is that of the quick lane here.
pub(crate) struct MeasuredQueue<Q> {
    pub(crate) name: QueueName,
    pub(crate) messages: Q,
    pub(crate) dead_letters: Option<Q>,
}

impl<Q: Queue> Queues<Q> {
    fn new(ports: &impl Ports<Queue = Q>, config: &Config) -> Self {
        let measured = |name, messages: &str, dead_letters: Option<&String>| MeasuredQueue {
            name,
            messages: ports.queue(messages),
            dead_letters: dead_letters.map(|dead_letters| ports.queue(dead_letters)),
        };
        let by_lane = Lane::ALL.map(|lane| {
            let (messages, dead_letters) = match lane {
                Lane::Quick => (&config.deliveries_queue, Some(&config.deliveries_dead_letters)),
                Lane::Slow => (&config.slow_deliveries_queue, None),
            };
            measured(QueueName::Deliveries(lane), messages, dead_letters)
        });
        let events = measured(QueueName::Events, &config.events_queue, Some(&config.events_dead_letters));
        Self { events, deliveries: by_lane }
    }
}

impl<P: Ports> Api<P> {
    /// Makes the dependencies over these ports.
    pub fn new(ports: &P, config: Config) -> Self {
        let control_table = ports.table(&config.control_table);
        let keys = DataKeys::new(control_table.clone(), ports.vault(&config.data_kms_key), ports.clock());
        let control = Control::new(control_table);
        let limits = Limits::new(ports.table(&config.limits_table));
        let queues = Queues::new(ports, &config);
        Self {
            authenticator: Authenticator::new(control.clone(), config.peppers),
            limiter: Limiter::new(limits.clone()),
            control,
            events: Events::new(ports.table(&config.events_table), keys.clone()),
            limits,
            schedule: Schedule::new(ports.table(&config.schedule_table)),
            deliveries: Lanes::new(
                ports.queue(&config.deliveries_queue),
                ports.queue(&config.slow_deliveries_queue),
            ),
            queues,
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
