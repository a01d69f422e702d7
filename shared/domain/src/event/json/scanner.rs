//! The grammar of RFC 8259, and the rules that it leaves open.

use std::collections::BTreeSet;

use crate::event::json::{MAX_NUMBER_CHARS, Rule};

/// One step from a value to one within it.
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// Walks over a text once; where a rule is broken it stops, and `path` leads there.
pub(super) struct Scanner<'a> {
    /// Valid UTF-8.
    bytes: &'a [u8],
    at: usize,
    /// How many more values there may be.
    pub(super) nodes_left: usize,
    /// From the whole text to the value at hand.
    pub(super) path: Vec<Step>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8], nodes: usize) -> Self {
        Self { bytes, at: 0, nodes_left: nodes, path: Vec::new() }
    }

    /// The whole text.
    pub(super) fn text(&mut self, depth: usize) -> Result<(), Rule> {
        self.value(depth)?;
        if self.at == self.bytes.len() { Ok(()) } else { Err(Rule::Syntax(self.at)) }
    }

    /// A value and the space around it; recursion is bounded by `depth`.
    fn value(&mut self, depth: usize) -> Result<(), Rule> {
        self.nodes_left = self.nodes_left.checked_sub(1).ok_or(Rule::Nodes)?;
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth.checked_sub(1).ok_or(Rule::Depth)?),
            Some(b'[') => self.array(depth.checked_sub(1).ok_or(Rule::Depth)?),
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

    /// A string; what it says, its escapes resolved.
    fn string(&mut self) -> Result<String, Rule> {
        self.expect(b'"')?;
        let mut said = Vec::new();
        loop {
            match self.next()? {
                b'"' => return String::from_utf8(said).map_err(|_| Rule::Syntax(self.at)),
                b'\\' => {
                    let character = self.escape()?;
                    said.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                0..=0x1f => return Err(Rule::Syntax(self.at - 1)),
                byte => said.push(byte),
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

    /// The character of `\uXXXX`, or of two of them that are a surrogate pair.
    fn unicode(&mut self) -> Result<char, Rule> {
        let first = self.hex()?;
        let code = if (0xd800..0xdc00).contains(&first) && self.eat(b'\\') && self.eat(b'u') {
            let second = self.hex()?.checked_sub(0xdc00).filter(|second| *second < 0x400);
            0x1_0000 + ((first - 0xd800) << 10) + second.ok_or(Rule::HalfCharacter)?
        } else {
            first
        };
        char::from_u32(code).ok_or(Rule::HalfCharacter)
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
