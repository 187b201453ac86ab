//! Where the emulators live: `target/emulators/` of the workspace that the tests were built in.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long logs and forgotten run folders are kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The folder that holds installed emulators, their logs and what they write while running.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// `target/emulators/`, created where it is missing.
    pub(crate) fn of_workspace() -> Result<Self, String> {
        let folder = Self(target_dir().join("emulators"));
        for dir in [folder.logs(), folder.run()] {
            std::fs::create_dir_all(&dir).map_err(|e| format!("cannot create {}: {e}", dir.display()))?;
        }
        Ok(folder)
    }

    /// The folder itself; Python environments are installed here.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Logs, one a started emulator.
    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// Scratch space, one folder a running emulator, removed when it ends.
    pub(crate) fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    /// A file `NAME.js` with this text, for Node to load. Written under another name first: other test processes may
    /// be reading or writing it.
    pub(crate) fn preload(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let (path, new) = (self.0.join(format!("{name}.js")), self.0.join(crate::unique(name)));
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &path));
        written.map(|()| path.clone()).map_err(|e| format!("cannot write {}: {e}", path.display()))
    }

    /// Removes logs and run folders that nothing has written to for a day.
    pub(crate) fn sweep(&self) {
        for dir in [self.logs(), self.run()] {
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                let modified = entry.metadata().and_then(|m| m.modified());
                let old = modified.is_ok_and(|t| SystemTime::now().duration_since(t).is_ok_and(|age| age > KEPT));
                if old {
                    // Another test process may be sweeping as well, so that the entry is gone already is fine.
                    let path = entry.path();
                    let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
                }
            }
        }
    }
}

/// Cargo's target directory: the nearest parent of the test's executable that cargo has tagged as a cache, else
/// `CARGO_TARGET_DIR`, else `target` in the workspace of this crate's sources (documentation tests run from elsewhere).
fn target_dir() -> PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    if let Some(tagged) = executable.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file()) {
        return tagged.to_path_buf();
    }
    match std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from) {
        Some(dir) if dir.is_absolute() => dir,
        _ => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
    }
}
