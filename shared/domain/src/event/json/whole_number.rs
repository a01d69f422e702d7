//! Whole numbers that are written with a fraction.

/// Returns the digits of a whole number that is written with a fraction of zeros: `43.0` is the integer 43, as in JSON
/// Schema. Any other text is returned unchanged.
#[must_use]
pub fn without_zero_fraction(number: &str) -> &str {
    let parts = number.split_once('.').filter(|(_, zeros)| zeros.bytes().all(|digit| digit == b'0'));
    parts.map_or(number, |(digits, _)| digits)
}
