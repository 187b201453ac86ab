//! Files of rules → a rule set, or the problems that keep it from being one.

use std::fs;
use std::path::{Path, PathBuf};

use dial_rules::pack::{self, TEST_SUFFIX};
use dial_rules::ruleset::{Loaded, RuleFile, RuleSet};
use dial_rules::tables::Tables;

use crate::failure::{Failure, Result};

/// The rules at these paths and the tests that lie beside them; the built-in packs' when there are no paths.
pub(crate) fn read(paths: &[PathBuf]) -> Result<(Vec<RuleFile>, Vec<RuleFile>)> {
    if paths.is_empty() {
        return Ok((pack::rules(), pack::tests()));
    }
    let mut found = Vec::new();
    for path in paths {
        collect(path, true, &mut found)?;
    }
    found.sort();
    found.dedup();
    let mut files = Vec::new();
    for path in found {
        let text = fs::read_to_string(&path).map_err(|error| Failure::outside(path.display(), error))?;
        files.push(RuleFile { name: path.display().to_string(), text });
    }
    Ok(files.into_iter().partition(|file| !file.name.ends_with(TEST_SUFFIX)))
}

/// A rule set to work with, whose facts know what the tables say.
///
/// # Errors
/// Names every problem: a rule that cannot be loaded stops the start, because what it should find would go unnoticed.
pub(crate) fn load(paths: &[PathBuf], tables: &Tables) -> Result<RuleSet> {
    let (files, _) = read(paths)?;
    let Loaded { rules, problems, foreign } = RuleSet::load_with(&files, tables.clone());
    if !problems.is_empty() {
        let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
        return Err(Failure::Usage(format!("rules cannot be loaded:\n  {}", list.join("\n  "))));
    }
    if rules.rules().is_empty() {
        return Err(Failure::Usage(format!(
            "no rules for `product: aws` in {} files: name a folder of Sigma rules, or leave --rules out for the built-in packs",
            files.len()
        )));
    }
    if !foreign.is_empty() {
        tracing::warn!(count = foreign.len(), "rules for other products than AWS are left out");
    }
    Ok(rules)
}

fn collect(path: &Path, named: bool, found: &mut Vec<PathBuf>) -> Result<()> {
    let fail = |error: std::io::Error| match (named, error.kind()) {
        (true, std::io::ErrorKind::NotFound) => {
            Failure::Usage(format!("{}: there is no such file or folder", path.display()))
        }
        _ => Failure::outside(path.display(), error),
    };
    if !fs::metadata(path).map_err(fail)?.is_dir() {
        let is_yaml = path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
        if named || is_yaml {
            found.push(path.to_owned());
        }
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        // A link to a folder may lead round in a circle.
        let is_link = entry.file_type().map_err(fail)?.is_symlink();
        if !(is_link && entry.path().is_dir()) {
            collect(&entry.path(), false, found)?;
        }
    }
    Ok(())
}
