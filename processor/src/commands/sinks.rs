//! `dial sinks`.

mod list;
mod test;

use dial_rules::nearest::nearest;

use crate::cli::Sinks;
use crate::failure::{Outcome, Result};
use crate::output::{Output, plain};
use crate::settings::Settings;

pub(crate) async fn run(command: Sinks, settings: &Settings, output: &Output) -> Result<Outcome> {
    match command {
        Sinks::List(args) => list::list(args, settings, output).await,
        Sinks::Test(args) => test::test(args, settings, output).await,
    }
}

/// That the settings name no such sink, and what may be meant.
pub(super) fn no_sink(name: &str, settings: &Settings) -> String {
    let names: Vec<&str> = settings.sinks.keys().map(String::as_str).collect();
    let name = plain(name);
    match (names.as_slice(), nearest(&name, names.iter().copied())) {
        ([], _) => format!("there is no sink {name}, since there are none: add a section [sinks.{name}] to dial.toml"),
        (_, Some(meant)) => format!("there is no sink {name}: did you mean {meant}?"),
        (names, None) => format!("there is no sink {name}: there are {}", names.join(", ")),
    }
}
