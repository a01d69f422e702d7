//! The trace of a client's request (W3C Trace Context, <https://www.w3.org/TR/trace-context/>). It is carried to the webhooks of its
//! events. The span of the client is not kept: each webhook has a span of its own.

use std::fmt;
use std::num::NonZeroU64;

/// The header of a request and of a webhook.
pub const HEADER: &str = "traceparent";

/// The length of a header of version 00, which is the beginning of every later version.
const LENGTH: usize = 55;

/// A trace: its id, and the flags of the client. The text is the id.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Trace {
    id: u128,
    flags: u8,
}

impl Trace {
    /// Reads the header; `None` if it is not valid, which the standard treats like no header.
    ///
    /// ```
    /// use domain::trace::Trace;
    ///
    /// let trace = Trace::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    /// assert_eq!(trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    /// ```
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let (head, tail) = header.split_at_checked(LENGTH)?;
        let parts: Vec<&str> = head.split('-').collect();
        let [version, id, span, flags] = parts.try_into().ok()?;
        let is_known = tail.is_empty() || (version != "00" && tail.starts_with('-'));
        if !is_known || version == "ff" || hex(version, 2).is_none() || hex(span, 16)? == 0 {
            return None;
        }
        let flags = u8::try_from(hex(flags, 2)?).ok()?;
        Some(Self { id: hex(id, 32)?, flags }).filter(|trace| trace.id != 0)
    }

    /// Returns the header of a request with this span.
    #[must_use]
    pub fn to_header(self, span: NonZeroU64) -> String {
        format!("00-{self}-{span:016x}-{:02x}", self.flags & 1) // version 00 knows one flag: sampled
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.id)
    }
}

/// Reads lower-case hexadecimal digits, exactly as many.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let are_digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (text.len() == digits && are_digits).then(|| u128::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_valid_header_keeps_its_id_and_flag_and_gets_another_span() {
        let span = NonZeroU64::new(7).unwrap();
        for (header, flags) in [
            (format!("00-{ID}-00f067aa0ba902b7-01"), "01"),
            (format!("00-{ID}-00f067aa0ba902b7-02"), "00"),
            (format!("cc-{ID}-00f067aa0ba902b7-01"), "01"),
            (format!("cc-{ID}-00f067aa0ba902b7-01-what-comes-later"), "01"),
        ] {
            let trace = Trace::parse(&header).unwrap();
            assert_eq!(trace.to_header(span), format!("00-{ID}-0000000000000007-{flags}"));
            assert_eq!(Trace::parse(&trace.to_header(span)).map(|trace| trace.id), Some(trace.id));
        }
    }

    #[test]
    fn any_other_header_is_no_trace() {
        for header in [
            String::new(),
            "canary".to_owned(),
            format!("ff-{ID}-00f067aa0ba902b7-01"),
            format!("00-{ID}-00f067aa0ba902b7-01-more"),
            format!("00-{ID}-00f067aa0ba902b7-0"),
            format!("00-{ID}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{}-00f067aa0ba902b7-01", ID.to_uppercase()),
            format!("00-+{}-00f067aa0ba902b7-01", &ID[1..]),
            format!("00-{ID}-00f067aa0ba902b7-ä"),
            format!("00 {ID} 00f067aa0ba902b7 01"),
        ] {
            assert_eq!(Trace::parse(&header), None, "{header}");
        }
    }
}
