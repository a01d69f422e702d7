//! Links that lead out of `docs`. The book has no other file of the repository, so they become links in it or plain text.

use std::path::Path;

/// The chapter that shows README.md. In the repository it is a page that leads there.
pub(crate) const START: &str = "start.md";

/// Files that have another place in the book.
const PLACES: [(&str, &str); 4] = [
    ("README.md", START),
    ("SECURITY.md", "security.md"),
    ("docs/decisions/README.md", "decisions/index.md"),
    ("infra/openapi.json", "openapi.json"),
];

/// Returns the text of a chapter with its links changed.
pub(crate) fn change_links(chapter: &Path, text: &str) -> String {
    let is_nested = chapter.parent().is_some_and(|folder| folder != Path::new(""));
    if is_nested {
        return text.to_owned(); // `../` leads to another chapter
    }
    changed(text, |target| match target.strip_prefix("../") {
        Some(path) => path.to_owned(),
        None => format!("docs/{target}"),
    })
}

/// Returns the start page: README.md, and the last paragraph of the page in `docs`, which says where to go next.
pub(crate) fn start_page(readme: &str, page: &str) -> String {
    let next = page.trim_end().rsplit_once("\n\n").map_or("", |(_, last)| last);
    format!("{}\n{next}\n", changed(readme, str::to_owned))
}

/// Returns a text with its links changed. `path_of` returns the path of a target from the root of the repository.
fn changed(text: &str, path_of: impl Fn(&str) -> String) -> String {
    let (mut changed, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("](") {
        let Some((target, following)) = after.split_once(')') else { break };
        match (find_place(target, &path_of), before.rfind('[')) {
            (None, Some(start)) => changed.extend([&before[..start], &before[start + 1..]]),
            (place, _) => changed.extend([before, "](", place.as_deref().unwrap_or(target), ")"]),
        }
        rest = following;
    }
    changed + rest
}

/// Returns where the target of a link is in the book, if the book has it.
fn find_place(target: &str, path_of: impl Fn(&str) -> String) -> Option<String> {
    if target.starts_with("http") || target.starts_with('#') {
        return Some(target.to_owned());
    }
    let path = path_of(target);
    let place = PLACES.iter().find(|(file, _)| *file == path).map(|(_, place)| *place);
    place.or_else(|| path.strip_prefix("docs/")).map(str::to_owned)
}
