//! From text to words.

/// A word of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// Letters, digits and the like, without quotes: a name, a number or a keyword.
    Word(String),
    /// Between quotes.
    Text(String),
    Equal,
    NotEqual,
    Open,
    Close,
    OpenIndex,
    CloseIndex,
    Dot,
}

/// All words of a text.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, used) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '[' => (Token::OpenIndex, 1),
            ']' => (Token::CloseIndex, 1),
            '.' => (Token::Dot, 1),
            '=' if rest.starts_with("==") => (Token::Equal, 2),
            '!' if rest.starts_with("!=") => (Token::NotEqual, 2),
            '`' => raw(rest)?,
            '"' => quoted(rest)?,
            c if is_word(c) => {
                let end = word_end(rest);
                (Token::Word(rest[..end].to_owned()), end)
            }
            other => return Err(format!("{other:?} is not expected here")),
        };
        found.push(token);
        rest = rest[used..].trim_start();
    }
    Ok(found)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | ':')
}

/// A number may have a dot in it, a name ends there.
fn word_end(text: &str) -> usize {
    let number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    text.find(|c: char| !(is_word(c) || number && c == '.')).unwrap_or(text.len())
}

fn raw(text: &str) -> Result<(Token, usize), String> {
    let inner = &text[1..];
    let end = inner.find('`').ok_or("a text in backquotes has no end")?;
    Ok((Token::Text(inner[..end].to_owned()), end + 2))
}

fn quoted(text: &str) -> Result<(Token, usize), String> {
    let mut made = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Text(made), at + 1)),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => made.push('\n'),
                Some('t') => made.push('\t'),
                Some('r') => made.push('\r'),
                Some(c @ ('"' | '\\')) => made.push(c),
                _ => return Err("after \\ comes n, t, r, \\ or a quote".into()),
            },
            c => made.push(c),
        }
    }
    Err("a text in quotes has no end".into())
}
