//! The same query with bounds.

use sqlparser::ast::{BinaryOperator, Expr, Ident, Query, Select, SetExpr, TableAlias, TableFactor, TableWithJoins};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::super::dialect::Trino;
use super::DT;

/// Binds those of a SELECT's sources that are marked, in the order in which it names them.
pub(super) fn bind(select: &mut Select, unbounded: &[bool], since: &str) {
    let alone = match &select.from[..] {
        [TableWithJoins { relation, joins }] => joins.is_empty() && !renames(alias(relation)),
        _ => false,
    };
    if !alone {
        let mut marks = unbounded.iter().copied();
        select.from.iter_mut().for_each(|table| wrap_marked(table, &mut marks, since));
        return;
    }
    let Some(bound) = bound(since) else { return };
    select.selection = Some(match select.selection.take() {
        None => bound,
        Some(condition) => {
            let is_or = matches!(condition, Expr::BinaryOp { op: BinaryOperator::Or, .. });
            let condition = if is_or { Expr::Nested(Box::new(condition)) } else { condition };
            Expr::BinaryOp { left: Box::new(condition), op: BinaryOperator::And, right: Box::new(bound) }
        }
    });
}

fn wrap_marked(table: &mut TableWithJoins, marks: &mut impl Iterator<Item = bool>, since: &str) {
    let factors = std::iter::once(&mut table.relation).chain(table.joins.iter_mut().map(|join| &mut join.relation));
    for factor in factors {
        match factor {
            TableFactor::NestedJoin { table_with_joins, .. } => wrap_marked_nested(table_with_joins, marks, since),
            factor => {
                if marks.next() == Some(true) {
                    wrap(factor, since);
                }
            }
        }
    }
}

/// The same, for a type that does not contain itself.
fn wrap_marked_nested(table: &mut TableWithJoins, marks: &mut dyn Iterator<Item = bool>, since: &str) {
    let mut marks = marks;
    wrap_marked(table, &mut marks, since);
}

/// Reads from a table only the days since then: `(SELECT * FROM table WHERE dt >= …) AS table`.
pub(super) fn wrap(factor: &mut TableFactor, since: &str) {
    let Some(mut query) = query(&format!("SELECT * FROM t WHERE {}", condition(since))) else { return };
    let outer = outer_alias(factor);
    let Some(select) = selection(&mut query) else { return };
    let Some(table) = select.from.first_mut() else { return };
    std::mem::swap(&mut table.relation, factor);
    *factor = TableFactor::Derived { lateral: false, subquery: query, alias: outer, sample: None };
}

fn alias(factor: &TableFactor) -> Option<&TableAlias> {
    match factor {
        TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } => alias.as_ref(),
        _ => None,
    }
}

/// What a table is still called when it has become a subquery. New names of columns move out, since `dt` would go by one.
fn outer_alias(factor: &mut TableFactor) -> Option<TableAlias> {
    let named = |name: Ident| TableAlias { explicit: true, name, columns: Vec::new(), at: None };
    match factor {
        TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } if renames(alias.as_ref()) => {
            alias.take()
        }
        TableFactor::Table { name, alias, .. } => {
            let own = name.0.last().and_then(|part| part.as_ident()).cloned();
            alias.as_ref().map(|alias| alias.name.clone()).or(own).map(named)
        }
        TableFactor::Derived { alias, .. } => alias.as_ref().map(|alias| named(alias.name.clone())),
        _ => None,
    }
}

/// Whether an alias names columns anew.
pub(super) fn renames(alias: Option<&TableAlias>) -> bool {
    alias.is_some_and(|alias| !alias.columns.is_empty())
}

/// `SELECT * FROM name WHERE dt >= …`.
pub(super) fn bounded_table(name: &str, since: &str) -> Option<SetExpr> {
    query(&format!("SELECT * FROM {name} WHERE {}", condition(since))).map(|query| *query.body)
}

fn condition(since: &str) -> String {
    format!("{DT} >= '{since}'")
}

fn bound(since: &str) -> Option<Expr> {
    Parser::new(&Trino).try_with_sql(&condition(since)).ok()?.parse_expr().ok()
}

fn query(text: &str) -> Option<Box<Query>> {
    Parser::new(&Trino).try_with_sql(text).ok()?.parse_query().ok()
}

fn selection(query: &mut Query) -> Option<&mut Select> {
    match &mut *query.body {
        SetExpr::Select(select) => Some(select),
        _ => None,
    }
}

/// What stands for the types that are taken out.
const STAND_IN: &str = "dial_type_";

/// The tokens without Trino's nested types, `CAST(x AS array(row(a varchar)))`, which the parser does not know and which
/// decide nothing here; and these types.
pub(super) fn without_types(tokens: &[TokenWithSpan]) -> (Vec<TokenWithSpan>, Vec<String>) {
    let (mut left, mut types) = (Vec::new(), Vec::new());
    let mut rest = tokens;
    while let Some((token, after)) = rest.split_first() {
        left.push(token.clone());
        rest = after;
        let length = if is_keyword(token, Keyword::AS) { nested_type(rest) } else { None };
        if let Some((of, after)) = length.and_then(|length| rest.split_at_checked(length)) {
            let stand_in = Token::make_word(&format!("{STAND_IN}{}", types.len()), None);
            let span = of.first().map_or(token.span, |first| first.span);
            left.push(TokenWithSpan::new(Token::Whitespace(sqlparser::tokenizer::Whitespace::Space), span));
            left.push(TokenWithSpan::new(stand_in, span));
            types.push(of.iter().map(|token| token.token.to_string()).collect::<String>().trim().to_owned());
            rest = after;
        }
    }
    (left, types)
}

/// How many tokens of these are a nested type, if they begin with one.
fn nested_type(tokens: &[TokenWithSpan]) -> Option<usize> {
    let solid = |from: usize| {
        let rest = tokens.get(from..)?;
        rest.iter().position(|token| !matches!(token.token, Token::Whitespace(_))).map(|ahead| from + ahead)
    };
    let name = solid(0)?;
    let is_nested = |word: &Word| {
        word.quote_style.is_none() && ["array", "map", "row"].iter().any(|name| word.value.eq_ignore_ascii_case(name))
    };
    let opens = solid(name + 1)?;
    if !matches!(&tokens.get(name)?.token, Token::Word(word) if is_nested(word))
        || tokens.get(opens)?.token != Token::LParen
    {
        return None;
    }
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(opens) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

fn is_keyword(token: &TokenWithSpan, keyword: Keyword) -> bool {
    matches!(&token.token, Token::Word(Word { keyword: found, quote_style: None, .. }) if *found == keyword)
}

/// A query with the types that were taken out of it.
pub(super) fn with_types(query: &str, types: &[String]) -> String {
    // From the last, since the name of the first begins that of the tenth.
    let numbered = types.iter().enumerate().rev();
    numbered.fold(query.to_owned(), |text, (n, of)| text.replace(&format!("{STAND_IN}{n}"), of))
}
