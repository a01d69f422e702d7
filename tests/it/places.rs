//! The places of requests in flight: each is free again soon after its own request has ended, not with the slowest request of its
//! batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use delivery::handler::Delivery;
use domain::delivery::DeliveryMessage;
use domain::delivery::at_once::AtOnce;
use domain::delivery::line::Line;
use domain::delivery::verdict::Answer;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::Endpoint;
use domain::endpoint::pace::Pace;
use domain::inbox::Head;
use domain::tenant::id::TenantId;
use domain::testing::{START, endpoint_of, event, tenant};
use domain::timestamp::Timestamp;
use futures_util::future::join;
use store::data_keys::DataKeys;
use store::envelope::{delivery_body, read_delivery};
use store::events::Events;
use store::limits::Limits;
use store::ports::Ports;
use store::testing::clock::FixedClock;
use store::testing::faults::Faults;
use store::testing::memory::{DELIVERIES_QUEUE, Memory, SLOW_DELIVERIES_QUEUE};
use store::testing::queue::MemoryQueue;
use tokio::time::sleep;

use crate::support::answering::{Answering, Posts};
use crate::support::configs;
use crate::support::lines::no_log;

/// The messages of a batch.
const BATCH: u32 = 10;

/// A receiver that takes twelve seconds for its first request, which it answers with this status. It takes the others at once.
#[derive(Clone)]
struct FirstTakesLong {
    status: u16,
    requests: Arc<AtomicUsize>,
}

impl Answering for FirstTakesLong {
    async fn answer(&self, _: &WebhookRequest, _: Timestamp) -> Answer {
        let is_first = self.requests.fetch_add(1, Ordering::SeqCst) == 0;
        if is_first {
            sleep(Duration::from_secs(12)).await;
        }
        let code = if is_first { self.status } else { 200 };
        Answer::Status { code, retry_after: None, excerpt: String::new() }
    }
}

type Held = Memory<MemoryQueue, Posts<FirstTakesLong>>;

/// A batch of messages for the endpoint of a tenant whose first request is answered with this status.
async fn batch(status: u16) -> (Held, TenantId, Endpoint) {
    let still = Memory::new(&Faults::default(), &FixedClock::at(START));
    let Memory { tables, queues, vault, clock, .. } = still;
    let webhooks = Posts(FirstTakesLong { status, requests: Arc::default() });
    let ports = Memory { tables, queues, vault, clock, webhooks };
    let tenant = tenant();
    let endpoint = endpoint_of(&tenant, 1);
    ports.tables.put_endpoint(&tenant, &endpoint);
    let keys = DataKeys::new(ports.tables.control.clone(), ports.vault.clone(), ports.clock.clone());
    let events: Events<Held> = Events::new(ports.tables.events.clone(), keys);
    for _ in 0..BATCH {
        let event = event(&tenant, "a", "1", START);
        let head = Head::new(&event, [endpoint.id.clone()]);
        events.insert(&event, &head).await.unwrap();
        let (id, delivery) = head.deliveries.first_key_value().unwrap();
        let first = DeliveryMessage::first(&tenant, event.id, id, delivery, false);
        ports.queue(DELIVERIES_QUEUE).push(delivery_body(&first), Duration::ZERO);
    }
    (ports, tenant, endpoint)
}

/// Lets delivery handle the batch.
async fn handle(ports: &Held) {
    let delivery = Delivery::new(ports, configs::delivery(), no_log());
    let (queue, until) = (ports.queue(DELIVERIES_QUEUE), START.after(Duration::from_mins(1)));
    let batch = queue.take();
    let response = delivery.handle(batch.clone(), until).await;
    assert!(response.batch_item_failures.is_empty());
    queue.settle(&batch, &response);
}

#[tokio::test(start_paused = true)]
async fn nine_places_are_free_a_second_after_their_requests_while_the_tenth_request_takes_twelve() {
    let (ports, tenant, endpoint) = batch(200).await;
    let limits = Limits::new(ports.tables.limits.clone());
    let take = async |line, at_once| {
        limits.start_requests(&tenant, line, START.minutes(), BATCH, at_once).await.unwrap()
    };
    let at_once = AtOnce::to_endpoint(Pace::per_second(30));
    let line = Line::Endpoint(&endpoint.id);
    let looks = async {
        sleep(Duration::from_millis(500)).await;
        let at_first = take(line, at_once).await;
        sleep(Duration::from_secs(1)).await;
        (at_first, take(line, at_once).await, take(Line::Burst, AtOnce::requests(BATCH)).await)
    };
    let ((), (at_first, soon, bursts)) = join(handle(&ports), looks).await;
    assert_eq!(at_first, 0, "all ten places are taken, and ends within a second share a write");
    assert_eq!(soon, BATCH, "nine are free, and nine successes allow nine more");
    assert_eq!(bursts, BATCH - 1, "the batch is a burst until its last request ends");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_slow_and_failed_is_made_again_by_the_slow_lane() {
    let (ports, _, _) = batch(500).await;
    handle(&ports).await;
    let again = ports.queue(SLOW_DELIVERIES_QUEUE).bodies();
    assert_eq!((ports.queue(DELIVERIES_QUEUE).bodies().len(), again.len()), (0, 1));
    assert_eq!(read_delivery(&again[0]).unwrap().n, 2);
}
