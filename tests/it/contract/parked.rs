//! What the rows of parked deliveries promise, over every table.

use domain::delivery::DeliveryMessage;
use domain::delivery::schedule::{EARLIER_PART, EndpointRow, Parked, ParkedPartition, Source};
use domain::inbox::Head;
use domain::testing::{START, endpoint, event, tenant};
use store::schedule::Schedule;
use store::table::Table;
use store::unavailable::PortResult;

pub(super) async fn rows_keep_their_promises(schedule: &Schedule<impl Table>) -> PortResult<()> {
    let (ours, stranger, place) = (tenant(), tenant(), endpoint(1).id);
    let event = event(&ours, "a", "1", START);
    let head = Head::new(&event, [place.clone()]);
    let first = DeliveryMessage::first(&ours, event.id, &place, &head.deliveries[&place], false);
    let second = first.next();
    let partition = ParkedPartition::of(&first);
    let stored = async |after: Option<&Parked>, most| {
        PortResult::Ok(schedule.parked(&partition, after, most).await?.rows)
    };

    // The row of the partition appears with the first announcement, and its version rises with each.
    assert_eq!(row_of(schedule, &partition).await?, None);
    schedule.put_parked(&parked(&first, "a"), head.expires_at).await?;
    schedule.announce_parked(&partition).await?;
    let seen = row_of(schedule, &partition).await?.expect("an announced delivery has its endpoint's row");
    schedule.put_parked(&parked(&second, "b"), head.expires_at).await?;
    schedule.put_parked(&parked(&first, "c"), head.expires_at).await?;
    schedule.put_parked(&parked(&first, "c"), head.expires_at).await?;
    schedule.announce_parked(&partition).await?;

    // Each queue message has its own row, and is deleted alone.
    let twice = [parked(&first, "a"), parked(&first, "c"), parked(&second, "b")];
    assert_eq!(stored(None, 10).await?, twice);
    schedule.unpark(&twice[..1]).await?;
    schedule.unpark(&twice[..1]).await?;
    let all = &twice[1..];
    assert_eq!(stored(None, 10).await?, all, "parked again, it stays");
    assert_eq!(stored(None, 1).await?, all[..1]);
    assert_eq!(stored(Some(&all[0]), 10).await?, all[1..]);
    let newest = schedule.newest_parked(&partition, 10).await?.rows;
    assert_eq!(newest, [all[1].clone(), all[0].clone()]);
    assert_eq!(schedule.count_parked(&ours, &place, 10).await?, 2);
    assert_eq!(schedule.count_parked(&ours, &place, 1).await?, 1);

    // Other parts and other tenants have none of it.
    let others = ParkedPartition::all_of(&ours, &place).filter(|other| *other != partition);
    let of_stranger = ParkedPartition { tenant: stranger, ..partition.clone() };
    for other in others.chain([of_stranger]) {
        assert!(schedule.parked(&other, None, 10).await?.is_empty, "{other:?}");
    }
    schedule.unpark(all).await?;
    assert!(schedule.parked(&partition, None, 10).await?.is_empty);

    // A row of an earlier version has one key for each attempt, and is deleted only if it was not written again.
    let earlier = |token: &str| Parked { source: Source::Token(token.to_owned()), ..parked(&first, "") };
    let of_earlier = ParkedPartition { part: EARLIER_PART, ..partition.clone() };
    schedule.put_parked(&earlier("a"), head.expires_at).await?;
    schedule.put_parked(&earlier("b"), head.expires_at).await?;
    schedule.unpark(&[earlier("a")]).await?;
    assert_eq!(schedule.parked(&of_earlier, None, 10).await?.rows, [earlier("b")]);
    schedule.unpark(&[earlier("b")]).await?;
    assert!(schedule.parked(&of_earlier, None, 10).await?.is_empty);

    // The row of the partition is deleted only if nothing was parked since it was read.
    schedule.delete_endpoint_row(&seen).await?;
    let now = row_of(schedule, &partition).await?.expect("something was parked since it was read");
    schedule.delete_endpoint_row(&now).await?;
    assert_eq!(row_of(schedule, &partition).await?, None);
    schedule.announce_parked(&partition).await?;
    for old in [&seen, &now] {
        schedule.delete_endpoint_row(old).await?; // repeated by the SDK, or by another process
    }
    let again = row_of(schedule, &partition).await?.expect("no version comes back");
    schedule.delete_endpoint_row(&again).await?;
    further_parts_have_rows_of_their_own(schedule, &partition).await
}

async fn further_parts_have_rows_of_their_own(
    schedule: &Schedule<impl Table>,
    first: &ParkedPartition,
) -> PortResult<()> {
    for partition in ParkedPartition::all_of(&first.tenant, &first.endpoint) {
        schedule.announce_parked(&partition).await?;
        let row = row_of(schedule, &partition).await?.expect("its row");
        assert_eq!(row.partition, partition);
        schedule.delete_endpoint_row(&row).await?;
        assert_eq!(row_of(schedule, &partition).await?, None);
    }
    Ok(())
}

fn parked(message: &DeliveryMessage, id: &str) -> Parked {
    let source = Source::Message(id.to_owned());
    Parked { message: message.clone(), source, was_probed: id == "c" }
}

async fn row_of(
    schedule: &Schedule<impl Table>,
    partition: &ParkedPartition,
) -> PortResult<Option<EndpointRow>> {
    let rows = schedule.endpoint_rows(partition.shard()).await?;
    Ok(rows.into_iter().find(|row| row.partition == *partition))
}
