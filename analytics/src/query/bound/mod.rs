//! Whether a query over the archive says of which days. Pure.
//!
//! Athena bills what it reads, and of a table that is partitioned by day it reads the days that a query asks for: all of
//! them if it asks for none. So each place where a query names one of the archive's large tables must be bound from below
//! by what that SELECT, or the JOIN it stands in, says of `dt`: `dt = …`, `dt IN (…)`, `dt BETWEEN … AND …`, `dt >= …`,
//! `dt > …` or `dt LIKE '2024-05-%'`, against what is known before any row is read. Of an OR both sides must bind. A bound
//! reaches another table of an inner join by `a.dt = b.dt` or `USING (dt)`, as Trino infers it. What an outer join with
//! `USING (dt)` calls `dt` is `coalesce(a.dt, b.dt)`, of which Trino infers nothing.
//!
//! A subquery or a WITH query is judged by itself. Only one that hands `dt` through unchanged, without grouping, windows,
//! DISTINCT, set operations or LIMIT, may leave it to whoever reads from it: there Trino pushes conditions into it.
//!
//! What cannot be parsed is not known to be bound; nor is what reads from anything but tables, subqueries, joins, UNNEST
//! and MATCH_RECOGNIZE, as table functions do.

mod constant;
mod judge;
mod predicate;
mod suggestion;
#[cfg(test)]
mod tests;

use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use self::judge::{Judge, Scope};
use super::dialect::Trino;
use super::statement::{Kind, Statement};

/// The partition column.
const DT: &str = "dt";
/// Room for the deepest statement, in bytes.
const STACK: usize = 64 << 20;
/// A suggestion up to this many bytes is one line.
const LINE: usize = 100;

/// Which tables must be bound.
#[derive(Debug, Clone, Copy)]
pub struct Archive<'a> {
    /// The database they are in.
    pub database: &'a str,
    /// Their names.
    pub tables: &'a [&'a str],
}

/// Why a query is not known to be bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unbounded {
    /// It reads these tables from their first day on.
    Tables {
        /// The tables, as the query names them, each once.
        tables: Vec<String>,
        /// Whether there is a bound of `dt` from above.
        only_above: bool,
        /// Whether a join makes one `dt` of two that no bound gets through: an outer one with `USING (dt)`.
        coalesced: bool,
        /// The query with bounds.
        suggestion: String,
    },
    /// It is in words that the parser does not know.
    Unreadable(String),
}

/// Whether a statement reads no more days of the archive than it asks for; if not, what it should say instead, from the
/// day `since` (`YYYY-MM-DD`) on.
///
/// # Errors
/// See [`Unbounded`].
pub fn check(statement: &Statement, archive: Archive<'_>, since: &str) -> Result<(), Unbounded> {
    if matches!(statement.kind(), Kind::Explain | Kind::Describe) {
        return Ok(());
    }
    // A chain of a thousand ANDs is a tree as deep, and walking and dropping it takes as many frames.
    let deep = std::thread::Builder::new().stack_size(STACK);
    let judged = std::thread::scope(|scope| {
        let thread = deep.spawn_scoped(scope, || judge(statement, archive, since));
        thread.map(|thread| thread.join())
    });
    match judged {
        Ok(Ok(verdict)) => verdict,
        _ => Err(Unbounded::Unreadable("there is no room to look at it".to_owned())),
    }
}

fn judge(statement: &Statement, archive: Archive<'_>, since: &str) -> Result<(), Unbounded> {
    let (tokens, types) = suggestion::without_types(statement.query());
    let mut parser = Parser::new(&Trino).with_tokens_with_locations(tokens);
    let mut query = parser.parse_query().map_err(|error| Unbounded::Unreadable(error.to_string()))?;
    let rest = parser.peek_token();
    if rest.token != Token::EOF {
        return Err(Unbounded::Unreadable(format!("`{}` is not expected{}", rest.token, rest.span.start)));
    }
    let (found, only_above, coalesced, unknown) = (Vec::new(), false, false, None);
    let mut judge = Judge { archive, since, found, only_above, coalesced, unknown };
    judge.query(&mut query, &Scope::default(), false);
    if let Some(unknown) = judge.unknown {
        let unknown = suggestion::with_types(&unknown, &types);
        return Err(Unbounded::Unreadable(format!("nobody knows what `{unknown}` reads")));
    }
    if judge.found.is_empty() {
        return Ok(());
    }
    let line = query.to_string();
    let text = if line.len() <= LINE { line } else { format!("{query:#}") };
    let suggestion = suggestion::with_types(&text, &types);
    let Judge { found: tables, only_above, coalesced, .. } = judge;
    Err(Unbounded::Tables { tables, only_above, coalesced, suggestion })
}
