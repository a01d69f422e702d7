//! A scanner for the grammar of RFC 8259, with the rules that the RFC leaves to its readers.

use std::collections::BTreeSet;

use super::pointer::Step;
use super::rule::{Bounds, MAX_NUMBER_CHARS, Rule};

/// Reads a text once. It stops at the first broken rule; then `path` leads to the value that breaks it.
pub(super) struct Scanner<'a> {
    /// The text, in valid UTF-8.
    bytes: &'a [u8],
    /// The offset of the next byte.
    at: usize,
    bounds: Bounds,
    /// The number of further values that the bounds allow.
    nodes_left: usize,
    /// The steps from the whole text to the current value.
    pub(super) path: Vec<Step>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8], bounds: Bounds) -> Self {
        Self { bytes, at: 0, bounds, nodes_left: bounds.nodes, path: Vec::new() }
    }

    /// Reads the whole text.
    pub(super) fn text(&mut self) -> Result<(), Rule> {
        self.value(self.bounds.depth)?;
        if self.at == self.bytes.len() { Ok(()) } else { Err(Rule::Syntax(self.at)) }
    }

    /// Returns the number of values read so far.
    pub(super) fn nodes(&self) -> usize {
        self.bounds.nodes - self.nodes_left
    }

    /// Reads a value and the white space around it. `depth` bounds the recursion.
    fn value(&mut self, depth: usize) -> Result<(), Rule> {
        self.nodes_left = self.nodes_left.checked_sub(1).ok_or(Rule::Nodes(self.bounds.nodes))?;
        self.space();
        let too_deep = Rule::Depth(self.bounds.depth);
        match self.peek() {
            Some(b'{') => self.object(depth.checked_sub(1).ok_or(too_deep)?),
            Some(b'[') => self.array(depth.checked_sub(1).ok_or(too_deep)?),
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.literal(),
        }?;
        self.space();
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), Rule> {
        let mut keys = BTreeSet::new();
        self.at += 1;
        self.space();
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            self.space();
            let key = self.string()?;
            self.path.push(Step::Key(key.clone()));
            if !keys.insert(key) {
                return Err(Rule::RepeatedKey);
            }
            self.space();
            self.expect(b':')?;
            self.value(depth)?;
            self.path.pop();
            if !self.eat(b',') {
                return self.expect(b'}');
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Rule> {
        self.at += 1;
        self.space();
        if self.eat(b']') {
            return Ok(());
        }
        for index in 0.. {
            self.path.push(Step::Index(index));
            self.value(depth)?;
            self.path.pop();
            if !self.eat(b',') {
                break;
            }
        }
        self.expect(b']')
    }

    /// Reads a string, and returns it with its escapes decoded.
    fn string(&mut self) -> Result<String, Rule> {
        self.expect(b'"')?;
        let mut text = Vec::new();
        loop {
            match self.next()? {
                b'"' => return String::from_utf8(text).map_err(|_| Rule::Syntax(self.at)),
                b'\\' => {
                    let character = self.escape()?;
                    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                0..=0x1f => return Err(Rule::Syntax(self.at - 1)),
                byte => text.push(byte),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Rule> {
        Ok(match self.next()? {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            byte @ (b'"' | b'\\' | b'/') => char::from(byte),
            _ => return Err(Rule::Syntax(self.at - 1)),
        })
    }

    /// Reads the digits after `\u`, and the second escape of a surrogate pair, and returns the character.
    fn unicode(&mut self) -> Result<char, Rule> {
        let first = self.hex()?;
        let code = if (0xd800..0xdc00).contains(&first) && self.eat(b'\\') && self.eat(b'u') {
            let second = self.hex()?.checked_sub(0xdc00).filter(|second| *second < 0x400);
            0x1_0000 + ((first - 0xd800) << 10) + second.ok_or(Rule::UnpairedSurrogate)?
        } else {
            first
        };
        char::from_u32(code).ok_or(Rule::UnpairedSurrogate)
    }

    fn hex(&mut self) -> Result<u32, Rule> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = char::from(self.next()?).to_digit(16).ok_or(Rule::Syntax(self.at - 1))?;
            code = code * 16 + digit;
        }
        Ok(code)
    }

    fn number(&mut self) -> Result<(), Rule> {
        let begin = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        if self.at - begin > MAX_NUMBER_CHARS { Err(Rule::Number) } else { Ok(()) }
    }

    fn digits(&mut self) -> Result<(), Rule> {
        let begin = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == begin { Err(Rule::Syntax(self.at)) } else { Ok(()) }
    }

    fn literal(&mut self) -> Result<(), Rule> {
        let rest = &self.bytes[self.at..];
        let found = ["true", "false", "null"].iter().find(|word| rest.starts_with(word.as_bytes()));
        self.at += found.ok_or(Rule::Syntax(self.at))?.len();
        Ok(())
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, Rule> {
        let byte = self.peek().ok_or(Rule::Syntax(self.at))?;
        self.at += 1;
        Ok(byte)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Rule> {
        if self.eat(byte) { Ok(()) } else { Err(Rule::Syntax(self.at)) }
    }
}
