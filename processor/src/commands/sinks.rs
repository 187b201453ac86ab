//! `dial sinks`.

mod list;
mod test;

use crate::cli::Sinks;
use crate::failure::{Outcome, Result};
use crate::output::Output;
use crate::settings::Settings;

pub(crate) async fn run(command: Sinks, settings: &Settings, output: &Output) -> Result<Outcome> {
    match command {
        Sinks::List(args) => list::list(args, settings, output).await,
        Sinks::Test(args) => test::test(args, settings, output).await,
    }
}
