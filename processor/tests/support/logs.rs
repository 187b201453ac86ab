//! What workers have said, for the message of a test that fails.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// How much of each file is told.
const LINES: usize = 40;

/// The last lines of each file `*.log` of a folder.
pub(crate) fn last_lines(folder: &Path) -> String {
    let mut logs = String::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().extension().is_some_and(|extension| extension == "log") {
            let text = fs::read_to_string(entry.path()).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(LINES)..].join("\n");
            writeln!(logs, "== {}\n{last}", entry.file_name().to_string_lossy()).unwrap();
        }
    }
    logs
}
