//! JSON pointers (RFC 6901) in error texts.

/// The largest size of a JSON pointer in an error, in bytes. A longer pointer ends at the last value that fits.
const MAX_POINTER_BYTES: usize = 1024;

/// The largest number of characters that an error text repeats of a client's text.
const MAX_QUOTED_CHARS: usize = 120;

/// One step from a value to a value inside it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// Returns the pointer of a member at the top of the text.
#[must_use]
pub fn pointer_to(key: &str) -> String {
    pointer(&[Step::Key(key.to_owned())])
}

/// Returns the pointer of the value at the end of the path. The keys are a client's and may be long, so a long pointer is
/// cut.
pub(super) fn pointer<'a>(path: impl IntoIterator<Item = &'a Step>) -> String {
    let mut pointer = String::new();
    for step in path {
        let token = match step {
            Step::Key(key) => key.replace('~', "~0").replace('/', "~1"),
            Step::Index(index) => index.to_string(),
        };
        if pointer.len() + token.len() > MAX_POINTER_BYTES {
            break;
        }
        pointer.push('/');
        pointer.push_str(&token);
    }
    pointer
}

/// Returns the beginning of a client's text, as much as an error text repeats.
#[must_use]
pub fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
