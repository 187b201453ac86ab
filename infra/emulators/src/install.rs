//! Installs pinned packages into a folder, once for all test processes.
//!
//! Test binaries start side by side, and each may be killed half-way. One lock file, which the operating system
//! releases with its holder, lets one of them install while the others wait. A marker, written last and naming the
//! packages, says that the folder is whole; without it, whatever lies there is removed and made anew.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Pinned packages and the way to install them.
pub(crate) trait Packages {
    /// Names the folder `NAME`, the lock `NAME.lock` and the log `NAME-install.log`.
    fn name(&self) -> &str;

    /// What is installed, with versions. Another list is another installation.
    fn requirements(&self) -> &[&str];

    /// The file within `dir` that the packages are used by.
    fn entry(&self, dir: &Path) -> PathBuf;

    /// Installs into `dir`, which is not there yet. Commands write to `log` by [`run`].
    ///
    /// # Errors
    ///
    /// What is missing, with what to do about it and the installer's last words.
    fn install(&self, dir: &Path, log: &Path) -> Result<(), String>;
}

/// The packages' entry in their folder under `parent`, after installing what is missing.
///
/// # Errors
///
/// Those of [`Packages::install`], and a folder that cannot be written.
pub(crate) fn ensure(packages: &dyn Packages, parent: &Path) -> Result<PathBuf, String> {
    let lock_path = parent.join(format!("{}.lock", packages.name()));
    let lock = File::create(&lock_path).map_err(|e| format!("cannot create {}: {e}", lock_path.display()))?;
    lock.lock().map_err(|e| format!("cannot lock {}: {e}", lock_path.display()))?;

    let dir = parent.join(packages.name());
    let entry = packages.entry(&dir);
    let marker = dir.join("installed.txt");
    let wanted = packages.requirements().join("\n");
    // `is_file` follows links, whose target may have been removed since.
    if std::fs::read_to_string(&marker).is_ok_and(|found| found == wanted) && entry.is_file() {
        return Ok(entry);
    }
    if dir.exists() {
        std::fs::remove_dir_all(&dir).map_err(|e| format!("cannot remove {}: {e}", dir.display()))?;
    }
    packages.install(&dir, &parent.join(format!("{}-install.log", packages.name())))?;
    if !entry.is_file() {
        return Err(format!("{} was installed without {}", wanted.replace('\n', ", "), entry.display()));
    }
    std::fs::write(&marker, wanted).map_err(|e| format!("cannot write {}: {e}", marker.display()))?;
    Ok(entry)
}

/// Runs `command` to its end with its output in `log`, which holds the output of this command only.
pub(crate) fn run(command: &mut Command, log: &Path) -> Result<(), String> {
    let file = File::create(log).map_err(|e| format!("cannot create {}: {e}", log.display()))?;
    let copy = file.try_clone().map_err(|e| format!("cannot write {}: {e}", log.display()))?;
    let status = command.stdin(Stdio::null()).stdout(file).stderr(copy).status();
    let program = command.get_program().display();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{program}` ended with {status}; {}", tail(log))),
        Err(e) => Err(format!("cannot run `{program}`: {e}")),
    }
}

/// The last lines of a log, for an error message.
pub(crate) fn tail(log: &Path) -> String {
    const LINES: usize = 30;
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
    if last.is_empty() {
        return format!("it wrote nothing to {}", log.display());
    }
    format!("the end of {}:\n{}", log.display(), last.join("\n"))
}
