//! What the conditions of a SELECT and of its joins say of the days of what it reads.

use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, Function, GroupByExpr, Ident, JoinConstraint, JoinOperator, ObjectName, Select,
    SelectItem, TableFactor, TableWithJoins, Value, Visit, Visitor,
};

use super::DT;
use super::constant::is_constant;
use super::judge::Source;

/// A year: what a pattern must begin with to say of which days.
const YEAR: usize = 4;

/// Which of a SELECT's sources are bound.
#[derive(Debug)]
pub(super) struct Bounds<'a> {
    sources: &'a [Source],
    /// For each source, whether it is.
    pub(super) bound: Vec<bool>,
    /// Whether some condition bounds `dt` from above, and only so.
    pub(super) only_above: bool,
    /// From which source a bound reaches which.
    reaches: Vec<(usize, usize)>,
    /// Whose `dt` it is by itself.
    bare: Bare,
}

/// Whose `dt` it is that is named without a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bare {
    /// That of the only one that has it.
    Only,
    /// That of all: of inner joins with `USING (dt)`, where all are the same.
    Merged,
    /// Nobody's: of an outer join with `USING (dt)` it is `coalesce(a.dt, b.dt)`, and a condition on that is asked after the
    /// join, which has read every day by then.
    Coalesced,
}

/// Whose rows a join keeps although nothing matches them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    Neither,
    Left,
    Right,
    Both,
}

