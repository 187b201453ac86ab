//! `dial archive ddl` and `tables`: what the archive's tables are, and how others get to know them.

use std::fs;
use std::path::Path;

use comfy_table::Cell;
use dial_analytics::ddl::{self, Dialect, Place, Statement};
use dial_analytics::folders::Folders;
use dial_analytics::parts::{self, Parts};
use dial_analytics::table::{PARTITION, TABLES, Table};
use dial_analytics::views::{VIEWS, ViewColumn};
use dial_rules::nearest::nearest;
use serde_json::json;

use crate::cli::{Archive, ArchiveDdl, ArchiveDialect, ArchiveTables};
use crate::failure::{Failure, Outcome, Result};
use crate::output::Output;
use crate::settings::Settings;

/// `json`: whether JSON was asked for; statements are text otherwise, also in a pipe.
pub(crate) fn run(command: Archive, settings: &Settings, output: &Output, json: bool) -> Result<Outcome> {
    match command {
        Archive::Ddl(args) => print(&statements(&args, settings)?, output, json),
        Archive::Tables(args) => tables(&args, output),
    }
}

fn print(statements: &[Statement], output: &Output, json: bool) -> Result<Outcome> {
    for Statement { makes, sql } in statements {
        if json {
            output.json(&json!({"makes": makes, "sql": sql}))?;
        } else {
            output.line(&format!("-- {makes}\n{sql};\n"))?;
        }
    }
    Ok(Outcome::Fine)
}

fn statements(args: &ArchiveDdl, settings: &Settings) -> Result<Vec<Statement>> {
    let folder = settings.data.folder.to_string_lossy();
    let set = settings.archive.location.as_deref().unwrap_or(&folder);
    let location = args.location.as_deref().unwrap_or(set);
    let in_s3 = location.starts_with("s3://");
    match args.dialect {
        Some(ArchiveDialect::Athena) | None if in_s3 => athena(args, location),
        Some(ArchiveDialect::Athena) => {
            let why = format!("{location}: Athena reads from S3 only; name an s3://BUCKET/PREFIX, or --dialect duckdb");
            Err(Failure::Usage(why))
        }
        _ if in_s3 => {
            // The place is checked as Athena's is.
            Place::new(&args.database, location).map_err(|error| Failure::Usage(error.to_string()))?;
            let reader =
                "INSTALL httpfs;\nLOAD httpfs;\nCREATE OR REPLACE SECRET dial (TYPE s3, PROVIDER credential_chain)";
            let reader = Statement { makes: "what reads S3".to_owned(), sql: reader.to_owned() };
            Ok([reader].into_iter().chain(duckdb(location, |_| false)).collect())
        }
        _ => {
            let path = Path::new(location);
            if path.is_file() {
                return Err(Failure::Usage(format!(
                    "{location}: it is a file; name the archive's folder with --location"
                )));
            }
            if !path.is_dir() {
                return Err(Failure::Usage(format!(
                    "{location}: there is no such folder; name the archive's with --location, or an s3://BUCKET/PREFIX"
                )));
            }
            let path = fs::canonicalize(path).map_err(|error| Failure::outside(location, error))?;
            let Some(root) = path.to_str() else {
                return Err(Failure::Usage(format!("{location}: SQL cannot name a folder that is not UTF-8")));
            };
            Ok(duckdb(root, |table| !has_files(&path, table)).collect())
        }
    }
}

fn athena(args: &ArchiveDdl, location: &str) -> Result<Vec<Statement>> {
    let place = Place::new(&args.database, location).map_err(|error| Failure::Usage(error.to_string()))?;
    if args.last.is_some_and(|last| last < args.first) {
        return Err(Failure::Usage("--last is before --first: no query would see anything".to_owned()));
    }
    let place = place.days(args.first, args.last);
    let mut statements = vec![ddl::create_database(&place)];
    for (table, parts) in TABLES.into_iter().filter_map(|table| Some((table, Parts::of(table)?))) {
        statements.extend(parts.all().into_iter().flat_map(|part| ddl::replace_table(part, &place)));
        statements.push(parts::athena_view(table, &parts));
    }
    statements.extend(VIEWS.map(|view| view.create(Dialect::Athena)));
    Ok(statements)
}

