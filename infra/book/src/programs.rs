//! Programs in the pages. A page has the text of a program between two comments that name its source, so that a reader of the
//! repository sees it as well as a reader of the book:
//!
//! ````text
//! <!-- begin examples/worker/worker.py:work -->
//! ```python
//! ...
//! ```
//! <!-- end examples/worker/worker.py:work -->
//! ````
//!
//! After the colon is the name of the part: the lines between `ANCHOR: work` and `ANCHOR_END: work`. Without it, it is the whole
//! file.

use std::io;

const BEGIN: &str = "<!-- begin ";
const END: &str = "<!-- end ";
const CLOSE: &str = " -->";

/// Returns the page with the present text of each program. `read` returns a file of the repository.
///
/// # Errors
/// When a source cannot be read or has no such part, or when a page does not end a program that it begins.
pub(crate) fn update(page: &str, read: impl Fn(&str) -> io::Result<String>) -> io::Result<String> {
    let (mut updated, mut lines) = (String::new(), page.lines());
    while let Some(line) = lines.next() {
        updated.extend([line, "\n"]);
        let Some(source) = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(CLOSE)) else {
            continue;
        };
        let end = format!("{END}{source}{CLOSE}");
        let fence = lines.next().filter(|line| line.starts_with("```"));
        let fence =
            fence.ok_or_else(|| wrong(format!("the line after `{line}` must open a block; add it")))?;
        if !lines.by_ref().any(|line| line == end) {
            return Err(wrong(format!("the page has no `{end}`; add it")));
        }
        updated.extend([fence, "\n", &part(source, &read)?, "```\n", &end, "\n"]);
    }
    Ok(updated)
}

/// Returns a part of a file, or the whole file, without the lines that name its parts.
fn part(source: &str, read: impl Fn(&str) -> io::Result<String>) -> io::Result<String> {
    let (path, name) = source.split_once(':').map_or((source, None), |(path, name)| (path, Some(name)));
    let text = read(path).map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))?;
    let (mut found, mut is_inside) = (String::new(), name.is_none());
    for line in text.lines() {
        let anchor = |word: &str| line.split_once(word).map(|(_, name)| name.trim());
        if let Some(ended) = anchor("ANCHOR_END: ") {
            is_inside &= name != Some(ended);
        } else if let Some(begun) = anchor("ANCHOR: ") {
            is_inside |= name == Some(begun);
        } else if is_inside {
            found.extend([line, "\n"]);
        }
    }
    if found.is_empty() { Err(wrong(format!("{path} has no part {name:?}"))) } else { Ok(found) }
}

fn wrong(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "import os\n# ANCHOR: work\nwork()\n# ANCHOR_END: work\nrest()\n";

    fn updated(page: &str) -> io::Result<String> {
        update(
            page,
            |path| if path == "a.py" { Ok(SOURCE.to_owned()) } else { Err(io::ErrorKind::NotFound.into()) },
        )
    }

    fn page(name: &str, text: &str) -> String {
        format!("Before.\n\n<!-- begin {name} -->\n```python\n{text}```\n<!-- end {name} -->\n\nAfter.\n")
    }

    #[test]
    fn a_part_and_a_whole_file_take_the_place_of_what_is_there() {
        for (name, text) in [("a.py:work", "work()\n"), ("a.py", "import os\nwork()\nrest()\n")] {
            for old in ["", "old()\n", text] {
                assert_eq!(updated(&page(name, old)).unwrap(), page(name, text));
            }
        }
        assert_eq!(updated("No program.\n").unwrap(), "No program.\n");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let reason = |page: &str| updated(page).unwrap_err().to_string();
        assert!(reason(&page("b.py", "")).starts_with("b.py: "));
        assert!(reason(&page("a.py:other", "")).contains("other"));
        assert!(reason("<!-- begin a.py -->\n```python\n").contains("<!-- end a.py -->"));
        assert!(reason("<!-- begin a.py -->\nText\n").contains("must open a block"));
    }
}
