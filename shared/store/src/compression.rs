//! Payloads as they travel and lie: zstd-compressed, and back byte for byte.

use domain::event::MAX_BODY_BYTES;

/// Fast and good enough: higher levels cost more time than the bytes they save are worth.
const LEVEL: i32 = 3;

/// Compresses a payload.
pub(crate) fn compress(payload: &str) -> std::io::Result<Vec<u8>> {
    zstd::bulk::compress(payload.as_bytes(), LEVEL)
}

/// The payload that was compressed; an error for anything else, or for more bytes than an event may have.
pub(crate) fn decompress(bytes: &[u8]) -> std::io::Result<String> {
    let mut payload = zstd::bulk::decompress(bytes, MAX_BODY_BYTES)?;
    payload.shrink_to_fit(); // it reserves the most there could be
    String::from_utf8(payload).map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        for payload in [String::new(), "{\"a\": \"\\u00e9 é\"}".to_owned(), "x".repeat(MAX_BODY_BYTES)] {
            assert_eq!(decompress(&compress(&payload).unwrap()).unwrap(), payload);
        }
        assert!(decompress(b"not zstd").is_err());
        assert!(decompress(&compress(&"x".repeat(MAX_BODY_BYTES + 1)).unwrap()).is_err());
    }
}
