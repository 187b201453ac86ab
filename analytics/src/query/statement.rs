//! One statement that reads. Pure.
//!
//! `dial query` asks: it never changes a table, wherever it asks. What a statement is, is decided by its tokens and not by
//! a full parse, so that it does not depend on a parser knowing each of Athena's forms; what a query reads is another
//! matter ([`bound`](super::bound)).

use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word};

use super::dialect::Trino;

/// The longest statement, in bytes: what Athena takes,
/// <https://docs.aws.amazon.com/athena/latest/ug/service-limits.html>.
const LONGEST: usize = 262_144;
/// The most operators. Chains of them become as deep a tree, which is walked by recursion.
const MOST_OPERATORS: usize = 1_000;

/// Why a statement is not asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is nothing but blanks and comments.
    #[error("there is no SQL: write dial query \"SELECT …\"")]
    Empty,
    /// It is too long.
    #[error("the SQL has {0} bytes: Athena takes at most {LONGEST}")]
    Long(usize),
    /// It is too deep.
    #[error(
        "the SQL has more than {MOST_OPERATORS} operators: put values that are compared with one column into IN (…)"
    )]
    Deep,
    /// It is not even made of tokens.
    #[error("the SQL cannot be read: {0}")]
    Unreadable(String),
    /// There are several.
    #[error("there are several statements: ask one at a time")]
    Several,
    /// It is none that reads.
    #[error(
        "`{0}` is not asked: `dial query` only reads, with SELECT, WITH, VALUES, TABLE, SHOW, DESCRIBE and EXPLAIN. What \
         changes tables goes through Athena's console or `aws athena start-query-execution`"
    )]
    Writes(String),
}

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Reads rows.
    Query,
    /// Tells how a query would be answered.
    Explain,
    /// Answers a query, and tells how.
    ExplainAnalyze,
    /// Tells what tables there are, or what they are made of.
    Describe,
}

/// One statement that reads, without the semicolon at its end.
#[derive(Debug, Clone)]
pub struct Statement {
    text: String,
    kind: Kind,
    /// Those of the query itself, without EXPLAIN; comments and blanks included.
    tokens: Vec<TokenWithSpan>,
}

impl Statement {
    /// Looks at a text.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn parse(text: &str) -> Result<Statement, Refused> {
        if text.len() > LONGEST {
            return Err(Refused::Long(text.len()));
        }
        let tokens = Tokenizer::new(&Trino, text).with_unescape(false).tokenize_with_location();
        let mut tokens = tokens.map_err(|error| Refused::Unreadable(error.to_string()))?;
        let end = single(&tokens)?;
        tokens.truncate(end);
        if tokens.iter().filter(|token| is_operator(&token.token)).count() > MOST_OPERATORS {
            return Err(Refused::Deep);
        }
        let (kind, begin) = kind(&tokens)?;
        let end = tokens.last().map_or(text.len(), |last| offset(text, last.span.end));
        let text = text.get(..end).unwrap_or(text).trim().to_owned();
        let tokens = tokens.split_off(begin);
        Ok(Statement { text, kind, tokens })
    }

    /// What it does.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The query in it: what follows EXPLAIN, or all.
    pub(super) fn query(&self) -> &[TokenWithSpan] {
        &self.tokens
    }
}

/// Where the only statement ends.
fn single(tokens: &[TokenWithSpan]) -> Result<usize, Refused> {
    let solid = |token: &TokenWithSpan| !is_blank(&token.token);
    let is_end = |token: &TokenWithSpan| matches!(token.token, Token::SemiColon);
    let Some(last) = tokens.iter().rposition(|token| solid(token) && !is_end(token)) else {
        return Err(Refused::Empty);
    };
    let end = last + 1;
    match tokens.iter().take(end).any(is_end) {
        true => Err(Refused::Several),
        false => Ok(end),
    }
}

/// What the statement is, and where the query in it begins.
fn kind(tokens: &[TokenWithSpan]) -> Result<(Kind, usize), Refused> {
    let mut words = Words { tokens, at: 0 };
    let (first, begin) = words.next().ok_or(Refused::Empty)?;
    match first.as_str() {
        "SHOW" | "DESCRIBE" | "DESC" => Ok((Kind::Describe, begin)),
        "EXPLAIN" => {
            let analyze = words.skip("ANALYZE");
            let _ = words.skip("VERBOSE");
            words.skip_options();
            let (word, begin) = words.next().ok_or(Refused::Empty)?;
            let kind = if analyze { Kind::ExplainAnalyze } else { Kind::Explain };
            if reads(&word) { Ok((kind, begin)) } else { Err(Refused::Writes(word)) }
        }
        word if reads(word) => Ok((Kind::Query, begin)),
        _ => Err(Refused::Writes(first)),
    }
}

fn reads(word: &str) -> bool {
    matches!(word, "SELECT" | "WITH" | "VALUES" | "TABLE" | "(")
}

/// The words of a statement in upper case, blanks passed over, with their places.
struct Words<'a> {
    tokens: &'a [TokenWithSpan],
    at: usize,
}

