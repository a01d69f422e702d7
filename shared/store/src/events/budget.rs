//! The size limit of a response, as Lambda counts it. Every answer that grows with what is stored is measured here.

/// The maximum size of what grows in a response. Lambda's limit for the whole response is 6 MB.
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
        self.takes_bytes(MEMBER_BYTES + encoded_bytes(payload))
    }

    /// Takes the bytes of one more value of the response, given as JSON; returns whether it fits. The first one always fits.
    pub fn takes_json(&mut self, json: &str) -> bool {
        self.takes_bytes(encoded_bytes(json) + 1) // and a comma
    }

    fn takes_bytes(&mut self, bytes: usize) -> bool {
        let is_first = self.0 == MAX_EVENT_BYTES;
        let fits = is_first || bytes <= self.0;
        if fits {
            self.0 = self.0.saturating_sub(bytes);
        }
        fits
    }
}

/// Returns the size of JSON in the response to Lambda, which is one JSON string: a quote or a backslash takes two bytes, most
/// control characters take six. Text must be JSON here: a control character within it is six bytes already, seven as counted.
fn encoded_bytes(json: &str) -> usize {
    let escapes = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 1,
        0..=0x1f => 5,
        _ => 0,
    };
    json.len() + json.bytes().map(escapes).sum::<usize>()
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
    fn json_is_as_large_as_the_string_that_holds_it() {
        for text in [r#"{"a":"\n"}"#, "\n\t\r", "\u{1}", "x"] {
            let json = serde_json::Value::from(text).to_string();
            let quotes = 2;
            assert_eq!(
                encoded_bytes(&json),
                serde_json::Value::from(json.as_str()).to_string().len() - quotes
            );
        }
        assert_eq!(encoded_bytes("\u{1}"), 6, "whitespace aside, JSON has no such character");
    }

    #[test]
    fn values_and_events_share_the_limit() {
        let mut budget = ResponseBudget::default();
        assert!(budget.takes(&"x".repeat(MAX_EVENT_BYTES - MEMBER_BYTES - 7)));
        assert!(!budget.takes_json("1234567") && budget.takes_json("123456") && !budget.takes_json("1"));
    }
}
