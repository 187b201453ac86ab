//! Asking a folder, in a build that cannot.

use std::path::Path;

use dial_analytics::query::statement::Statement;

use super::printer::Printer;
use crate::cli::Query;
use crate::failure::{Failure, Outcome, Result};
use crate::settings::Settings;
use crate::stores::archive_place;

/// Says how to get a build that can, and which program can already.
pub(super) async fn run(args: &Query, statement: &Statement, settings: &Settings, _: Printer<'_>) -> Result<Outcome> {
    let folder = archive_place(settings, args.data.data.as_deref())?;
    Err(Failure::Usage(told(folder, statement.text())))
}

fn told(folder: &Path, sql: &str) -> String {
    let place = shell(&folder.display().to_string());
    format!(
        "this dial was built without SQL over folders. Build one with it:\n\n  cargo install --path processor --features \
         sql\n\nor let DuckDB read the Parquet files in {}:\n\n  dial archive ddl --location {place} > archive.sql\n  duckdb \
         -init archive.sql -c {}\n\nTo ask Athena, set `athena.database` in dial.toml.",
        folder.join("events").join("v1").display(),
        shell(sql),
    )
}

/// As one word of a shell.
fn shell(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if !text.is_empty() && text.chars().all(safe) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_pasted() {
        let told = told(Path::new("./dial data"), "SELECT count(*) FROM events WHERE dt = '2024-05-01'");
        assert!(told.contains("--features sql"), "{told}");
        assert!(told.contains("--location './dial data' >"), "{told}");
        assert!(told.contains(r"-c 'SELECT count(*) FROM events WHERE dt = '\''2024-05-01'\'''"), "{told}");
    }
}