impl Words<'_> {
    fn peek(&self) -> Option<(String, usize)> {
        let rest = self.tokens.get(self.at..)?;
        let ahead = rest.iter().position(|token| !is_blank(&token.token))?;
        let token = &rest.get(ahead)?.token;
        let word = match token {
            Token::Word(Word { value, quote_style: None, .. }) => value.to_ascii_uppercase(),
            other => other.to_string(),
        };
        Some((word, self.at + ahead))
    }

    fn next(&mut self) -> Option<(String, usize)> {
        let (word, at) = self.peek()?;
        self.at = at + 1;
        Some((word, at))
    }

    fn skip(&mut self, word: &str) -> bool {
        let found = self.peek().filter(|(next, _)| next == word);
        self.at = found.as_ref().map_or(self.at, |(_, at)| at + 1);
        found.is_some()
    }

    /// `(TYPE LOGICAL, FORMAT JSON)`: told from a query in parentheses by its first word.
    fn skip_options(&mut self) {
        let before = self.at;
        let is_option = |word: &str| matches!(word, "TYPE" | "FORMAT");
        let opens = self.next().is_some_and(|(word, _)| word == "(");
        if !(opens && self.peek().is_some_and(|(word, _)| is_option(&word))) {
            self.at = before;
            return;
        }
        while self.next().is_some_and(|(word, _)| word != ")") {}
    }
}

fn is_blank(token: &Token) -> bool {
    matches!(token, Token::Whitespace(_) | Token::EOF)
}

/// Whether chains of it nest.
fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(Word { value, quote_style: None, .. }) => {
            let chains = ["AND", "OR", "NOT", "UNION", "EXCEPT", "INTERSECT", "JOIN", "IS", "AT", "COLLATE"];
            chains.iter().any(|word| value.eq_ignore_ascii_case(word))
        }
        Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::Mod | Token::StringConcat => true,
        Token::Eq | Token::Neq | Token::Lt | Token::Gt | Token::LtEq | Token::GtEq | Token::DoubleColon => true,
        _ => false,
    }
}

/// The byte at which a token's place lies.
fn offset(text: &str, place: Location) -> usize {
    let (mut line, mut column) = (1, 1);
    for (at, c) in text.char_indices() {
        if (line, column) == (place.line, place.column) {
            return at;
        }
        (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    text.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_statement_that_reads_is_taken_as_it_is() {
        let table = [
            ("SELECT 1", Kind::Query, "SELECT 1"),
            ("  -- why\nselect 'a;b' ; ;\n", Kind::Query, "-- why\nselect 'a;b'"),
            ("(SELECT 1) UNION (SELECT 2)", Kind::Query, "(SELECT 1) UNION (SELECT 2)"),
            ("WITH a AS (SELECT 1) SELECT * FROM a", Kind::Query, "WITH a AS (SELECT 1) SELECT * FROM a"),
            ("values (1), (2)", Kind::Query, "values (1), (2)"),
            ("EXPLAIN SELECT 1", Kind::Explain, "EXPLAIN SELECT 1"),
            ("explain (TYPE IO, FORMAT JSON) SELECT 1", Kind::Explain, "explain (TYPE IO, FORMAT JSON) SELECT 1"),
            ("EXPLAIN (SELECT 1)", Kind::Explain, "EXPLAIN (SELECT 1)"),
            ("EXPLAIN ANALYZE VERBOSE SELECT 1", Kind::ExplainAnalyze, "EXPLAIN ANALYZE VERBOSE SELECT 1"),
            ("SHOW PARTITIONS events", Kind::Describe, "SHOW PARTITIONS events"),
            ("DESCRIBE FORMATTED events;", Kind::Describe, "DESCRIBE FORMATTED events"),
            (
                "SELECT 'it''s', '\u{e9}\r\n', \"a\"\"b\" /* ; */ ;",
                Kind::Query,
                "SELECT 'it''s', '\u{e9}\r\n', \"a\"\"b\"",
            ),
        ];
        for (text, kind, kept) in table {
            let statement = Statement::parse(text).unwrap();
            assert_eq!((statement.kind(), statement.text()), (kind, kept), "{text}");
        }
    }

    #[test]
    fn whatever_else_is_refused() {
        let words = |text: &str| Statement::parse(text).unwrap_err().to_string();
        for text in ["", " \n", "-- only this", ";;", "/* */"] {
            assert_eq!(Statement::parse(text).unwrap_err(), Refused::Empty, "{text}");
        }
        for text in [
            "DROP TABLE events",
            "CREATE TABLE x AS SELECT 1",
            "INSERT INTO events SELECT * FROM events",
            "DELETE FROM events",
            "UNLOAD (SELECT 1) TO 's3://b'",
            "EXPLAIN ANALYZE INSERT INTO events SELECT 1",
            "explain drop table events",
            "COPY events TO 'x'",
            "SET x = 1",
            "\"SELECT\" 1",
            "MSCK REPAIR TABLE events",
        ] {
            assert!(matches!(Statement::parse(text), Err(Refused::Writes(_))), "{text}");
        }
        assert_eq!(Statement::parse("SELECT 1; DROP TABLE events").unwrap_err(), Refused::Several);
        assert!(words("SELECT 'open").contains("cannot be read"));
        assert!(words("EXPLAIN").contains("no SQL"));
        assert!(words(&format!("SELECT '{}'", "x".repeat(LONGEST))).contains("bytes"));
        assert!(words(&format!("SELECT 1{}", " + 1".repeat(1_001))).contains("operators"));
        assert!(Statement::parse(&format!("SELECT 1{}", " + 1".repeat(1_000))).is_ok());
    }
}
