//! The compression of payloads in queues and tables, with zstd.

use domain::event::MAX_BODY_BYTES;

/// The compression level. Higher levels take more time and save few bytes.
const LEVEL: i32 = 3;

/// Compresses a payload.
pub(crate) fn compress(payload: &str) -> std::io::Result<Vec<u8>> {
    zstd::bulk::compress(payload.as_bytes(), LEVEL)
}

/// Decompresses a payload. Fails if the bytes are not a compressed payload, or the payload is longer than a whole
/// CloudEvent can be.
pub(crate) fn decompress(bytes: &[u8]) -> std::io::Result<String> {
    let mut payload = zstd::bulk::decompress(bytes, MAX_BODY_BYTES)?;
    payload.shrink_to_fit(); // zstd reserves the maximum size
    String::from_utf8(payload).map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_decompressed_as_it_was_compressed() {
        for payload in [String::new(), "{\"a\": \"\\u00e9 é\"}".to_owned(), "x".repeat(MAX_BODY_BYTES)] {
            assert_eq!(decompress(&compress(&payload).unwrap()).unwrap(), payload);
        }
        assert!(decompress(b"not zstd").is_err());
        assert!(decompress(&compress(&"x".repeat(MAX_BODY_BYTES + 1)).unwrap()).is_err());
    }
}
