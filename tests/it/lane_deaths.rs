//! A process that dies at any call while a message moves from the quick lane to the slow one, before the effect of the call and
//! after it, and again while the message is handled there.

use domain::inbox::Status;
use store::testing::faults::Fault;

use crate::lanes::set_slow;
use crate::pipeline::Pipeline;

/// More calls than the handling of one message makes.
const MANY: usize = 24;

/// Whether a lane, a row or the inbox knows the delivery that is open.
fn is_known(pipeline: &Pipeline) -> bool {
    let head = pipeline.only_head();
    let is_on_a_lane = [&pipeline.deliveries, &pipeline.slow_deliveries]
        .iter()
        .any(|queue| queue.bodies().iter().any(|body| body.contains(&head.id.to_string())));
    head.status == Status::Delivered || head.in_inbox || is_on_a_lane || pipeline.tables.next_due().is_some()
}

/// A story of one move: a process dies at this call of it.
async fn moving(fault: Fault, call: usize, is_slow_later: bool) -> (Pipeline, bool) {
    let (pipeline, _) = Pipeline::stored_event(1).await;
    set_slow(&pipeline, true);
    pipeline.faults.die_at(call, fault);
    pipeline.deliver().await;
    let died = pipeline.faults.recover();
    assert!(pipeline.webhooks.received().is_empty(), "{fault:?} at {call}: it moves without an attempt");
    assert!(is_known(&pipeline), "{fault:?} at {call}");
    set_slow(&pipeline, is_slow_later);
    (pipeline, died)
}

#[tokio::test]
async fn a_message_is_delivered_once_wherever_the_process_that_moves_it_dies() {
    let mut deaths = 0;
    for fault in Fault::ALL {
        for is_slow_later in [true, false] {
            for call in 0..MANY {
                let (pipeline, died) = moving(fault, call, is_slow_later).await;
                deaths += usize::from(died);
                pipeline.run_until_quiet().await;
                let why = format!("{fault:?} at {call}, slow later: {is_slow_later}");
                assert_eq!(pipeline.only_head().status, Status::Delivered, "{why}");
                assert_eq!(pipeline.webhooks.received().len(), 1, "{why}: no process died with an attempt");
            }
        }
    }
    println!("{deaths} deaths while a message moves");
    assert!(deaths >= 2 * 2 * 4, "endpoint, head, send and counters each failed in both ways: {deaths}");
}

#[tokio::test]
async fn a_message_is_delivered_wherever_the_processes_that_move_it_and_that_handle_it_die() {
    let mut deaths = 0;
    for fault in Fault::ALL {
        for first_answer in [200, 500, 429] {
            for (move_at, call) in (0..6).flat_map(|move_at| (0..MANY).map(move |call| (move_at, call))) {
                let (pipeline, _) = moving(fault, move_at, true).await;
                pipeline.deliver().await; // what was not moved moves now, perhaps a second time
                pipeline.webhooks.answer(first_answer);
                pipeline.faults.die_at(call, fault);
                pipeline.deliver_slowly().await;
                let died = pipeline.faults.recover();
                deaths += usize::from(died);
                let why = format!("{fault:?} at {move_at} and {call}, first {first_answer}");
                assert!(is_known(&pipeline), "{why}");
                pipeline.run_until_quiet().await;
                let head =
                    pipeline.tables.all_heads().into_iter().map(|(_, head)| head).min_by_key(|head| head.id);
                assert_eq!(head.map(|head| head.status), Some(Status::Delivered), "{why}");
                let needed = 1 + usize::from(first_answer != 200);
                let received = pipeline.webhooks.received().len();
                assert!((1..=needed + usize::from(died)).contains(&received), "{why}: {received} requests");
            }
        }
    }
    println!("{deaths} deaths on the slow lane after a move");
    assert!(deaths > 2 * 3 * 6 * 6, "every call on the slow lane failed in both ways: {deaths}");
}

#[tokio::test]
async fn a_message_stays_on_the_quick_lane_until_the_slow_one_has_confirmed_it() {
    for (fault, on_slow_lane) in [(Fault::Refused, 0), (Fault::AnswerLost, 1)] {
        let (pipeline, _) = Pipeline::stored_event(1).await;
        pipeline.tables.events.show_writes_at_once(); // so that the fifth call is the send, after endpoint, head, expiry and inbox
        set_slow(&pipeline, true);
        pipeline.faults.fail_at(4, fault);
        assert_eq!(pipeline.deliver().await.batch_item_failures.len(), 1, "{fault:?}");
        assert!(pipeline.faults.recover());
        let waiting = (pipeline.deliveries.bodies().len(), pipeline.slow_deliveries.bodies().len());
        assert_eq!(waiting, (1, on_slow_lane), "{fault:?}");
        set_slow(&pipeline, false);
        pipeline.run_until_quiet().await;
        assert_eq!((pipeline.only_head().status, pipeline.webhooks.received().len()), (Status::Delivered, 1));
    }
}
