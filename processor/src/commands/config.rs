//! `dial config check`.

use crate::alerting::destinations;
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, note};
use crate::rule_files::Governed;
use crate::settings::Settings;
use crate::{clock, context, rule_files};

pub(crate) async fn check(settings: &Settings, output: &Output) -> Result<Outcome> {
    let live = context::tables(settings).await?;
    let Governed { rules, routing, .. } = rule_files::to_evaluate(&[], settings, &live.now())?;
    let at = |path: &'static str| move |wrong: String| Failure::Usage(format!("{}: {wrong}", settings.place(path)));
    settings.reputation.check_variable().map_err(at("reputation.key"))?;
    settings.metrics.check_variable().map_err(at("metrics.token"))?;
    destinations::check(settings).await?;
    if output.is_json() {
        output.json(settings)?;
    } else {
        output.line(settings.to_toml().map_err(Failure::Usage)?.trim_end())?;
    }
    let place = match &settings.stream.name {
        Some(name) => format!("`dial run` follows the stream {name}"),
        None => "no stream is set: `dial run` reads standard input, or a folder with --watch".to_owned(),
    };
    for sink in routing.idle() {
        note(&format!("remark: no route names the sink {sink}: nothing goes there; see `[[alerts.route]]`"));
    }
    let remarks = settings.archive_remark().into_iter().chain(settings.remarks(&live.now().accounts, clock::now()));
    for remark in remarks.chain(settings.addresses.expired(clock::now())) {
        note(&format!("remark: {remark}"));
    }
    let disabled = match rules.disabled().len() {
        0 => String::new(),
        count => format!(", {count} disabled"),
    };
    note(&format!("the settings are fine; {} rules{disabled}; {place}", rules.rules().len()));
    Ok(Outcome::Fine)
}
