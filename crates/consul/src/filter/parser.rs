//! From words to a condition.

use regex::{Regex, RegexBuilder};

use super::lexer::{Token, tokens};

/// Deepest nesting of `not` and parentheses.
const MAX_DEPTH: usize = 32;
/// Largest compiled regular expression, in bytes.
const MAX_REGEX: usize = 256 << 10;

/// A condition.
#[derive(Debug)]
pub(super) enum Expression {
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    /// A field, and what it is asked.
    Is(Vec<String>, Question),
}

/// What a field is asked.
#[derive(Debug)]
pub(super) enum Question {
    Equals(String),
    Contains(String),
    Matches(Regex),
    Empty,
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Expression, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0 };
    let expression = parser.or(0)?;
    match parser.next() {
        None => Ok(expression),
        Some(token) => Err(format!("the expression should end before {}", show(&token))),
    }
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    /// Takes a keyword if it is next.
    fn word(&mut self, word: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Word(next)) if next.eq_ignore_ascii_case(word));
        self.at += usize::from(is);
        is
    }

    fn token(&mut self, token: &Token) -> bool {
        let is = self.peek() == Some(token);
        self.at += usize::from(is);
        is
    }

    fn or(&mut self, depth: usize) -> Result<Expression, String> {
        let mut parts = vec![self.and(depth)?];
        while self.word("or") {
            parts.push(self.and(depth)?);
        }
        Ok(single(parts, Expression::Or))
    }

    fn and(&mut self, depth: usize) -> Result<Expression, String> {
        let mut parts = vec![self.not(depth)?];
        while self.word("and") {
            parts.push(self.not(depth)?);
        }
        Ok(single(parts, Expression::And))
    }

    fn not(&mut self, depth: usize) -> Result<Expression, String> {
        if depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} conditions are nested"));
        }
        if self.word("not") {
            return Ok(Expression::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.token(&Token::Open) {
            let inner = self.or(depth + 1)?;
            if !self.token(&Token::Close) {
                return Err("a parenthesis is not closed".into());
            }
            return Ok(inner);
        }
        self.question()
    }

    /// `field op value`, `field is empty`, or `value in field`.
    fn question(&mut self) -> Result<Expression, String> {
        let start = self.at;
        let value = match self.next() {
            Some(Token::Text(text)) => text,
            Some(Token::Word(word)) => word,
            Some(token) => return Err(format!("{} is neither a field nor a value", show(&token))),
            None => return Err("a field or a value is missing at the end".into()),
        };
        // A value may look like a field, so what follows it decides.
        if let Some(negated) = self.in_() {
            let field = self.field()?;
            return Ok(negate(negated, Expression::Is(field, Question::Contains(value))));
        }
        self.at = start;
        let field = self.field()?;
        if let Some(negated) = self.in_() {
            let inner = self.field()?;
            return Ok(negate(negated, Expression::Is(inner, Question::Contains(field.join(".")))));
        }
        let (negated, question) = self.operator()?;
        Ok(negate(negated, Expression::Is(field, question)))
    }

    /// `in` or `not in`, if it is next: whether it is the latter.
    fn in_(&mut self) -> Option<bool> {
        let start = self.at;
        let negated = self.word("not");
        if self.word("in") {
            return Some(negated);
        }
        self.at = start;
        None
    }

    fn operator(&mut self) -> Result<(bool, Question), String> {
        if self.token(&Token::Equal) {
            return Ok((false, Question::Equals(self.value()?)));
        }
        if self.token(&Token::NotEqual) {
            return Ok((true, Question::Equals(self.value()?)));
        }
        if self.word("is") {
            let negated = self.word("not");
            return if self.word("empty") {
                Ok((negated, Question::Empty))
            } else {
                Err("after `is` comes `empty` or `not empty`".into())
            };
        }
        let negated = self.word("not");
        if self.word("contains") {
            return Ok((negated, Question::Contains(self.value()?)));
        }
        if self.word("matches") {
            let pattern = self.value()?;
            let regex = RegexBuilder::new(&pattern).size_limit(MAX_REGEX).dfa_size_limit(MAX_REGEX).build();
            return Ok((negated, Question::Matches(regex.map_err(|error| error.to_string())?)));
        }
        match self.next() {
            Some(token) => Err(format!("{} is no operator", show(&token))),
            None => Err("an operator is missing at the end".into()),
        }
    }

    /// `Name.Name["name"]`, or a JSON pointer in quotes.
    fn field(&mut self) -> Result<Vec<String>, String> {
        let mut path = match self.next() {
            Some(Token::Word(word)) if word.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                vec![word]
            }
            Some(Token::Text(text)) if text.starts_with('/') => {
                let step = |step: &str| step.replace("~1", "/").replace("~0", "~");
                return Ok(text[1..].split('/').map(step).collect());
            }
            Some(token) => return Err(format!("{} is no field", show(&token))),
            None => return Err("a field is missing at the end".into()),
        };
        loop {
            if self.token(&Token::Dot) {
                match self.next() {
                    Some(Token::Word(word)) => path.push(word),
                    _ => return Err("after a dot comes a name".into()),
                }
            } else if self.token(&Token::OpenIndex) {
                match (self.next(), self.next()) {
                    (Some(Token::Text(text)), Some(Token::CloseIndex)) => path.push(text),
                    _ => return Err("between brackets comes a name in quotes".into()),
                }
            } else {
                return Ok(path);
            }
        }
    }

    /// A text, a number, or a word that stands for itself.
    fn value(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Text(text)) => Ok(text),
            Some(Token::Word(mut word)) => {
                while self.token(&Token::Dot) {
                    match self.next() {
                        Some(Token::Word(more)) => word = format!("{word}.{more}"),
                        _ => return Err("after a dot comes a name".into()),
                    }
                }
                Ok(word)
            }
            Some(token) => Err(format!("{} is no value", show(&token))),
            None => Err("a value is missing at the end".into()),
        }
    }
}

fn single(mut parts: Vec<Expression>, join: impl Fn(Vec<Expression>) -> Expression) -> Expression {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            join(parts)
        }
    }
}

fn negate(negated: bool, expression: Expression) -> Expression {
    if negated { Expression::Not(Box::new(expression)) } else { expression }
}

fn show(token: &Token) -> String {
    match token {
        Token::Word(word) => format!("{word:?}"),
        Token::Text(text) => format!("the text {text:?}"),
        Token::Equal => "==".into(),
        Token::NotEqual => "!=".into(),
        Token::Open => "(".into(),
        Token::Close => ")".into(),
        Token::OpenIndex => "[".into(),
        Token::CloseIndex => "]".into(),
        Token::Dot => "a dot".into(),
    }
}