fn duckdb(root: &str, empty: impl Fn(&Table) -> bool) -> impl Iterator<Item = Statement> {
    let zone = Statement { makes: "times in UTC".to_owned(), sql: "SET TimeZone = 'UTC'".to_owned() };
    let tables = TABLES.map(|table| ddl::duckdb_table(table, root, empty(table)));
    let views = VIEWS.map(|view| view.create(Dialect::DuckDb));
    [zone].into_iter().chain(tables).chain(views)
}

/// Whether the table has a file in this folder, written or compacted. What cannot be read is DuckDB's to complain of.
fn has_files(root: &Path, table: &Table) -> bool {
    let folders = Folders::of(table);
    let folders = [folders.written(), folders.compacted()].map(|folder| fs::read_dir(root.join(folder)));
    let days = folders.into_iter().flatten().flatten().flatten();
    let is_day = |name: &str| name.starts_with(&format!("{PARTITION}="));
    let days = days.filter(|day| day.file_name().to_str().is_some_and(is_day));
    let files = days.flat_map(|day| fs::read_dir(day.path()).into_iter().flatten().flatten());
    files.into_iter().any(|file| file.path().extension().is_some_and(|ending| ending == "parquet"))
}

/// Without a name the tables and their columns, and for people the views; else the columns of that table or view.
fn tables(args: &ArchiveTables, output: &Output) -> Result<Outcome> {
    let named = |name: &str| args.table.as_ref().is_none_or(|asked| asked.eq_ignore_ascii_case(name));
    let tables = TABLES.iter().filter(|table| named(table.name));
    let tables =
        tables.map(|table| Relation { name: table.name, meaning: table.meaning, columns: ViewColumn::all_of(table) });
    let views = VIEWS.iter().filter(|view| args.table.is_some() && named(view.name));
    let views = views.map(|view| Relation { name: view.name, meaning: view.meaning, columns: view.columns() });
    let found: Vec<Relation> = tables.chain(views).collect();
    if let (Some(name), []) = (&args.table, found.as_slice()) {
        let names = TABLES.iter().map(|table| table.name).chain(VIEWS.iter().map(|view| view.name));
        let near = nearest(name, names).unwrap_or(TABLES[0].name);
        return Err(Failure::Usage(format!("the archive has no table {name:?}: did you mean {near}?")));
    }
    for relation in &found {
        relation.print(output)?;
    }
    if args.table.is_none() && !output.is_json() {
        for view in VIEWS {
            output.line(&format!("{}: {}", view.name, view.meaning))?;
        }
    }
    Ok(Outcome::Fine)
}

/// A table, or a view.
struct Relation {
    name: &'static str,
    meaning: &'static str,
    columns: Vec<ViewColumn>,
}

impl Relation {
    fn print(&self, output: &Output) -> Result<()> {
        if output.is_json() {
            return self.columns.iter().try_for_each(|column| {
                output.json(&json!({
                    "table": self.name, "column": column.name, "type": column.words, "nullable": column.nullable,
                    "glue": column.glue, "means": column.meaning,
                }))
            });
        }
        output.line(&format!("{}: {}\n", self.name, self.meaning))?;
        let rows = self.columns.iter().map(|column| {
            let words = match (column.name.as_str(), column.nullable) {
                (PARTITION, _) => format!("{}, the folder", column.words),
                (_, true) => format!("{}, or null", column.words),
                (_, false) => column.words.to_owned(),
            };
            vec![Cell::new(&column.name), Cell::new(words), Cell::new(&column.meaning)]
        });
        output.table(&["column", "type", "means"], rows)?;
        output.line("")
    }
}
