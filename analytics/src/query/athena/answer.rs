//! Athena's answers, whose values are all text, in their types. Pure.

use super::super::cell::{Cell, Column};
use super::service::ResultPage;

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Flag,
    Number,
    /// And whatever Athena writes in a form of its own: lists, rows, times.
    Text,
}

/// Turns pages into rows.
#[derive(Debug)]
pub struct Typed {
    columns: Vec<Column>,
    types: Vec<Type>,
}

impl Typed {
    /// After the columns of the first page. Its first row is taken out where `header` says that it may be the columns'
    /// names, and it is.
    #[must_use]
    pub fn of(page: &mut ResultPage, header: bool) -> Typed {
        let names = page.columns.iter().map(|(name, _)| Some(name));
        let repeats = page.rows.first().is_some_and(|row| row.iter().map(Option::as_ref).eq(names));
        if header && repeats {
            page.rows.remove(0);
        }
        let types: Vec<Type> = page.columns.iter().map(|(_, of)| of_name(of)).collect();
        let named = page.columns.iter().zip(&types).map(|((name, _), of)| (name.clone(), *of == Type::Number));
        Typed { columns: Column::distinct(named), types }
    }

    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// A page's rows, each as long as there are columns.
    #[must_use]
    pub fn rows(&self, page: ResultPage) -> Vec<Vec<Cell>> {
        page.rows.into_iter().map(|row| self.row(row)).collect()
    }

    fn row(&self, row: Vec<Option<String>>) -> Vec<Cell> {
        let mut values = row.into_iter();
        self.types.iter().map(|of| cell(*of, values.next().flatten())).collect()
    }
}

fn cell(of: Type, text: Option<String>) -> Cell {
    match (of, text) {
        (_, None) => Cell::Null,
        (Type::Flag, Some(text)) => match text.as_str() {
            "true" => Cell::Flag(true),
            "false" => Cell::Flag(false),
            _ => Cell::Text(text),
        },
        (Type::Number, Some(text)) => Cell::number(text),
        (Type::Text, Some(text)) => Cell::Text(text),
    }
}

/// By the names of <https://docs.aws.amazon.com/athena/latest/ug/data-types.html>.
fn of_name(name: &str) -> Type {
    match name {
        "boolean" => Type::Flag,
        "tinyint" | "smallint" | "int" | "integer" | "bigint" | "float" | "real" | "double" => Type::Number,
        decimal if decimal.starts_with("decimal") => Type::Number,
        _ => Type::Text,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn page(columns: &[(&str, &str)], rows: &[&[Option<&str>]]) -> ResultPage {
        let owned = |row: &&[Option<&str>]| row.iter().map(|value| value.map(str::to_owned)).collect();
        ResultPage {
            columns: columns.iter().map(|(name, of)| ((*name).to_owned(), (*of).to_owned())).collect(),
            rows: rows.iter().map(owned).collect(),
            next: None,
        }
    }

    fn json(mut page: ResultPage, header: bool) -> Vec<String> {
        let typed = Typed::of(&mut page, header);
        typed.rows(page).iter().map(|row| serde_json::to_string(row).unwrap()).collect()
    }

    #[test]
    fn values_have_their_types_and_null_is_not_empty() {
        let columns = [
            ("a", "bigint"),
            ("b", "boolean"),
            ("c", "varchar"),
            ("d", "array"),
            ("e", "double"),
            ("f", "decimal(38,2)"),
        ];
        let rows: &[&[Option<&str>]] = &[
            &[Some("a"), Some("b"), Some("c"), Some("d"), Some("e"), Some("f")],
            &[Some("-1"), Some("true"), Some(""), Some("[x, y]"), Some("NaN"), Some("12345678901234567890.10")],
            &[None, None, None, None, None, None],
            &[Some("1")],
        ];
        let told = json(page(&columns, rows), true);
        assert_eq!(
            told,
            [
                r#"[-1,true,"","[x, y]","NaN",12345678901234567890.10]"#,
                "[null,null,null,null,null,null]",
                "[1,null,null,null,null,null]"
            ]
        );
    }

    #[test]
    fn only_a_header_is_taken_for_one() {
        let same: &[&[Option<&str>]] = &[&[Some("tab_name")], &[Some("tab_name")]];
        assert_eq!(json(page(&[("tab_name", "string")], same), true).len(), 1);
        assert_eq!(json(page(&[("tab_name", "string")], same), false).len(), 2);
        assert_eq!(json(page(&[("a", "varchar")], &[&[Some("b")]]), true), [r#"["b"]"#]);
        assert!(json(page(&[("a", "varchar")], &[]), true).is_empty());
    }
}
