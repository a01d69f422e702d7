//! Rows of `Schedule` that this version cannot read, as after a rollback from a newer one. They stay, they count as
//! present, and the rows behind them are found.

use std::time::Duration;

use domain::event::id::EventId;
use domain::inbox::Status;
use domain::testing::endpoint;
use store::clock::Clock;
use store::item::{Item, Key};

use crate::pipeline::Pipeline;

/// A message in a form that no version of today reads.
const NEWER: &str = r#"{"v":99,"what":"a form of the future"}"#;

/// More rows than one visit of the scheduler reads in a page.
const MANY: usize = 350;

/// Returns the one row of `Schedule` that has this attribute.
fn row_with(pipeline: &Pipeline, attribute: &str) -> Item {
    let items = pipeline.tables.schedule.items();
    let mut rows = items.into_iter().filter(|item| item.has(attribute));
    let row = rows.next().expect("a row");
    assert!(rows.next().is_none(), "one row");
    row
}

/// Lets attempts fail until the next one is due later than a queue can delay it; returns the event and its row.
async fn with_a_due_row() -> (Pipeline, EventId, Item) {
    let (pipeline, id) = Pipeline::stored_event(1).await;
    pipeline.webhooks.answer_by(|_, _| Some(500));
    pipeline.run_while(|pipeline, _| pipeline.tables.next_due().is_none()).await;
    pipeline.webhooks.answer_by(|_, _| None);
    let row = row_with(&pipeline, "due_at");
    (pipeline, id, row)
}

#[tokio::test]
async fn a_parked_delivery_that_cannot_be_read_keeps_the_row_of_its_endpoint() {
    let pipeline = Pipeline::parked(1).await;
    pipeline.deliver().await;
    let parked = row_with(&pipeline, "message");
    pipeline.tables.schedule.put_item(parked.clone().with("message", NEWER));

    pipeline.run_until(pipeline.clock.now().after(Duration::from_hours(2))).await;
    assert_eq!(pipeline.tables.endpoint_rows().len(), 1, "its endpoint is still visited");
    assert_eq!(pipeline.webhooks.received().len(), 0, "the delivery cannot be read");

    pipeline.tables.schedule.put_item(parked);
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.only_head().status, Status::Delivered, "the newer version is back");
    assert_eq!(pipeline.tables.endpoint_rows(), [], "nothing is parked any more");
}

#[tokio::test]
async fn parked_deliveries_that_cannot_be_read_do_not_hold_up_the_others() {
    let pipeline = Pipeline::parked(1).await;
    pipeline.deliver().await;
    let parked = row_with(&pipeline, "message");
    let partition = parked.text("pk").unwrap().to_owned();
    for number in 0..MANY {
        let key = Key::new(partition.clone(), format!("{number:08}"));
        pipeline.tables.schedule.put_item(parked.clone().with("message", NEWER).at(key));
    }

    pipeline.run_until(pipeline.clock.now().after(Duration::from_hours(2))).await;
    assert_eq!(pipeline.only_head().status, Status::Delivered);
    assert_eq!(pipeline.webhooks.received().len(), 1);
    assert_eq!(pipeline.tables.endpoint_rows().len(), 1, "unreadable rows are still parked");
}

#[tokio::test]
async fn due_rows_that_cannot_be_read_do_not_hold_up_the_others() {
    let (pipeline, id, due) = with_a_due_row().await;
    let partition = due.text("pk").unwrap().to_owned();
    for number in 0..MANY {
        let key = Key::new(partition.clone(), format!("{number:08}"));
        pipeline.tables.schedule.put_item(due.clone().with("message", NEWER).at(key));
    }

    pipeline.run_until(pipeline.clock.now().after(Duration::from_hours(24))).await;
    let head = pipeline.tables.head(&pipeline.tenant, id).unwrap();
    assert_eq!(head.status, Status::Delivered);
    let left = pipeline.tables.schedule.items().iter().filter(|item| item.has("due_at")).count();
    assert_eq!(left, MANY, "an unreadable row is not deleted");
}

#[tokio::test]
async fn the_row_of_an_endpoint_that_cannot_be_read_stays_and_does_not_hold_up_the_others() {
    let pipeline = Pipeline::parked(1).await;
    pipeline.deliver().await;
    let row = row_with(&pipeline, "version");
    let broken = Key::new(row.text("pk").unwrap(), "0");
    pipeline.tables.schedule.put_item(Item::default().with("version", 1_u64).at(broken.clone()));

    pipeline.run_until(pipeline.clock.now().after(Duration::from_hours(2))).await;
    assert_eq!(pipeline.only_head().status, Status::Delivered);
    assert!(pipeline.tables.schedule.item(&broken).is_some());
    let endpoint = pipeline.control.endpoint(&pipeline.tenant, &endpoint(1).id).await.unwrap();
    assert!(endpoint.is_some());
}
