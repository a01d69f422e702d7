//! Draining in simulated time, with the latencies and the CPU of the cost meter: what one instance sends in a minute, and who waits
//! after a long outage of a thousand endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use cost::clock::{SimulatedClock, in_simulated_time};
use cost::duration::billed_ms;
use cost::ports::MeteredPorts;
use cost::recorded::Function;
use cost::template::memory_mb;
use domain::delivery::DeliveryMessage;
use domain::delivery::schedule::{Parked, Source};
use domain::delivery::share::INSTANCES;
use domain::endpoint::DEFAULT_RATE_PER_SECOND;
use domain::endpoint::id::EndpointId;
use domain::event::id::EventId;
use domain::inbox::Head;
use domain::tenant::id::TenantId;
use domain::testing::{START, endpoint_of, event, tenant};
use drain::handler::Drain;
use futures_util::future::join_all;
use scheduler::handler::Scheduler;
use store::clock::Clock;
use store::envelope::{read_delivery, read_share};
use store::ports::Ports;
use store::testing::memory::{DELIVERIES_QUEUE, DRAINS_QUEUE};
use tokio::time::{Instant, sleep};

use crate::support::configs;
use crate::support::lines::no_log;
use crate::support::template::setting;

/// The deliveries that an endpoint of the default rate gets in a minute.
const PER_MINUTE: usize = DEFAULT_RATE_PER_SECOND as usize * 60;

/// A minute, within which the work for a share ends, less the time that drain keeps for its last step.
const WORK: Duration = Duration::from_secs(50);

/// The functions over tables and queues that take the time of AWS.
struct Draining {
    ports: MeteredPorts,
    clock: SimulatedClock,
    scheduler: Scheduler<MeteredPorts>,
    drain: Drain<MeteredPorts>,
}

impl Draining {
    fn start() -> Self {
        let clock = SimulatedClock::start();
        let ports = MeteredPorts::new(clock);
        Self {
            scheduler: Scheduler::new(&ports, &configs::scheduler(), no_log()),
            drain: Drain::new(&ports, &configs::drain(), no_log()),
            ports,
            clock,
        }
    }

    /// Adds an endpoint of this tenant with this many parked deliveries, in all partitions.
    fn park(&self, tenant: &TenantId, number: u8, deliveries: usize) -> EndpointId {
        let endpoint = endpoint_of(tenant, number);
        self.ports.tables.put_endpoint(tenant, &endpoint);
        let head = Head::new(&event(tenant, "a", "1", START), [endpoint.id.clone()]);
        let first =
            DeliveryMessage::first(tenant, head.id, &endpoint.id, &head.deliveries[&endpoint.id], false);
        for n in 0..deliveries {
            let event = EventId::generate(START.after(Duration::from_millis(n as u64)), 16, &mut rand::rng());
            let source = Source::Message(n.to_string());
            let parked =
                Parked { message: DeliveryMessage { event, ..first.clone() }, source, was_probed: false };
            self.ports.tables.overwrite_parked(&parked, START.after(Duration::from_hours(24)));
        }
        endpoint.id
    }

    /// Lets the scheduler share the endpoints out; returns the messages, one in a batch.
    async fn share_out(&self) -> Vec<SqsEvent> {
        self.scheduler.handle(self.clock.now().after(Duration::from_secs(55))).await;
        let queue = self.ports.queue(DRAINS_QUEUE);
        let mut shares = Vec::new();
        while queue.count_visible() > 0 {
            let share = queue.receive_up_to(1);
            queue.settle(&share, &SqsBatchResponse::default());
            shares.push(share);
        }
        shares
    }

    async fn handle(&self, share: SqsEvent) {
        self.drain.handle(share, self.clock.now().after(Duration::from_mins(1))).await;
    }

    /// Takes what was sent so far: the number of messages to each endpoint.
    fn take_sent(&self) -> BTreeMap<(TenantId, EndpointId), usize> {
        let queue = self.ports.queue(DELIVERIES_QUEUE);
        let mut sent = BTreeMap::new();
        for message in queue.take_all() {
            let DeliveryMessage { tenant, endpoint, .. } = read_delivery(&message).unwrap();
            *sent.entry((tenant, endpoint)).or_default() += 1;
        }
        sent
    }
}

