//! `dial query`.

mod athena;
mod csv;
#[cfg(feature = "sql")]
mod local;
#[cfg(not(feature = "sql"))]
#[path = "query/absent.rs"]
mod local;
mod printer;

use std::io::Read;
use std::path::Path;

use dial_analytics::query::statement::Statement;

use self::printer::Printer;
use crate::cli::Query;
use crate::failure::{Failure, Outcome, Result};
use crate::output::Output;
use crate::settings::Settings;

/// No statement is longer that can be asked; what is beyond need not be read.
const LONGEST: u64 = 1 << 20;

pub(crate) async fn run(args: Query, settings: &Settings, output: &Output) -> Result<Outcome> {
    let statement = Statement::parse(&text(&args)?).map_err(|error| Failure::Usage(error.to_string()))?;
    let printer = Printer::new(&args, statement.kind(), output)?;
    match settings.athena.database.as_deref() {
        Some(database) if args.data.data.is_none() => {
            athena::run(&args, &statement, (database, &settings.athena), printer).await
        }
        _ => local::run(&args, &statement, settings, printer).await,
    }
}

/// What was asked, from wherever it is.
fn text(args: &Query) -> Result<String> {
    let stdin = Path::new("-");
    let (name, source): (String, Box<dyn Read>) = match (args.sql.as_deref(), args.file.as_deref()) {
        (Some("-"), _) => ("standard input".to_owned(), Box::new(std::io::stdin())),
        (_, Some(file)) if file == stdin => ("standard input".to_owned(), Box::new(std::io::stdin())),
        (Some(sql), _) => return Ok(sql.to_owned()),
        (None, Some(file)) => {
            let name = file.display().to_string();
            let source = std::fs::File::open(file).map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
            (name, Box::new(source))
        }
        (None, None) => return Ok(String::new()),
    };
    let mut text = String::new();
    let read = source.take(LONGEST).read_to_string(&mut text);
    read.map(|_| text).map_err(|error| Failure::Usage(format!("{name}: {error}")))
}
