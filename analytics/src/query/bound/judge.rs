//! Walks a query, SELECT by SELECT.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Cte, ObjectName, Query, Select, SetExpr, TableFactor, TableWithJoins, VisitMut, VisitorMut, With,
};

use super::Archive;
use super::predicate::{Bounds, passes_days};
use super::suggestion::{self, renames};

/// The queries of WITH that can be named at a place, the innermost last, and whether they hand all days through.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope(Vec<(String, bool)>);

impl Scope {
    fn find(&self, name: &str) -> Option<bool> {
        let found = self.0.iter().rev().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, wide)| *wide)
    }
}

/// Something that a SELECT reads from.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// By which its columns can be called: its alias, or the parts of its name, of which the first may be left out.
    pub(super) called: Vec<String>,
    /// As the query names it.
    pub(super) name: String,
    /// Whether its days can be asked for by `dt`.
    pub(super) has_dt: bool,
    /// Whether it has all days, unless it is bound here.
    pub(super) wide: bool,
}

pub(super) struct Judge<'a> {
    pub(super) archive: Archive<'a>,
    pub(super) since: &'a str,
    pub(super) found: Vec<String>,
    pub(super) only_above: bool,
    pub(super) coalesced: bool,
    /// The first of what is read that is not known.
    pub(super) unknown: Option<String>,
}

