//! The size limit of a response with payloads.

/// The maximum size of the events in a response. Lambda's limit for the whole response is 6 MB.
const MAX_EVENT_BYTES: usize = 4 * 1024 * 1024;

/// The maximum size of the other members of an event.
const MEMBER_BYTES: usize = 1024;

/// The bytes that are left in a response.
#[derive(Clone, Debug)]
pub struct ResponseBudget(usize);

impl Default for ResponseBudget {
    fn default() -> Self {
        Self(MAX_EVENT_BYTES)
    }
}

impl ResponseBudget {
    /// Takes the bytes of one more event; returns whether it fits. The first event always fits.
    pub fn takes(&mut self, payload: &str) -> bool {
        let bytes = event_bytes(payload);
        let is_first = self.0 == MAX_EVENT_BYTES;
        let fits = is_first || bytes <= self.0;
        if fits {
            self.0 = self.0.saturating_sub(bytes);
        }
        fits
    }
}

/// Returns the size of an event in the response to Lambda, which is one JSON string: a quote or a backslash takes two
/// bytes, most control characters take six.
fn event_bytes(payload: &str) -> usize {
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
    fn the_first_event_always_fits_and_the_others_until_the_limit() {
        let mut full = ResponseBudget::default();
        let large = "x".repeat(MAX_EVENT_BYTES);
        assert!(full.takes(&large) && !full.takes("1"));
        let mut budget = ResponseBudget::default();
        let half = "x".repeat(MAX_EVENT_BYTES / 2 - MEMBER_BYTES);
        assert!(budget.takes(&half) && budget.takes(&half) && !budget.takes("1"));
    }

    #[test]
    fn the_escapes_of_a_payload_are_counted() {
        assert_eq!(event_bytes(r#"{"a":"\n"}"#) - MEMBER_BYTES, 10 + 5);
    }
}
