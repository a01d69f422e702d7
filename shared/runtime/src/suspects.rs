//! Messages that may have ended the processes that received them. SQS does not say why a message came back: its process may have
//! ended, or a table may not have answered. So a message that comes back again and again is a suspect.
//!
//! Suspects are handled last, when all other messages are done and deleted, and in groups that become smaller with each receipt:
//!
//! | receipt | 1, 2 | 3 | 4 | 5 | 6, 7, 8 |
//! |---|---|---|---|---|---|
//! | together with | the batch | 10 suspects | 5 | 2 | none |
//!
//! After an overload nearly all messages are suspects, and most of them are still handled ten or five at a time. A message that does
//! end its process is alone after three more receipts. Messages of more receipts come first, since they have fewer left. Those of equally many
//! run in the reverse order of the receipt before, so that a message behind the one that ends its process runs before it the next time.

use std::collections::BTreeMap;

use store::queue::Queue;

use crate::batch::{Message, MessageOutcome, SUSPECT_RECEIVE_COUNT};

/// The largest number of suspects that are handled together at their first receipt as suspects.
const MOST_TOGETHER: usize = 10;

/// Handles all messages that are not suspects together, and then the suspects in groups. Deletes the messages that succeeded before
/// it begins the next group. Without suspects nothing is deleted here; SQS deletes the messages after the response.
pub async fn handle_suspects_last<R>(
    source: &impl Queue,
    messages: &[Message],
    handle: impl AsyncFn(&[&Message]) -> Vec<MessageOutcome<Result<R, String>>>,
) -> Vec<MessageOutcome<Result<R, String>>> {
    let mut outcomes = BTreeMap::new();
    let mut receipts = Vec::new(); // of messages that succeeded and are not deleted yet
    for group in groups(messages) {
        if !receipts.is_empty() {
            if let Err(error) = source.delete(&receipts).await {
                tracing::warn!(cause = %error, "messages that succeeded were not deleted before a suspect");
            }
            receipts.clear();
        }
        let of_group: Vec<&Message> = group.iter().map(|place| &messages[*place]).collect();
        for (place, outcome) in group.iter().zip(handle(&of_group).await) {
            if outcome.result.is_ok() {
                receipts.push(messages[*place].receipt.clone());
            }
            outcomes.insert(*place, outcome);
        }
    }
    outcomes.into_values().collect()
}

/// Returns the places of the messages that are handled together, in the order in which they are handled.
fn groups(messages: &[Message]) -> Vec<Vec<usize>> {
    let mut others = Vec::new();
    let mut suspects: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (place, message) in messages.iter().enumerate() {
        if message.is_suspect() {
            suspects.entry(message.receive_count).or_default().push(place);
        } else {
            others.push(place);
        }
    }
    let mut groups = vec![others];
    for (receive_count, mut places) in suspects.into_iter().rev() {
        places.sort_by_key(|place| &messages[*place].message_id);
        if receive_count % 2 == 0 {
            places.reverse();
        }
        groups.extend(places.chunks(most_together(receive_count)).map(<[usize]>::to_vec));
    }
    groups.retain(|group| !group.is_empty());
    groups
}

/// Returns the largest number of suspects that are handled together at this receipt: with each receipt half as many.
fn most_together(receive_count: u32) -> usize {
    let halvings = receive_count.saturating_sub(SUSPECT_RECEIVE_COUNT);
    MOST_TOGETHER.checked_shr(halvings).unwrap_or_default().max(1)
}

#[cfg(test)]
mod tests {
    use domain::timestamp::Timestamp;

    use super::*;

    /// The receipts after which SQS moves a message to the dead-letter queue.
    const MAX_RECEIVE_COUNT: u32 = 8;

    fn message(number: usize, receive_count: u32) -> Message {
        Message {
            message_id: format!("{number:02}"),
            receipt: String::new(),
            body: String::new(),
            receive_count,
            sent_at: Timestamp::from_millis(0),
            is_dead_letter: false,
            queue: String::new(),
        }
    }

    fn sizes(receive_counts: &[u32]) -> Vec<usize> {
        let numbered = receive_counts.iter().enumerate();
        let messages: Vec<Message> = numbered.map(|(number, count)| message(number, *count)).collect();
        groups(&messages).iter().map(Vec::len).collect()
    }

    #[test]
    fn suspects_are_handled_after_the_others_in_groups_that_become_smaller() {
        assert_eq!(groups(&[message(0, 3), message(1, 1), message(2, 2)]), [vec![1, 2], vec![0]]);
        for (receive_count, of_ten) in [(1, vec![10]), (3, vec![10]), (4, vec![5, 5]), (5, vec![2; 5])] {
            assert_eq!(sizes(&[receive_count; 10]), of_ten, "receipt {receive_count}");
        }
        for receive_count in [6, 7, 8, u32::MAX] {
            assert_eq!(sizes(&[receive_count; 10]), [1; 10], "receipt {receive_count}");
        }
        assert_eq!(groups(&[4, 1, 3, 4].map(|count| message(0, count))), [vec![1], vec![3, 0], vec![2]]);
    }

    /// Receives ten messages together again and again, one of which ends its process each time. Returns the most receipts that another
    /// message needs.
    fn receipts_beside(killer: usize) -> u32 {
        let mut left: Vec<usize> = (0..10).collect();
        for receipt in 1..=MAX_RECEIVE_COUNT {
            let batch: Vec<Message> = left.iter().map(|number| message(*number, receipt)).collect();
            let groups = groups(&batch).into_iter();
            let numbers = groups.map(|group| group.iter().map(|place| left[*place]).collect::<Vec<_>>());
            let done: Vec<usize> = numbers.take_while(|group| !group.contains(&killer)).flatten().collect();
            left.retain(|number| !done.contains(number));
            if left == [killer] {
                return receipt;
            }
        }
        panic!("only the message {killer} goes to the dead-letter queue, but {left:?} are left");
    }

    #[test]
    fn a_message_beside_one_of_more_or_fewer_receipts_that_ends_its_process_is_done_in_time() {
        for mut killer in 1..=MAX_RECEIVE_COUNT {
            for receive_count in 1..=MAX_RECEIVE_COUNT - 2 {
                let (first_killer, mut innocent) = (killer, receive_count);
                let is_first =
                    |innocent, killer| groups(&[message(0, innocent), message(1, killer)])[0] == [0];
                while killer <= MAX_RECEIVE_COUNT && !is_first(innocent, killer) {
                    (innocent, killer) = (innocent + 1, killer + 1);
                }
                assert!(innocent <= MAX_RECEIVE_COUNT, "receipt {receive_count} beside {first_killer}");
                killer = first_killer;
            }
        }
    }

    #[test]
    fn a_message_that_ends_its_process_takes_no_other_to_the_dead_letter_queue() {
        let receipts: Vec<u32> = (0..10).map(receipts_beside).collect();
        assert!(receipts.iter().all(|receipts| *receipts <= 7), "{receipts:?}");
    }
}
