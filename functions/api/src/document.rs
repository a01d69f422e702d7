//! A document that is compiled into the function: compressed before, or once per process, and sent only to clients that do
//! not have it yet.

use std::io::{self, Read, Write};

use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use domain::id;
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use http::StatusCode;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    IF_NONE_MATCH, VARY,
};

/// The caching of a document that a cache may use for five minutes without asking. A deploy changes it, so the time is short.
pub(crate) const BRIEF: &str = "public, max-age=300";

/// The caching of a document that belongs to others: a cache asks each time whether it has the newest one.
pub(crate) const CHECKED: &str = "no-cache";

/// A document.
pub(crate) struct Document {
    content_type: &'static str,
    caching: &'static str,
    /// The text as it is. `None` if only the compressed one is kept.
    text: Option<Bytes>,
    /// The text in gzip. `None` if it cannot be compressed: then it is sent as it is.
    compressed: Option<Bytes>,
    /// The entity tag (RFC 9110, section 8.8.3). It is weak, because both encodings have it.
    tag: String,
}

impl Document {
    /// Compresses a text. `caching` is its `Cache-Control`.
    pub(crate) fn new(
        content_type: &'static str,
        caching: &'static str,
        text: impl AsRef<str> + Into<Bytes>,
    ) -> Self {
        let tag = format!("W/\"{}\"", id::derive("", text.as_ref()));
        let compressed = gzip(text.as_ref()).ok();
        Self { content_type, caching, text: Some(text.into()), compressed, tag }
    }

    /// Takes a text that is compiled in as gzip. Nothing is read of it until a client wants it: its entity tag is the checksum
    /// and the length at the end of each gzip file (RFC 1952, section 2.3.1).
    pub(crate) fn of_gzip(
        content_type: &'static str,
        caching: &'static str,
        compressed: &'static [u8],
    ) -> Self {
        let end = compressed.last_chunk().map_or(0, |end| u64::from_le_bytes(*end));
        let tag = format!("W/\"{end:016x}\"");
        Self { content_type, caching, text: None, compressed: Some(Bytes::from_static(compressed)), tag }
    }

    /// Answers a `GET`: 304 if the client has the document, and compressed if the client decodes gzip.
    pub(crate) fn answer(&self, request: &HeaderMap) -> Response {
        let always =
            [(CACHE_CONTROL, self.caching), (ETAG, self.tag.as_str()), (VARY, ACCEPT_ENCODING.as_str())];
        if list(request, &IF_NONE_MATCH).any(|tag| tag == "*" || weak(tag) == weak(&self.tag)) {
            return (StatusCode::NOT_MODIFIED, always).into_response();
        }
        let content_type = [(CONTENT_TYPE, self.content_type)];
        match self.compressed.as_ref().filter(|_| accepts_gzip(request)) {
            Some(bytes) => {
                (always, content_type, [(CONTENT_ENCODING, "gzip")], bytes.clone()).into_response()
            }
            None => (always, content_type, self.plain()).into_response(),
        }
    }

    /// Returns the text. A text that is kept as gzip is decompressed for each of the few clients that do not accept gzip.
    fn plain(&self) -> Bytes {
        let decompressed = || self.compressed.as_deref().map(gunzip).unwrap_or_default();
        self.text.clone().unwrap_or_else(decompressed)
    }
}

/// Decompresses what is compiled in. A story decompresses each of these files, so none of them is damaged.
fn gunzip(bytes: &[u8]) -> Bytes {
    let mut text = Vec::new();
    let _read = GzDecoder::new(bytes).read_to_end(&mut text);
    text.into()
}

fn gzip(text: &str) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes())?;
    Ok(encoder.finish()?.into())
}

/// Returns whether `Accept-Encoding` allows gzip (RFC 9110, section 12.5.3). What the header says of gzip itself counts before
/// what it says of all encodings.
fn accepts_gzip(request: &HeaderMap) -> bool {
    let weight_of = |coding: &str| {
        list(request, &ACCEPT_ENCODING).find_map(|element| {
            let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
            let weight = parameters.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
            name.trim().eq_ignore_ascii_case(coding).then(|| weight.unwrap_or(1.0))
        })
    };
    weight_of("gzip").or_else(|| weight_of("*")).is_some_and(|weight| weight > 0.0)
}

/// Returns the elements of a header with a list.
fn list<'a>(request: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = request.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Returns an entity tag for the weak comparison.
fn weak(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_only_where_the_client_accepts_it() {
        let accepts =
            |value: &str| accepts_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, value.parse().unwrap())]));
        for yes in ["gzip", "br, GZIP;q=0.5", "deflate, gzip ; q=1.0", "*", "br;q=1, *;q=0.1"] {
            assert!(accepts(yes), "{yes}");
        }
        for no in ["", "identity", "br", "gzip;q=0", "gzip;q=0.000, *", "*;q=0", "gzipped"] {
            assert!(!accepts(no), "{no}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