#[test]
fn an_instance_sends_half_a_million_parked_deliveries_a_minute_and_each_endpoint_gets_its_rate() {
    in_simulated_time(async {
        const ENDPOINTS: u8 = 8;
        let system = Draining::start();
        let tenant = tenant();
        for number in 1..=ENDPOINTS {
            system.park(&tenant, number, PER_MINUTE + 10);
        }
        let [share] = system.share_out().await.try_into().expect("one share");
        let _ = system.ports.recorder.take();
        let began = Instant::now();
        system.handle(share).await;
        let mut invocation = system.ports.recorder.take();
        invocation.waited = began.elapsed();

        let sent = system.take_sent();
        assert!(sent.values().all(|sent| *sent == PER_MINUTE), "{sent:?}");
        assert_eq!(
            (sent.len(), system.ports.tables.parked().len()),
            (8, 8 * 10),
            "the rest waits for the next minute"
        );

        let rows = u64::from(ENDPOINTS) * PER_MINUTE as u64;
        let calls = invocation.calls();
        let milliseconds = billed_ms(&invocation, memory_mb(Function::Drain));
        let in_a_minute = rows * 60_000 / milliseconds;
        println!("{rows} rows: {calls} calls, {milliseconds} ms, {in_a_minute} rows a minute and instance");
        println!("{} rows a minute by {INSTANCES} instances", in_a_minute * INSTANCES as u64);
        assert!(
            calls * 200 <= rows * 34,
            "200 rows: a read of each part, 20 sends, 8 deletions; and the endpoint"
        );
        assert!(in_a_minute >= 500_000, "{in_a_minute}");
    });
}

#[test]
fn after_an_outage_of_a_thousand_endpoints_each_begins_within_its_first_minute() {
    in_simulated_time(async {
        let system = Draining::start();
        let (large, small): (TenantId, Vec<TenantId>) = (tenant(), (0..20).map(|_| tenant()).collect());
        let mut endpoints = BTreeSet::new();
        for number in 0..200 {
            endpoints.insert((large.clone(), system.park(&large, number, 5)));
        }
        for tenant in &small {
            for number in 0..40 {
                endpoints.insert((tenant.clone(), system.park(tenant, number, 5)));
            }
        }
        let began = system.clock.now();
        let shares = system.share_out().await;
        let of_each = |share: &SqsEvent| {
            let share = read_share(share.records[0].body.as_deref().unwrap()).unwrap();
            share.endpoints.iter().filter(|endpoint| endpoint.tenant == large).count()
        };
        let of_large: Vec<usize> = shares.iter().map(of_each).collect();
        println!("{} shares; endpoints of the large tenant in each: {of_large:?}", shares.len());
        assert!(shares.len() == INSTANCES && of_large[0] <= 4, "tenants take turns");

        join_all(shares.into_iter().map(|share| system.handle(share))).await;
        let took = system.clock.now().since(began);
        println!("all begin within {took:?}, without the work of the CPU");
        let sent = system.take_sent();
        assert_eq!(sent.keys().cloned().collect::<BTreeSet<_>>(), endpoints);
        assert!(sent.values().all(|sent| *sent == 5) && took < WORK);
        assert_eq!(system.ports.tables.parked(), []);
    });
}

#[test]
fn there_is_a_share_for_each_instance_that_the_template_allows() {
    assert_eq!(INSTANCES, setting::<usize>("DrainFunction", "MaximumConcurrency"));
}

#[test]
fn a_share_does_nothing_when_its_minute_is_over() {
    in_simulated_time(async {
        let system = Draining::start();
        system.park(&tenant(), 1, 3);
        let shares = system.share_out().await;
        sleep(Duration::from_secs(51)).await;
        for share in shares {
            system.handle(share).await;
        }
        assert_eq!((system.take_sent().len(), system.ports.tables.parked().len()), (0, 3));
        for share in system.share_out().await {
            system.handle(share).await;
        }
        assert_eq!((system.take_sent().len(), system.ports.tables.parked().len()), (1, 0), "the next minute");
    });
}
