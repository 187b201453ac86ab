//! `dial archive ddl` and `tables`: what the archive's tables are, and how others get to know them.

use std::fs;
use std::path::Path;

use comfy_table::Cell;
use dial_analytics::ddl::{self, Dialect, Place, Statement};
use dial_analytics::folders::Folders;
use dial_analytics::parts::{self, Parts};
use dial_analytics::table::{PARTITION, TABLES, Table};
use dial_analytics::views::VIEWS;
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

fn tables(args: &ArchiveTables, output: &Output) -> Result<Outcome> {
    let named = |table: &&&Table| args.table.as_ref().is_none_or(|name| *name == table.name);
    let found: Vec<&Table> = TABLES.iter().filter(named).copied().collect();
    if let (Some(name), []) = (&args.table, found.as_slice()) {
        let near = nearest(name, TABLES.iter().map(|table| table.name)).unwrap_or(TABLES[0].name);
        return Err(Failure::Usage(format!("the archive has no table {name:?}: did you mean {near}?")));
    }
    for table in &found {
        if output.is_json() {
            columns_as_json(table, output)?;
        } else {
            output.line(&format!("{}: {}\n", table.name, table.meaning))?;
            let rows = rows(table).map(|row| [row.0, &row.1, row.2].into_iter().map(Cell::new).collect());
            output.table(&["column", "type", "means"], rows)?;
            output.line("")?;
        }
    }
    if args.table.is_none() && !output.is_json() {
        for view in VIEWS {
            output.line(&format!("{}: {}", view.name, view.meaning))?;
        }
    }
    Ok(Outcome::Fine)
}

/// Name, type and meaning of each column.
fn rows(table: &Table) -> impl Iterator<Item = (&'static str, String, &'static str)> {
    let columns = table.columns.iter().map(|column| {
        let null = if column.nullable { ", or null" } else { "" };
        (column.name, format!("{}{null}", column.column_type.words()), column.meaning)
    });
    columns.chain([(PARTITION, "text, the folder".to_owned(), table.day)])
}

fn columns_as_json(table: &Table, output: &Output) -> Result<()> {
    for column in table.columns {
        output.json(&json!({
            "table": table.name, "column": column.name, "type": column.column_type.words(),
            "nullable": column.nullable, "glue": column.column_type.glue(), "means": column.meaning,
        }))?;
    }
    output.json(&json!({
        "table": table.name, "column": PARTITION, "type": "text", "nullable": false, "glue": "string", "means": table.day,
    }))
}
