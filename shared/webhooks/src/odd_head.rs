//! Reads the head of an answer that is not valid HTTP after its status line: receivers exist that send header names with
//! spaces, folded lines, control bytes, two lengths or hundreds of headers. The status line decides in all these cases.

/// What is used of such a head.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct OddHead<'a> {
    /// The HTTP status.
    pub(super) code: u16,
    lines: &'a [u8],
    /// What follows the head, as far as it was read.
    pub(super) body: &'a [u8],
}

impl<'a> OddHead<'a> {
    /// Reads the first final head of these bytes. Returns `None` without a complete status line (RFC 9112 section 4).
    pub(super) fn read(mut bytes: &'a [u8]) -> Option<Self> {
        loop {
            let (line, rest) = split_line(bytes)?;
            let code = status(line)?;
            let (lines, body) = split_head(rest);
            let is_interim = (100..200).contains(&code) && code != 101;
            if !is_interim {
                return Some(Self { code, lines, body });
            }
            bytes = body; // 1xx: the final answer follows (RFC 9110 section 15.2)
        }
    }

    /// Returns the value of the first header with this name, if it is UTF-8.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.lines;
        while let Some((line, next)) = split_line(rest) {
            rest = next;
            let (own, value) =
                str::from_utf8(line).ok().and_then(|line| line.split_once(':')).unwrap_or_default();
            if own.trim().eq_ignore_ascii_case(name) {
                return Some(value.trim());
            }
        }
        None
    }
}

/// Reads the status of a status line: `HTTP/1.`, a digit, a space, and three digits from 100.
fn status(line: &[u8]) -> Option<u16> {
    let [digit, b' ', code @ ..] = line.strip_prefix(b"HTTP/1.")? else { return None };
    let (digits, reason) = code.split_at_checked(3)?;
    let is_complete = reason.is_empty() || reason.starts_with(b" ");
    if !digit.is_ascii_digit() || !digits.iter().all(u8::is_ascii_digit) || !is_complete {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok().filter(|code| *code >= 100)
}

/// Splits the first line off, without its end. Returns `None` without the end of a line.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = &bytes[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &bytes[end + 1..]))
}

/// Splits the lines of a head from what follows the empty line.
fn split_head(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut rest = bytes;
    while let Some((line, next)) = split_line(rest) {
        if line.is_empty() {
            return (&bytes[..bytes.len() - rest.len()], next);
        }
        rest = next;
    }
    (bytes, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(bytes: &[u8]) -> Option<u16> {
        OddHead::read(bytes).map(|head| head.code)
    }

    #[test]
    fn the_first_complete_final_status_line_decides() {
        assert_eq!(code(b"HTTP/1.1 200 OK\r\nbad header\r\n"), Some(200));
        assert_eq!(code(b"HTTP/1.0 500\n"), Some(500));
        assert_eq!(code(b"HTTP/1.1 103 Early\r\na b: c\r\n\r\nHTTP/1.1 204 .\r\n"), Some(204));
        assert_eq!(code(b"HTTP/1.1 101 Switching\r\n"), Some(101));
        for wrong in [
            &b""[..],
            b"HTTP/1.1 200 OK",
            b"HTTP/1.1 103 Early\r\na: b\r\n",
            b"HTTP/1.1 99 Low\r\n",
            b"HTTP/1.1 2000 OK\r\n",
            b"HTTP/2 200\r\n",
            b"<html>\r\n",
        ] {
            assert_eq!(code(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn headers_are_found_between_lines_that_are_none() {
        let head =
            OddHead::read(b"HTTP/1.1 503 .\r\nno colon\r\nRETRY-AFTER : 7\r\n folded\r\n\r\nbody").unwrap();
        assert_eq!((head.header("retry-after"), head.header("location")), (Some("7"), None));
        assert_eq!(head.body, b"body");
    }
}
