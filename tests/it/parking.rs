//! Parking: a row for each delivery, and one write for each endpoint of a batch, by which the scheduler finds the rows.

use std::time::Duration;

use domain::inbox::Status;
use store::testing::faults::Fault;
use store::testing::table::usage::Operation;

use crate::pipeline::Pipeline;

/// More calls than a batch of three parked deliveries makes.
const MANY: usize = 40;

/// A system whose only endpoint is paused, and this many events whose first messages wait.
async fn paused(events: u8) -> Pipeline {
    let pipeline = Pipeline::with_endpoints(1);
    pause(&pipeline, true);
    for n in 0..events {
        pipeline.post_event(&format!("order-{n}")).await;
    }
    pipeline.consume().await;
    pipeline
}

fn pause(pipeline: &Pipeline, is_paused: bool) {
    let id = Pipeline::endpoint(1).id;
    pipeline.tables.change_endpoint(&pipeline.tenant, &id, |endpoint| endpoint.is_paused = is_paused);
}

#[tokio::test]
async fn ten_deliveries_of_one_batch_are_announced_once() {
    let pipeline = paused(10).await;
    pipeline.tables.schedule.reset_usage();
    let response = pipeline.deliver().await;
    assert_eq!((response.batch_item_failures.len(), pipeline.tables.parked().len()), (0, 10));
    let usage = pipeline.tables.schedule.usage();
    assert_eq!(
        usage.calls_of(Operation::Put),
        10 + 1,
        "each delivery, and the row for the notice before they expire"
    );
    assert_eq!(usage.calls_of(Operation::Update), 1, "the row of the endpoint");
}

#[tokio::test]
async fn a_batch_whose_announcement_fails_comes_back_and_every_delivery_is_sent_once_the_endpoint_resumes() {
    let mut failed = 0;
    for fault in Fault::ALL {
        for call in 0..MANY {
            for dies in [true, false] {
                let pipeline = paused(3).await;
                if dies {
                    pipeline.faults.die_at(call, fault);
                } else {
                    pipeline.faults.fail_at(call, fault);
                }
                let response = pipeline.deliver().await;
                let is_spoiled = pipeline.faults.recover();
                failed += usize::from(is_spoiled);
                if !is_spoiled {
                    assert!(response.batch_item_failures.is_empty());
                }
                let is_announced = !pipeline.tables.endpoint_rows().is_empty();
                let waits = pipeline.deliveries.bodies().len();
                assert!(
                    is_announced || waits == 3,
                    "{fault:?} at {call}: {waits} messages know the deliveries"
                );
                pipeline.clock.advance(Duration::from_mins(7));
                pipeline.deliver().await;
                assert_eq!(pipeline.tables.parked().len(), 3, "{fault:?} at {call}");
                pause(&pipeline, false);
                pipeline.run_until_quiet().await;
                let heads = pipeline.tables.all_heads();
                let is_delivered = heads.iter().all(|(_, head)| head.status == Status::Delivered);
                assert!(is_delivered && heads.len() == 3, "{fault:?} at {call}: {heads:?}");
                assert_eq!(pipeline.webhooks.received().len(), 3, "{fault:?} at {call}");
            }
        }
    }
    println!("{failed} faults");
    assert!(failed > 2 * 2 * 12, "every call failed in both ways, alone and with its process: {failed}");
}