impl Judge<'_> {
    /// Judges a query, and binds what is not bound. With `may_pass`, one that hands all days through is left as it is and
    /// told by `true`.
    pub(super) fn query(&mut self, query: &mut Query, scope: &Scope, may_pass: bool) -> bool {
        let mut scope = scope.clone();
        if let Some(with) = &mut query.with {
            self.with(with, &mut scope);
        }
        let cut = query.limit_clause.is_some() || query.fetch.is_some();
        let wide = self.set(&mut query.body, &scope, may_pass && !cut);
        self.subqueries(&mut query.order_by, &scope);
        wide
    }

    fn with(&mut self, with: &mut With, scope: &mut Scope) {
        for Cte { alias, query, .. } in &mut with.cte_tables {
            let name = alias.name.value.clone();
            let mut inner = scope.clone();
            if with.recursive {
                inner.0.push((name.clone(), false));
            }
            let wide = self.query(query, &inner, !with.recursive && alias.columns.is_empty());
            scope.0.push((name, wide));
        }
    }

    fn set(&mut self, body: &mut SetExpr, scope: &Scope, may_pass: bool) -> bool {
        match body {
            SetExpr::Select(select) => return self.select(select, scope, may_pass),
            SetExpr::Query(query) => return self.query(query, scope, may_pass),
            SetExpr::SetOperation { left, right, .. } => {
                self.set(left, scope, false);
                self.set(right, scope, false);
            }
            SetExpr::Table(table) => {
                let name = table.table_name.clone().unwrap_or_default();
                let parts: Vec<&str> = table.schema_name.as_deref().into_iter().chain([name.as_str()]).collect();
                if self.is_wide(&parts, scope) {
                    let written = parts.join(".");
                    if let Some(bound) = suggestion::bounded_table(&written, self.since) {
                        *body = bound;
                    }
                    self.tell(&written);
                }
            }
            other => self.subqueries(other, scope),
        }
        false
    }

    fn select(&mut self, select: &mut Select, scope: &Scope, may_pass: bool) -> bool {
        let mut sources = Vec::new();
        for table in &mut select.from {
            self.sources(table, scope, &mut sources);
        }
        let bounds = Bounds::of(select, &sources);
        let unbounded: Vec<bool> =
            sources.iter().zip(&bounds.bound).map(|(source, bound)| source.wide && !bound).collect();
        let passes = may_pass && matches!(unbounded[..], [true]) && passes_days(select);
        if !passes && unbounded.contains(&true) {
            self.only_above |= bounds.only_above;
            self.coalesced |= bounds.coalesced();
            let told = sources.iter().zip(&unbounded).filter(|(_, unbounded)| **unbounded);
            told.for_each(|(source, _)| self.tell(&source.name));
            suggestion::bind(select, &unbounded, self.since);
        }
        self.expressions(select, scope);
        passes
    }

    /// The queries within a SELECT's expressions.
    fn expressions(&mut self, select: &mut Select, scope: &Scope) {
        let mut from = std::mem::take(&mut select.from);
        self.subqueries(select, scope);
        for join in from.iter_mut().flat_map(|table| &mut table.joins) {
            self.subqueries(&mut join.join_operator, scope);
        }
        select.from = from;
    }

    fn sources(&mut self, table: &mut TableWithJoins, scope: &Scope, sources: &mut Vec<Source>) {
        self.source(&mut table.relation, scope, sources);
        for join in &mut table.joins {
            self.source(&mut join.relation, scope, sources);
        }
    }

    fn source(&mut self, factor: &mut TableFactor, scope: &Scope, sources: &mut Vec<Source>) {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let parts = words(name);
                let wide = self.is_wide(&parts, scope);
                // Columns that an alias names anew are not `dt` any more.
                let has_dt = !renames(alias.as_ref());
                let called = match alias {
                    Some(alias) => vec![alias.name.value.clone()],
                    None => parts.iter().map(|part| (*part).to_owned()).collect(),
                };
                sources.push(Source { called, name: name.to_string(), has_dt, wide });
            }
            TableFactor::Derived { subquery, alias, .. } => {
                let has_dt = !renames(alias.as_ref());
                let wide = self.query(subquery, scope, has_dt);
                let called: Vec<String> = alias.iter().map(|alias| alias.name.value.clone()).collect();
                let name = called.first().cloned().unwrap_or_else(|| "a subquery".to_owned());
                sources.push(Source { called, name, has_dt, wide });
            }
            TableFactor::NestedJoin { table_with_joins, .. } => self.sources(table_with_joins, scope, sources),
            TableFactor::MatchRecognize { table, measures, symbols, .. } => {
                self.subqueries(measures, scope);
                self.subqueries(symbols, scope);
                // No condition gets through, so what it reads is bound within or not at all.
                let mut inner = Vec::new();
                self.source(table, scope, &mut inner);
                for source in inner.iter().filter(|source| source.wide) {
                    self.tell(&source.name);
                    suggestion::wrap(table, self.since);
                }
                sources.push(Source::default());
            }
            // Of expressions, and of no table.
            TableFactor::Table { name, args: Some(_), .. } if is_unnest(name) => {
                self.subqueries(factor, scope);
                sources.push(Source::default());
            }
            // A table function may be handed a table in words of its own: `TABLE(f(input => TABLE(events)))`.
            other => {
                self.unknown.get_or_insert_with(|| other.to_string());
                sources.push(Source::default());
            }
        }
    }

    /// Whether this is one of the large tables, or a query of WITH that hands all days through.
    fn is_wide(&self, parts: &[&str], scope: &Scope) -> bool {
        let Some((name, qualifiers)) = parts.split_last() else { return false };
        if qualifiers.is_empty()
            && let Some(wide) = scope.find(name)
        {
            return wide;
        }
        let ours = qualifiers.last().is_none_or(|database| database.eq_ignore_ascii_case(self.archive.database));
        ours && self.archive.tables.iter().any(|table| table.eq_ignore_ascii_case(name))
    }

    fn tell(&mut self, name: &str) {
        if !self.found.iter().any(|known| known == name) {
            self.found.push(name.to_owned());
        }
    }

    fn subqueries(&mut self, node: &mut impl VisitMut, scope: &Scope) {
        let _ = node.visit(&mut Subqueries { judge: self, scope, depth: 0 });
    }
}

/// Whether it is `UNNEST`, which the parser takes for a function.
fn is_unnest(name: &ObjectName) -> bool {
    let only = if let [part] = &name.0[..] { part.as_ident() } else { None };
    only.is_some_and(|ident| ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("unnest"))
}

/// The parts of a name.
fn words(name: &ObjectName) -> Vec<&str> {
    name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.as_str()).collect()
}

/// Judges the outermost queries in what it visits; the judge goes on within them.
struct Subqueries<'j, 'a> {
    judge: &'j mut Judge<'a>,
    scope: &'j Scope,
    depth: usize,
}

impl VisitorMut for Subqueries<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if self.depth == 0 {
            self.judge.query(query, self.scope, false);
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}
