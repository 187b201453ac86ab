//! Rows as CSV: RFC 4180, <https://www.rfc-editor.org/rfc/rfc4180>. Pure.

use dial_analytics::query::cell::{Cell, Column};

/// What spreadsheets take for the beginning of a formula, as OWASP lists it.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The line of the columns' names.
pub(super) fn header(columns: &[Column]) -> String {
    line(columns.iter().map(|column| quoted(&column.name)))
}

/// A row's line. NULL is nothing, and the empty text is `""`. With `safe`, texts that a spreadsheet would take for
/// formulas begin with an apostrophe.
pub(super) fn row(cells: &[Cell], safe: bool) -> String {
    let field = |cell: &Cell| match (cell, cell.text()) {
        (_, None) => String::new(),
        (Cell::Text(_), Some(text)) if text.is_empty() => "\"\"".to_owned(),
        (Cell::Text(_) | Cell::Nested(_), Some(text)) if safe && text.starts_with(FORMULA) => {
            quoted(&format!("'{text}"))
        }
        (_, Some(text)) => quoted(&text),
    };
    line(cells.iter().map(field))
}

fn line(fields: impl Iterator<Item = String>) -> String {
    let fields: Vec<String> = fields.collect();
    // One field that is nothing would be an empty line, which many readers pass over.
    let fields = if fields == [""] { vec!["\"\"".to_owned()] } else { fields };
    format!("{}\r\n", fields.join(","))
}

fn quoted(text: &str) -> String {
    let plain = !text.contains(['"', ',', '\r', '\n']) && text.trim() == text;
    if plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let cells = [text("a"), text("b, c"), text("d \"e\""), text("f\r\ng"), text(" h"), text(""), Cell::Null];
        assert_eq!(row(&cells, false), "a,\"b, c\",\"d \"\"e\"\"\",\"f\r\ng\",\" h\",\"\",\r\n");
        let cells = [Cell::Flag(true), Cell::number("-1.50".to_owned()), Cell::Nested(serde_json::json!(["x", null]))];
        assert_eq!(row(&cells, false), "true,-1.50,\"[\"\"x\"\",null]\"\r\n");
        assert_eq!(row(&[Cell::Null], false), "\"\"\r\n");
        let columns = Column::distinct([("a".to_owned(), false), ("b,c".to_owned(), true)]);
        assert_eq!(header(&columns), "a,\"b,c\"\r\n");
    }

    #[test]
    fn formulas_are_data_unless_asked() {
        for formula in ["=HYPERLINK(\"http://x\")", "+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "\t=1"] {
            let exact = row(&[text(formula)], false);
            assert!(!exact.contains('\'') || formula.contains('\''), "{exact}");
            let safe = row(&[text(formula)], true);
            assert!(safe.trim_start_matches('"').starts_with('\''), "{safe}");
        }
        assert_eq!(row(&[Cell::number("-1".to_owned())], true), "-1\r\n", "a number is none");
        assert_eq!(row(&[text("a=b")], true), "a=b\r\n");
    }
}
