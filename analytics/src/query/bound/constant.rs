//! Whether an expression is the same for every row, so that Athena knows it before it reads any.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Query, Visit, Visitor};

/// Whether it names no column and asks no query.
pub(super) fn is_constant(expr: &Expr) -> bool {
    expr.visit(&mut Variables).is_continue()
}

struct Variables;

impl Visitor for Variables {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. } => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}
