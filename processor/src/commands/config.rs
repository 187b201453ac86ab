//! `dial config check`.

use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, note};
use crate::rule_files;
use crate::settings::Settings;

pub(crate) fn check(settings: &Settings, output: &Output) -> Result<Outcome> {
    let rules = rule_files::load(&settings.rules.paths, &settings.facts)?;
    settings.metrics.check_variable().map_err(Failure::Usage)?;
    if output.is_json() {
        output.json(settings)?;
    } else {
        output.line(settings.to_toml().map_err(Failure::Usage)?.trim_end())?;
    }
    let place = match &settings.stream.name {
        Some(name) => format!("`dial run` follows the stream {name}"),
        None => "no stream is set: `dial run` reads standard input, or a folder with --watch".to_owned(),
    };
    if let Some(remark) = settings.archive_remark() {
        note(&format!("remark: {remark}"));
    }
    note(&format!("the settings are fine; {} rules; {place}", rules.rules().len()));
    Ok(Outcome::Fine)
}
