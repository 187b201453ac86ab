//! `dial`: detections over CloudTrail, from a laptop to a Kinesis stream.

mod alerting;
mod archiver;
mod assess;
mod aws;
mod bucket;
mod checked_store;
mod cli;
mod clock;
mod commands;
mod context;
mod correlator;
mod demo;
mod detector;
mod door;
mod enrich;
mod failure;
mod finding_files;
mod follow_ups;
mod hashed_input;
mod in_place;
mod inputs;
mod link_pile;
mod local;
#[cfg(test)]
mod luck;
mod monitor;
mod output;
mod patient;
mod pile;
mod pipeline;
mod roles;
mod rule_files;
mod scan;
mod scan_archive;
mod scratch;
mod settings;
mod shards;
mod stores;
mod story;
mod watched;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, Config};
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, note};
use crate::settings::Settings;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli).await {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            note(&format!("dial: {failure}"));
            failure.code()
        }
    }
}

async fn run(cli: Cli) -> Result<Outcome> {
    let Cli { command, global } = cli;
    let output = Output::new(global.json);
    let settings = Settings::read(global.config.as_deref()).map_err(Failure::Usage)?;
    start_log(&settings, &command)?;
    match command {
        Command::Demo(args) => commands::demo::run(args, &output).await,
        Command::Scan(args) => commands::scan::run(args, &settings, &output).await,
        Command::Run(args) => commands::run::run(args, &settings, &output).await,
        Command::Rules(command) => commands::rules::run(command, &settings, &output).await,
        Command::Findings(command) => commands::findings::run(command, &settings, &output).await,
        Command::Query(args) => commands::query::run(args, &settings, &output).await,
        Command::Sinks(command) => commands::sinks::run(command, &settings, &output).await,
        Command::DeadLetters(command) => commands::dead_letters::run(command, &settings, &output).await,
        Command::Compact(args) => commands::compact::run(args, &settings, &output).await,
        Command::Archive(command) => commands::archive::run(command, &settings, &output, global.json),
        Command::Shards(command) => commands::shards::run(command, &settings, &output).await,
        Command::Subscribe(args) => commands::subscribe::run(args, &settings, &output).await,
        Command::Config(Config::Check) => commands::config::check(&settings, &output).await,
    }
}

/// The program's own log goes to standard error. Only `run` is a service that reports what it does; the others tell
/// their user directly, and log what is wrong.
fn start_log(settings: &Settings, command: &Command) -> Result<()> {
    let filter = match command {
        Command::Run(_) => settings.log.filter.as_str(),
        _ => "warn",
    };
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::Usage(format!("`log.filter` is no filter such as `info` or `warn,dial=debug`: {error}"))
    })?;
    let terminal = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal)
        .log_internal_errors(false);
    if settings.log.json {
        log.json().init()
    } else {
        log.init()
    }
    Ok(())
}
