//! How much one answer holds.

/// An answer stops here and gives a cursor: Lambda's own bound is 6 MB.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// The most that an event's other members take of it.
const MEMBER_BYTES: usize = 1024;

/// What is left of an answer's room.
#[derive(Clone, Debug)]
pub struct ResponseBudget(usize);

impl Default for ResponseBudget {
    fn default() -> Self {
        Self(MAX_PAGE_BYTES)
    }
}

impl ResponseBudget {
    /// Whether one more event finds room; the first does in any case.
    pub fn takes(&mut self, payload: &str) -> bool {
        let (bytes, is_first) = (answer_bytes(payload), self.0 == MAX_PAGE_BYTES);
        let fits = is_first || bytes <= self.0;
        if fits {
            self.0 = self.0.saturating_sub(bytes);
        }
        fits
    }
}

/// What a payload takes of Lambda's 6 MB, where the whole answer is one JSON string: quotes and backslashes count twice,
/// other control characters six times; and the members around it.
fn answer_bytes(payload: &str) -> usize {
    let escapes = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 1,
        0..=0x1f => 5,
        _ => 0,
    };
    MEMBER_BYTES + payload.len() + payload.bytes().map(escapes).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_room_for_its_first_event_and_for_so_many_more() {
        let (mut room, large) = (ResponseBudget::default(), "x".repeat(MAX_PAGE_BYTES));
        assert!(room.takes(&large) && !room.takes("1"));
        let mut room = ResponseBudget::default();
        let half = "x".repeat(MAX_PAGE_BYTES / 2 - MEMBER_BYTES);
        assert!(room.takes(&half) && room.takes(&half) && !room.takes("1"));
    }

    #[test]
    fn a_payload_counts_as_it_is_escaped() {
        assert_eq!(answer_bytes(r#"{"a":"\n"}"#) - MEMBER_BYTES, 10 + 5);
    }
}
