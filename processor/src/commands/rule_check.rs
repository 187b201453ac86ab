//! `dial rules check`: errors and remarks, by file and line.

use dial_rules::check::{self, Checked};
use dial_rules::ruleset::{Loaded, Problem};
use serde_json::json;

use crate::failure::{Outcome, Result};
use crate::output::{Output, note};
use crate::rule_files::Files;

/// With `strict` remarks are a reason to fail, as errors always are.
pub(crate) fn run(files: &Files, strict: bool, output: &Output) -> Result<Outcome> {
    let Loaded { rules, problems: mut errors, foreign } = files.load();
    let checked = check::check(&rules, &files.rules, &files.tests, errors.is_empty() && foreign.is_empty());
    let Checked { errors: more, remarks } = checked;
    let of_rules = more.iter().filter(|problem| files.rules.iter().any(|file| file.name == problem.file)).count();
    errors.extend(more);
    errors.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    for (kind, list) in [("error", &errors), ("remark", &remarks)] {
        for problem in list {
            show(kind, problem, output)?;
        }
    }
    for (file, title) in &foreign {
        note(&format!("left out: {file}: {title:?} is not for `product: aws`"));
    }
    note(&format!(
        "{} rules in {} files are fine; {} errors, {} remarks, {} left out",
        rules.rules().len() + rules.correlations().len() - of_rules,
        files.count(),
        errors.len(),
        remarks.len(),
        foreign.len()
    ));
    let failed = !errors.is_empty() || (strict && !remarks.is_empty());
    Ok(if failed { Outcome::Found } else { Outcome::Fine })
}

fn show(kind: &str, problem: &Problem, output: &Output) -> Result<()> {
    if output.is_json() {
        let Problem { file, line, message } = problem;
        return output.json(&json!({"kind": kind, "file": file, "line": line, "message": message}));
    }
    output.line(&format!("{kind}: {}", problem.to_string().replace('\n', "\n    ")))
}
