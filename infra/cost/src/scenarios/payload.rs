//! Payloads that compress like those of a shop: ids and numbers differ, members and words repeat.

use std::fmt::Write;

/// Returns the JSON of a payload with about this many bytes. Each number gives another payload.
#[must_use]
pub fn payload(number: u64, bytes: usize) -> String {
    let mut random = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut json = format!(
        r#"{{"order_id":"ord_{:016x}","customer_id":"cus_{:016x}","currency":"EUR","status":"paid","lines":["#,
        next(),
        next()
    );
    while json.len() + 120 < bytes {
        let (sku, quantity, cents) = (next() % 1_000_000, next() % 9 + 1, next() % 100_000);
        // Writing to a string cannot fail.
        let _ = write!(
            json,
            r#"{{"sku":"sku-{sku:06}","name":"Article {sku}","quantity":{quantity},"price_cents":{cents},"tax":"standard"}},"#
        );
    }
    json.pop();
    json.push_str("]}");
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_have_their_size_and_are_json() {
        for bytes in [1_000, 20_000] {
            let json = payload(7, bytes);
            assert!((bytes - 130..=bytes).contains(&json.len()), "{}", json.len());
            assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
        }
    }
}
