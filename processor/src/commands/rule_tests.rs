//! `dial rules test`: the files of tests, on all cores.

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use dial_rules::junit::{self, Suite};
use dial_rules::rule_test::{self, Outcome as TestOutcome};
use dial_rules::ruleset::{Loaded, RuleFile, RuleSet};
use serde_json::json;

use crate::cli::RuleTests;
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, note};
use crate::rule_files::Files;

pub(crate) fn run(files: &Files, args: &RuleTests, output: &Output) -> Result<Outcome> {
    let Loaded { rules, problems, .. } = files.load();
    if let Some(problem) = problems.first() {
        return Err(Failure::Usage(format!("{problem}\nSee `dial rules check` for the whole list.")));
    }
    let tests = &files.tests;
    if tests.is_empty() {
        return Err(Failure::Usage("there are no .test.yml files there: nothing was tested".to_owned()));
    }
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let suites = run_all(&rules, tests, cores);
    if let Some(path) = &args.junit {
        write(path, &junit::render(&suites))?;
    }
    let outcomes = || suites.iter().flat_map(|suite| &suite.outcomes);
    for outcome in outcomes() {
        show(outcome, output)?;
    }
    let (cases, failed) = (outcomes().count(), outcomes().filter(|outcome| outcome.failure.is_some()).count());
    note(&format!("{} cases of {} files passed, {failed} failed", cases - failed, tests.len()));
    Ok(if failed == 0 { Outcome::Fine } else { Outcome::Found })
}

/// Runs the files on so many threads, each of which takes the next file when it has done one. The order of the outcomes
/// is that of the files.
fn run_all(rules: &RuleSet, tests: &[RuleFile], threads: usize) -> Vec<Suite> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(tests.len()));
    let work = || {
        while let Some((at, file)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, tests.get(at)?)))
        {
            let begun = Instant::now();
            let outcomes = rule_test::run(rules, file);
            let suite = Suite { file: file.name.clone(), outcomes, seconds: begun.elapsed().as_secs_f64() };
            // A thread that panics takes the whole run down with it, so nobody sees the list half written.
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((at, suite));
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads.min(tests.len()) {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, suite)| suite).collect()
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| Failure::outside(path.display(), error))
}

fn show(outcome: &TestOutcome, output: &Output) -> Result<()> {
    let TestOutcome { file, rule, case, failure } = outcome;
    if output.is_json() {
        return output
            .json(&json!({"file": file, "rule": rule, "case": case, "passed": failure.is_none(), "failure": failure}));
    }
    match failure {
        Some(failure) => output.line(&format!("FAILED {file}: {case}: {failure}")),
        None => Ok(()),
    }
}
