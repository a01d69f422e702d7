//! `cargo docs`: builds the book from `docs` into `target/book`, with mdBook as a library. `cargo docs --update` first writes the
//! present text of each program into the pages.

mod links;
mod programs;

use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use mdbook_driver::MDBook;
use mdbook_driver::book::Book;
use mdbook_driver::errors::Result as BookResult;
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

/// Puts README.md on the start page, and changes the links that lead out of `docs`.
struct Chapters {
    readme: String,
}

impl Preprocessor for Chapters {
    fn name(&self) -> &'static str {
        "chapters"
    }

    fn run(&self, _: &PreprocessorContext, mut book: Book) -> BookResult<Book> {
        book.for_each_chapter_mut(|chapter| {
            let Some(path) = &chapter.source_path else { return };
            let text = links::change_links(path, &chapter.content);
            chapter.content =
                if path == Path::new(links::START) { links::start_page(&self.readme, &text) } else { text };
        });
        Ok(book)
    }
}

/// Writes the present text of each program into the pages, or fails if a page has another one.
fn update_programs(root: &Path, writes: bool) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(root.join("docs"))? {
        let path = entry?.path();
        if path.extension() != Some(OsStr::new("md")) {
            continue;
        }
        let page = fs::read_to_string(&path)?;
        let updated = programs::update(&page, |source| fs::read_to_string(root.join(source)));
        let updated = updated.map_err(|error| format!("{}: {error}", path.display()))?;
        if updated == page {
            continue;
        }
        if !writes {
            return Err(format!("{} has an old program; run `cargo docs --update`", path.display()).into());
        }
        fs::write(&path, updated)?;
        println!("{} is updated", path.display());
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let writes = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--update") => true,
        Some(other) => return Err(format!("unknown argument `{other}`; allowed: --update").into()),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    update_programs(&root, writes)?;
    let readme = fs::read_to_string(root.join("README.md"))?;
    let mut book = MDBook::load(root.join("docs"))?;
    book.with_preprocessor(Chapters { readme }).build()?;
    let built = root.join("target/book");
    fs::copy(root.join("infra/openapi.json"), built.join("openapi.json"))?;
    println!("{}", built.join("index.html").display());
    Ok(())
}
