//! Texts that people read in lists, logs and terminals, such as the name of an organization.

/// Characters that a reader does not see, and that change what is read: separators of lines, direction marks, overrides and
/// isolates (Unicode Standard Annex #9), and the byte order mark.
const HIDDEN: [std::ops::RangeInclusive<char>; 6] = [
    '\u{61c}'..='\u{61c}',
    '\u{200b}'..='\u{200b}',
    '\u{200e}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2066}'..='\u{2069}',
    '\u{feff}'..='\u{feff}',
];

/// Returns the first character that a plain text must not have: a control character, as in line breaks and escape sequences
/// of terminals, or a hidden one.
#[must_use]
pub fn first_forbidden(text: &str) -> Option<char> {
    text.chars().find(|c| c.is_control() || HIDDEN.iter().any(|hidden| hidden.contains(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_all_languages_are_plain_and_texts_that_deceive_are_not() {
        for plain in ["", "Müller & Söhne", "株式会社", "شركة", "חברה", "👩\u{200d}🔧 tools", "a\u{a0}b"]
        {
            assert_eq!(first_forbidden(plain), None, "{plain}");
        }
        for (text, found) in [
            ("a\nb", '\n'),
            ("\u{1b}[31mred", '\u{1b}'),
            ("a\0", '\0'),
            ("\u{9b}31m", '\u{9b}'),
            ("abc\u{202e}gpj.exe", '\u{202e}'),
            ("a\u{2066}b", '\u{2066}'),
            ("a\u{2028}b", '\u{2028}'),
        ] {
            assert_eq!(first_forbidden(text), Some(found), "{text:?}");
        }
    }
}
