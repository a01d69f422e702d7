//! The compression of payloads in queues and tables, with zstd.

use std::cell::RefCell;
use std::io;

use domain::event::MAX_BODY_BYTES;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::get_frame_content_size;

/// The compression level. Higher levels take more time and save few bytes.
const LEVEL: i32 = 3;

thread_local! {
    // Each thread keeps both: to make one asks the processor what it can do, and a virtual machine answers slowly.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Compresses a payload.
pub(crate) fn compress(payload: &str) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| match kept {
        Some(compressor) => compressor.compress(payload.as_bytes()),
        None => kept.insert(Compressor::new(LEVEL)?).compress(payload.as_bytes()),
    })
}

/// Decompresses a payload. Fails if the bytes are not a compressed payload, or the payload is longer than a whole
/// CloudEvent can be.
pub(crate) fn decompress(bytes: &[u8]) -> io::Result<String> {
    let size = get_frame_content_size(bytes).ok().flatten();
    let size = size
        .and_then(|size| usize::try_from(size).ok())
        .map_or(MAX_BODY_BYTES, |size| size.min(MAX_BODY_BYTES));
    let payload = DECOMPRESSOR.with_borrow_mut(|kept| match kept {
        Some(decompressor) => decompressor.decompress(bytes, size),
        None => kept.insert(Decompressor::new()?).decompress(bytes, size),
    })?;
    String::from_utf8(payload).map_err(io::Error::other)
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
