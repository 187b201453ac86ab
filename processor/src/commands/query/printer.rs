//! Rows as they come, in the form that was asked for.

use comfy_table::{Attribute, Cell as TableCell, CellAlignment};
use dial_analytics::query::cell::{Cell, Column};
use dial_analytics::query::statement::Kind;
use serde::{Serialize, Serializer};

use super::csv;
use crate::cli::{Format, Query};
use crate::failure::{Failure, Result};
use crate::output::{Output, harmless, note, plain, thousands};

/// So many rows make a table; the next begin another one, so that no answer is held whole.
const TABLE: usize = 500;
/// A value of a table is cut after so many characters: JSON and CSV have it whole.
const VALUE: usize = 400;
/// Narrower columns than this are no table: rows are shown one value a line.
const NARROWEST: usize = 10;

/// Prints an answer page by page.
pub(super) struct Printer<'a> {
    output: &'a Output,
    format: Format,
    safe_csv: bool,
    /// Whether texts are shown with their lines: plans are drawn with them.
    lines: bool,
    limit: u64,
    printed: u64,
    columns: Vec<Column>,
    waiting: Vec<Vec<Cell>>,
    tables: u64,
}

impl<'a> Printer<'a> {
    /// In the form that was asked for, else in the one that fits standard output.
    pub(super) fn new(args: &Query, kind: Kind, output: &'a Output) -> Result<Printer<'a>> {
        let format = match args.format {
            None if output.is_json() => Format::Json,
            None => Format::Table,
            Some(format) => format,
        };
        if args.safe_csv && format != Format::Csv {
            return Err(Failure::Usage("--safe-csv goes with --format csv".to_owned()));
        }
        Ok(Printer {
            output,
            format,
            safe_csv: args.safe_csv,
            lines: matches!(kind, Kind::Explain | Kind::ExplainAnalyze),
            limit: args.limit.unwrap_or(u64::MAX),
            printed: 0,
            columns: Vec::new(),
            waiting: Vec::new(),
            tables: 0,
        })
    }

    /// Before the first row.
    pub(super) fn begin(&mut self, columns: &[Column]) -> Result<()> {
        self.columns = columns.to_vec();
        match self.format {
            Format::Csv => self.text(&csv::header(&self.columns)),
            Format::Json | Format::Table => Ok(()),
        }
    }

    /// The next rows; whether more are wanted.
    pub(super) fn rows(&mut self, mut rows: Vec<Vec<Cell>>) -> Result<bool> {
        let room = usize::try_from(self.limit - self.printed).unwrap_or(usize::MAX);
        let enough = rows.len() > room;
        rows.truncate(room);
        self.printed += rows.len() as u64;
        match self.format {
            Format::Json => self.output.write(&self.json(&rows)?)?,
            Format::Csv => {
                let lines: String = rows.iter().map(|row| csv::row(row, self.safe_csv)).collect();
                self.text(&lines)?;
            }
            Format::Table => {
                self.waiting.append(&mut rows);
                while self.waiting.len() >= TABLE {
                    let rest = self.waiting.split_off(TABLE);
                    self.table()?;
                    self.waiting = rest;
                }
            }
        }
        if enough {
            note(&format!("There are more than these {} rows.", thousands(self.limit)));
        }
        Ok(!enough)
    }

    /// After the last row; how many there were.
    pub(super) fn end(&mut self) -> Result<u64> {
        if self.format == Format::Table && (!self.waiting.is_empty() || self.tables == 0) {
            self.table()?;
        }
        Ok(self.printed)
    }

    /// Whether it is people who read it.
    #[cfg(feature = "sql")]
    pub(super) fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// Text from events on a terminal steers nothing; in a file it is what it is.
    fn text(&self, text: &str) -> Result<()> {
        match self.output.width() {
            Some(_) => text.lines().try_for_each(|line| self.output.line(&plain(line))),
            None => self.output.write(text),
        }
    }

    fn json(&self, rows: &[Vec<Cell>]) -> Result<String> {
        let mut text = String::new();
        for row in rows {
            let line = serde_json::to_string(&Row { columns: &self.columns, cells: row });
            text.push_str(&harmless(line.map_err(|error| Failure::outside("JSON", error))?));
            text.push('\n');
        }
        Ok(text)
    }

    fn table(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.waiting);
        self.tables += 1;
        let width = self.output.width().map_or(usize::MAX, usize::from);
        if self.columns.len().saturating_mul(NARROWEST) > width {
            let first = self.printed - rows.len() as u64;
            return (first + 1..).zip(&rows).try_for_each(|(number, row)| self.record(number, row));
        }
        let titles: Vec<String> = self.columns.iter().map(|column| plain(&column.name)).collect();
        let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
        let rows = rows.iter().map(|row| self.columns.iter().zip(row).map(|of| self.cell(of.0, of.1)).collect());
        self.output.table(&titles, rows.collect::<Vec<Vec<TableCell>>>())
    }

    fn cell(&self, column: &Column, cell: &Cell) -> TableCell {
        let Some(text) = self.shown(cell) else { return TableCell::new("NULL").add_attribute(Attribute::Dim) };
        let alignment = if column.numeric { CellAlignment::Right } else { CellAlignment::Left };
        TableCell::new(text).set_alignment(alignment)
    }

    /// A row of many columns, one value a line.
    fn record(&self, number: u64, row: &[Cell]) -> Result<()> {
        let longest = self.columns.iter().map(|column| column.name.chars().count()).max().unwrap_or_default();
        self.output.line(&format!("── {} ──", thousands(number)))?;
        for (column, cell) in self.columns.iter().zip(row) {
            let text = self.shown(cell).unwrap_or_else(|| "NULL".to_owned());
            self.output.line(&format!("{:<longest$}  {text}", plain(&column.name)))?;
        }
        Ok(())
    }

    /// A value for people: nothing in it steers a terminal.
    fn shown(&self, cell: &Cell) -> Option<String> {
        let text = cell.text()?;
        if self.lines {
            return Some(text.lines().map(plain).collect::<Vec<_>>().join("\n"));
        }
        let mut shown: String = text.chars().take(VALUE).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        Some(plain(&shown))
    }
}

/// A row as a JSON object, its columns in their order.
struct Row<'a> {
    columns: &'a [Column],
    cells: &'a [Cell],
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.columns.iter().map(|column| &column.name).zip(self.cells))
    }
}