impl<'a> Bounds<'a> {
    /// What is bound by the joins and the WHERE of `select`, which reads from `sources`.
    pub(super) fn of(select: &Select, sources: &'a [Source]) -> Bounds<'a> {
        let bound = vec![false; sources.len()];
        let mut bounds = Bounds { sources, bound, only_above: false, reaches: Vec::new(), bare: Bare::Only };
        let mut next = 0;
        for table in &select.from {
            next = bounds.joins(table, next);
        }
        if let Some(condition) = &select.selection {
            bounds.condition(condition, 0..sources.len(), Keeps::Neither, 0);
        }
        bounds.spread();
        bounds
    }

    /// Whether `dt` by itself is nobody's.
    pub(super) fn coalesced(&self) -> bool {
        self.bare == Bare::Coalesced
    }

    /// Takes in the joins of a table, whose first source is `first`; where the next table's sources begin.
    fn joins(&mut self, table: &TableWithJoins, first: usize) -> usize {
        let mut next = self.factor(&table.relation, first);
        for join in &table.joins {
            let right = next;
            next = self.factor(&join.relation, right);
            let Some((constraint, keeps)) = kind(&join.join_operator) else { continue };
            match constraint {
                JoinConstraint::On(condition) => self.condition(condition, first..next, keeps, right),
                JoinConstraint::Using(columns) => {
                    let last = |name: &ObjectName| name.0.last().and_then(|part| part.as_ident()).is_some_and(is_dt);
                    if columns.iter().any(last) {
                        self.merge(keeps, first..right, right..next);
                    }
                }
                // Of an inner one it is not known whether both have a `dt`.
                JoinConstraint::Natural if keeps != Keeps::Neither => self.bare = Bare::Coalesced,
                JoinConstraint::Natural | JoinConstraint::None => {}
            }
        }
        next
    }

    /// Takes in a join with `USING (dt)` of these sources with those.
    fn merge(&mut self, keeps: Keeps, left: Range<usize>, right: Range<usize>) {
        // What is merged already is compared as a whole, and what is known of one of its parts does not reach on.
        if self.bare == Bare::Only {
            for one in left {
                right.clone().for_each(|other| self.equal(one, other, keeps));
            }
        }
        let inner = keeps == Keeps::Neither && self.bare != Bare::Coalesced;
        self.bare = if inner { Bare::Merged } else { Bare::Coalesced };
    }

    fn factor(&mut self, factor: &TableFactor, first: usize) -> usize {
        match factor {
            TableFactor::NestedJoin { table_with_joins, .. } => self.joins(table_with_joins, first),
            _ => first + 1,
        }
    }

    /// Takes in a condition over `scope`. Of a join, `right` is where its right side begins, and a side that keeps its
    /// rows is not bound by the condition.
    fn condition(&mut self, condition: &Expr, scope: Range<usize>, keeps: Keeps, right: usize) {
        let reach = match keeps {
            Keeps::Neither => scope,
            Keeps::Left => right..scope.end,
            Keeps::Right => scope.start..right,
            Keeps::Both => 0..0,
        };
        for at in self.binds(condition) {
            if reach.contains(&at)
                && let Some(bound) = self.bound.get_mut(at)
            {
                *bound = true;
            }
        }
        self.equalities(condition, keeps, right);
    }

    /// Notes `a.dt = b.dt` among what must hold.
    fn equalities(&mut self, condition: &Expr, keeps: Keeps, right: usize) {
        match condition {
            Expr::Nested(inner) => self.equalities(inner, keeps, right),
            Expr::BinaryOp { left: one, op: BinaryOperator::And, right: other } => {
                self.equalities(one, keeps, right);
                self.equalities(other, keeps, right);
            }
            Expr::BinaryOp { left: one, op: BinaryOperator::Eq, right: other } => {
                if let (Some(one), Some(other)) = (self.column(one), self.column(other)) {
                    for (one, other) in one.iter().flat_map(|one| other.iter().map(move |other| (*one, *other))) {
                        // So that the first is of the left side.
                        let (one, other) = (one.min(other), one.max(other));
                        let across = keeps == Keeps::Neither || (one < right && right <= other);
                        if across {
                            self.equal(one, other, keeps);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// Two sources of one `dt`. The days of rows that are kept anyhow are not bound by those they are compared with.
    fn equal(&mut self, left: usize, right: usize, keeps: Keeps) {
        if matches!(keeps, Keeps::Neither | Keeps::Left) {
            self.reaches.push((left, right));
        }
        if matches!(keeps, Keeps::Neither | Keeps::Right) {
            self.reaches.push((right, left));
        }
    }

    fn spread(&mut self) {
        // Each round that changes something binds one source more.
        for _ in 0..self.bound.len() {
            for &(from, to) in &self.reaches {
                if self.bound.get(from) == Some(&true)
                    && let Some(bound) = self.bound.get_mut(to)
                {
                    *bound = true;
                }
            }
        }
    }

    /// The sources that a condition binds wherever it holds.
    fn binds(&mut self, condition: &Expr) -> BTreeSet<usize> {
        match condition {
            Expr::Nested(inner) => self.binds(inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                let mut sources = self.binds(left);
                sources.extend(self.binds(right));
                sources
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                let (left, right) = (self.binds(left), self.binds(right));
                left.intersection(&right).copied().collect()
            }
            Expr::BinaryOp { left, op, right } => self.compares(left, op, right),
            Expr::Between { expr, negated: false, low, high } if is_constant(low) && is_constant(high) => {
                self.whose(expr)
            }
            Expr::InList { expr, list, negated: false } if list.iter().all(is_constant) => self.whose(expr),
            Expr::IsNotDistinctFrom(left, right) => self.compares(left, &BinaryOperator::Eq, right),
            Expr::Like { negated: false, any: false, expr, pattern, escape_char: None } if names_year(pattern) => {
                self.whose(expr)
            }
            _ => BTreeSet::new(),
        }
    }

    fn compares(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr) -> BTreeSet<usize> {
        use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq};
        let (column, op) = match (is_constant(left), is_constant(right)) {
            (false, true) => (left, op.clone()),
            (true, false) => {
                let turned = match op {
                    Lt => Gt,
                    LtEq => GtEq,
                    Gt => Lt,
                    GtEq => LtEq,
                    other => other.clone(),
                };
                (right, turned)
            }
            _ => return BTreeSet::new(),
        };
        let sources = self.whose(column);
        match op {
            Eq | Gt | GtEq => sources,
            Lt | LtEq => {
                self.only_above |= !sources.is_empty();
                BTreeSet::new()
            }
            _ => BTreeSet::new(),
        }
    }

    fn whose(&self, column: &Expr) -> BTreeSet<usize> {
        self.column(column).unwrap_or_default()
    }

    /// Whose `dt` this is; `None` of what is none.
    fn column(&self, expr: &Expr) -> Option<BTreeSet<usize>> {
        let sources = || self.sources.iter().enumerate().filter(|(_, source)| source.has_dt);
        match expr {
            Expr::Nested(inner) => self.column(inner),
            Expr::Identifier(ident) if is_dt(ident) => {
                let wide: BTreeSet<usize> = sources().filter(|(_, source)| source.wide).map(|(at, _)| at).collect();
                let known = match self.bare {
                    // Of two the name alone is nobody's.
                    Bare::Only => wide.len() == 1,
                    Bare::Merged => true,
                    Bare::Coalesced => false,
                };
                known.then_some(wide)
            }
            Expr::CompoundIdentifier(parts) => {
                let (last, qualifiers) = parts.split_last()?;
                if !is_dt(last) {
                    return None;
                }
                Some(sources().filter(|(_, source)| is_called(source, qualifiers)).map(|(at, _)| at).collect())
            }
            _ => None,
        }
    }
}

fn is_dt(ident: &Ident) -> bool {
    ident.value.eq_ignore_ascii_case(DT)
}

/// Whether these say which source: all of them, from the last on, as Trino compares them.
fn is_called(source: &Source, qualifiers: &[Ident]) -> bool {
    let Some(skipped) = source.called.len().checked_sub(qualifiers.len()) else { return false };
    let called = source.called.iter().skip(skipped);
    !qualifiers.is_empty() && called.zip(qualifiers).all(|(part, said)| part.eq_ignore_ascii_case(&said.value))
}

/// The condition of a join and whose rows it keeps; `None` of joins that Athena does not have.
fn kind(operator: &JoinOperator) -> Option<(&JoinConstraint, Keeps)> {
    match operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) | JoinOperator::CrossJoin(constraint) => {
            Some((constraint, Keeps::Neither))
        }
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => Some((constraint, Keeps::Left)),
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => Some((constraint, Keeps::Right)),
        JoinOperator::FullOuter(constraint) => Some((constraint, Keeps::Both)),
        _ => None,
    }
}

/// Whether a pattern begins with a year.
fn names_year(pattern: &Expr) -> bool {
    let Expr::Value(value) = pattern else { return false };
    match &value.value {
        Value::SingleQuotedString(text) => text.len() >= YEAR && text.chars().take(YEAR).all(|c| c.is_ascii_digit()),
        _ => false,
    }
}

/// Whether a SELECT over one source hands its rows through with their `dt`, one by one: whoever reads from it may say of
/// which days.
pub(super) fn passes_days(select: &Select) -> bool {
    let grouped = match &select.group_by {
        GroupByExpr::Expressions(expressions, modifiers) => !expressions.is_empty() || !modifiers.is_empty(),
        GroupByExpr::All(_) => true,
    };
    let distinct = !matches!(select.distinct, None | Some(Distinct::All));
    let cut = select.having.is_some() || select.qualify.is_some() || select.top.is_some();
    if grouped || distinct || cut || select.projection.visit(&mut Windows).is_break() {
        return false;
    }
    let is_column = |expr: &Expr| match expr {
        Expr::Identifier(ident) => is_dt(ident),
        Expr::CompoundIdentifier(parts) => parts.last().is_some_and(is_dt),
        _ => false,
    };
    let hides = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { expr, alias } => is_dt(alias) && !is_column(expr),
        _ => false,
    };
    let passes = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) => is_column(expr),
        SelectItem::ExprWithAlias { expr, alias } => is_dt(alias) && is_column(expr),
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => true,
        SelectItem::ExprWithAliases { .. } => false,
    };
    select.projection.iter().any(passes) && !select.projection.iter().any(hides)
}

/// Finds functions over windows, which conditions do not get through.
struct Windows;

impl Visitor for Windows {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(Function { over: Some(_), .. }) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}
