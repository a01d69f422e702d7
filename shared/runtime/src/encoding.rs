//! Decodes a request body that is compressed: `Content-Encoding: gzip` (RFC 1952) or `zstd` (RFC 8878).
//!
//! A limit holds for what is decoded. Decoding stops one byte after it, so a small body that decodes to gigabytes costs no
//! more than a body of the limit.

use std::borrow::Cow;
use std::io::{self, Read};

use domain::event::json::pointer::shortened;
use domain::problem::{Kind, Problem};
use flate2::bufread::MultiGzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// The largest window of zstd, as a power of two: 8 MiB, as RFC 9659 allows. It bounds the memory of a decoder.
const MAX_ZSTD_WINDOW_LOG: u32 = 23;

/// A content encoding that is decoded here.
#[derive(Clone, Copy)]
enum Encoding {
    Gzip,
    Zstd,
}

/// Returns the body without its content encoding. A body without one is returned as it is, whatever its size.
///
/// # Errors
/// 415 for another content encoding, 400 for a body that is not encoded as it says, 413 for one that has more than `limit`
/// bytes when it is decoded.
pub fn decode<'a>(headers: &HeaderMap, body: &'a [u8], limit: usize) -> Result<Cow<'a, [u8]>, Problem> {
    let Some(encoding) = encoding(headers)? else { return Ok(Cow::Borrowed(body)) };
    let mut decoded = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let (name, result) = match encoding {
        Encoding::Gzip => ("gzip", MultiGzDecoder::new(body).take(most).read_to_end(&mut decoded)),
        Encoding::Zstd => {
            let result = zstd(body).and_then(|decoder| decoder.take(most).read_to_end(&mut decoded));
            ("zstd with a window of at most 8 MiB", result)
        }
    };
    if result.is_err() {
        let detail = format!(
            "the body is not valid {name}, although Content-Encoding says so; correct it, or send the body without it"
        );
        return Err(Problem::new(Kind::Malformed, detail));
    }
    if decoded.len() > limit {
        let detail =
            format!("the decoded body has more than {limit} bytes, the maximum; send a smaller body");
        return Err(Problem::new(Kind::TooLarge, detail));
    }
    Ok(Cow::Owned(decoded))
}

fn zstd(body: &[u8]) -> io::Result<impl Read> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
    decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
    Ok(decoder)
}

/// Returns the content encoding of a request; `None` for none, an empty one, and `identity`.
fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>, Problem> {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    let texts: Vec<String> =
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase()).collect();
    let names = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
    let mut names = names.filter(|name| !matches!(*name, "" | "identity"));
    let encoding = match names.next() {
        None => return Ok(None),
        Some("gzip" | "x-gzip") => Encoding::Gzip,
        Some("zstd") => Encoding::Zstd,
        Some(other) => return Err(unsupported(other)),
    };
    names.next().map_or(Ok(Some(encoding)), |second| Err(unsupported(second)))
}

fn unsupported(found: &str) -> Problem {
    let found = shortened(found);
    let detail =
        format!("Unsupported Content-Encoding `{found}`; send one of `gzip`, `zstd`, `identity`, or none");
    Problem::new(Kind::UnsupportedMediaType, detail)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const LIMIT: usize = 1000;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(body: &[u8]) -> Vec<u8> {
        ::zstd::stream::encode_all(body, 3).unwrap()
    }

    fn decoded(encoding: &str, body: &[u8]) -> Result<Vec<u8>, Kind> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, encoding.parse().unwrap());
        decode(&headers, body, LIMIT).map(Cow::into_owned).map_err(|problem| problem.kind)
    }

    #[test]
    fn a_compressed_body_is_decoded() {
        let body = b"{\"a\":1}";
        for (encoding, encoded) in [
            ("gzip", gzip(body)),
            ("GZip", gzip(body)),
            ("x-gzip", gzip(body)),
            ("identity, zstd", zstd(body)),
        ] {
            assert_eq!(decoded(encoding, &encoded).as_deref(), Ok(&body[..]), "{encoding}");
        }
        for none in ["", "identity", "Identity", ", identity"] {
            assert_eq!(decoded(none, body).as_deref(), Ok(&body[..]), "{none}");
        }
        let parts = [gzip(b"{\"a\""), gzip(b":1}")].concat();
        assert_eq!(decoded("gzip", &parts).as_deref(), Ok(&body[..]), "a file of two members");
    }

    #[test]
    fn another_encoding_and_two_encodings_are_refused() {
        for encoding in ["br", "deflate", "gzip, zstd", "gzip, gzip", "é"] {
            assert_eq!(decoded(encoding, b"x"), Err(Kind::UnsupportedMediaType), "{encoding}");
        }
    }

    #[test]
    fn a_body_that_is_not_encoded_as_it_says_is_malformed() {
        for (encoding, encoded) in [("gzip", gzip(b"body")), ("zstd", zstd(b"body"))] {
            assert_eq!(decoded(encoding, b"{\"a\":1}"), Err(Kind::Malformed), "{encoding}");
            assert_eq!(decoded(encoding, b""), Err(Kind::Malformed), "{encoding}");
            let cut = &encoded[..encoded.len() - 1];
            assert_eq!(decoded(encoding, cut), Err(Kind::Malformed), "{encoding}");
        }
    }

    #[test]
    fn the_limit_holds_for_what_is_decoded_and_a_bomb_is_refused_early() {
        for (encoding, encode) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("zstd", zstd)] {
            assert_eq!(decoded(encoding, &encode(&[b' '; LIMIT])).map(|body| body.len()), Ok(LIMIT));
            assert_eq!(decoded(encoding, &encode(&[b' '; LIMIT + 1])), Err(Kind::TooLarge), "{encoding}");
            let mut bomb = encode(&vec![0; 50_000_000]);
            assert_eq!(decoded(encoding, &bomb), Err(Kind::TooLarge), "{encoding}");
            bomb.truncate(bomb.len() - 1); // the end is never read
            assert_eq!(decoded(encoding, &bomb), Err(Kind::TooLarge), "{encoding}");
        }
    }

    #[test]
    fn a_frame_that_wants_a_large_window_is_refused() {
        let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"body").unwrap();
        assert_eq!(decoded("zstd", &encoder.finish().unwrap()), Err(Kind::Malformed));
    }
}
