//! Parking, draining and the lanes in every order of the steps of two processes, and parking with the death of both after every call.

use aws_lambda_events::event::sqs::SqsEvent;
use domain::delivery::schedule::Parked;
use domain::inbox::Status;
use store::testing::faults::Fault;
use tokio::runtime::Runtime;

use crate::lanes::set_slow;
use crate::pipeline::Pipeline;
use crate::support::orders::{Task, in_every_order};

/// A death: at this call, with this fault.
type Death = Option<(usize, Fault)>;

/// What a story of two processes is.
struct Story {
    /// Makes the system.
    start: fn(&Runtime) -> Pipeline,
    /// Makes the two processes. They know the shares that the scheduler made before.
    tasks: for<'a> fn(&'a Pipeline, SqsEvent) -> Vec<Task<'a>>,
    /// What the owner does after both have ended.
    after: fn(&Pipeline),
    /// The most webhooks for one event, if no process dies.
    most_posts: usize,
}

/// Runs a story in every order with this death, and returns the number of orders in which it happened.
fn check(story: &Story, death: Death) -> usize {
    let mut died = 0;
    in_every_order(|runtime, order| {
        let pipeline = (story.start)(runtime);
        let shares = runtime.block_on(pipeline.share_out());
        if let Some((call, fault)) = death {
            pipeline.faults.die_at(call, fault);
        }
        order.run(runtime, (story.tasks)(&pipeline, shares));
        let has_died = pipeline.faults.recover();
        died += usize::from(has_died || death.is_none());
        let context = format!("{death:?}, {order:?}");
        let lost = pipeline.tables.parked().iter().filter(|parked| !has_row(&pipeline, parked)).count();
        let waiting = pipeline.delivery_messages().len() + pipeline.slow_deliveries.bodies().len();
        assert!(lost == 0 || waiting > 0, "{context}: parked, but its endpoint has no row");
        (story.after)(&pipeline);
        runtime.block_on(pipeline.run_until_quiet());
        let heads = pipeline.tables.all_heads();
        assert!(heads.iter().all(|(_, head)| head.status == Status::Delivered), "{context}: {heads:?}");
        let rows = (pipeline.tables.parked(), pipeline.tables.endpoint_rows());
        // A process that dies before it announces a row leaves it, and the message that comes back may be delivered instead.
        assert!(rows.1.is_empty() && (rows.0.is_empty() || has_died), "{context}: {rows:?}");
        let posts = pipeline.webhooks.received().len();
        assert!(posts <= heads.len() * story.most_posts || has_died, "{context}: {posts} webhooks");
    });
    died
}

fn has_row(pipeline: &Pipeline, parked: &Parked) -> bool {
    pipeline.tables.endpoint_rows().iter().any(|row| row.partition == parked.partition())
}

/// Runs a story in every order, and with a death of both processes after each call that they make.
fn check_with_deaths(name: &str, story: &Story) {
    let orders = check(story, None);
    let of_calls = (0..).map(|call| check(story, Some((call, Fault::AnswerLost))));
    let deaths: usize = of_calls.take_while(|died| *died > 0).sum();
    println!("{name}: {orders} orders; {deaths} with a death");
    assert!(orders > 20 && deaths > orders, "{orders}, {deaths}");
}

/// Runs a story in every order.
fn check_orders(name: &str, story: &Story) {
    let orders = check(story, None);
    println!("{name}: {orders} orders");
    assert!(orders > 100, "{orders}");
}

fn pause(pipeline: &Pipeline, is_paused: bool) {
    let id = Pipeline::endpoint(1).id;
    pipeline.tables.change_endpoint(&pipeline.tenant, &id, |endpoint| endpoint.is_paused = is_paused);
}

/// A system whose endpoint is paused, with this many parked deliveries.
async fn parked(events: u8) -> Pipeline {
    let pipeline = Pipeline::with_endpoints(1);
    pause(&pipeline, true);
    for n in 0..events {
        pipeline.post_event(&format!("order-{n}")).await;
    }
    pipeline.consume().await;
    pipeline.deliver().await;
    pipeline
}

/// Trace 8: the endpoint is paused, nothing is parked, and the row of an earlier parking is there.
#[test]
fn a_delivery_that_is_parked_while_the_row_of_its_endpoint_is_deleted_is_sent_later() {
    let story = Story {
        start: |runtime| {
            let pipeline = runtime.block_on(parked(1));
            let parked = pipeline.tables.parked().remove(0);
            pipeline.tables.remove_parked(&parked);
            pipeline
                .deliveries
                .push(store::envelope::delivery_body(&parked.message), std::time::Duration::ZERO);
            pipeline
        },
        tasks: |pipeline, shares| {
            vec![Box::pin(pipeline.drain(shares)), Box::pin(async { drop(pipeline.deliver().await) })]
        },
        after: |pipeline| pause(pipeline, false),
        most_posts: 1,
    };
    check_with_deaths("trace 8", &story);
}

/// Trace 7: a parked delivery is sent, and its endpoint is paused before the message is handled.
#[test]
fn a_delivery_that_is_parked_again_while_its_row_is_deleted_is_sent_later() {
    let story = Story {
        start: |runtime| {
            let pipeline = runtime.block_on(parked(1));
            pause(&pipeline, false);
            pipeline
        },
        tasks: |pipeline, shares| {
            vec![
                Box::pin(pipeline.drain(shares)),
                Box::pin(async {
                    pause(pipeline, true);
                    pipeline.deliver().await;
                }),
            ]
        },
        after: |pipeline| pause(pipeline, false),
        most_posts: 1,
    };
    check_with_deaths("trace 7", &story);
}

/// SQS delivers the message of a share twice.
#[test]
fn an_endpoint_that_is_drained_twice_at_the_same_time_gets_each_event() {
    let story = Story {
        start: |runtime| {
            let pipeline = runtime.block_on(parked(2));
            pause(&pipeline, false);
            pipeline
        },
        tasks: |pipeline, shares| {
            vec![Box::pin(pipeline.drain(shares.clone())), Box::pin(pipeline.drain(shares))]
        },
        after: |_| (),
        most_posts: 2,
    };
    check_orders("drained twice", &story);
}

/// The message of an attempt moves to the slow lane while that lane is handled.
#[test]
fn a_message_that_moves_to_the_slow_lane_is_handled_whatever_comes_first() {
    let story = Story {
        start: |runtime| {
            let (pipeline, _) = runtime.block_on(Pipeline::stored_event(1));
            set_slow(&pipeline, true);
            pipeline
        },
        tasks: |pipeline, _| {
            vec![
                Box::pin(async { drop(pipeline.deliver().await) }),
                Box::pin(async { drop(pipeline.deliver_slowly().await) }),
            ]
        },
        after: |_| (),
        most_posts: 1,
    };
    check_orders("slow lane", &story);
}
