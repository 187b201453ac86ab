//! Installs pinned Python packages into a virtual environment, once for all test processes.
//!
//! Test binaries start side by side, and each may be killed half-way. One lock file, which the operating system
//! releases with its holder, lets one of them install while the others wait. A marker, written last and naming the
//! packages, says that the environment is whole; without it, whatever lies there is removed and made anew.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The packages of an environment, pinned, and the folder they go into.
#[derive(Debug, Clone)]
pub(crate) struct Environment<'a> {
    /// Names the folder `NAME`, the lock `NAME.lock` and the log `NAME-install.log`.
    pub(crate) name: &'a str,
    /// Requirements as pip takes them, `package==version`.
    pub(crate) requirements: &'a [&'a str],
    /// The oldest Python (major, minor) that the packages support.
    pub(crate) oldest_python: (u32, u32),
}

impl Environment<'_> {
    /// The environment's Python interpreter, after installing what is missing with `python` (a path or a command).
    ///
    /// # Errors
    ///
    /// No suitable Python, no network, no space: with what to do about it and the installer's last words.
    pub(crate) fn ensure(&self, parent: &Path, python: &str) -> Result<PathBuf, String> {
        let lock_path = parent.join(format!("{}.lock", self.name));
        let lock = File::create(&lock_path).map_err(|e| format!("cannot create {}: {e}", lock_path.display()))?;
        lock.lock().map_err(|e| format!("cannot lock {}: {e}", lock_path.display()))?;

        let dir = parent.join(self.name);
        let interpreter = dir.join("bin").join("python3");
        let marker = dir.join("installed.txt");
        let wanted = self.requirements.join("\n");
        // `is_file` follows the link to the Python that made the environment, which may have been removed since.
        if std::fs::read_to_string(&marker).is_ok_and(|found| found == wanted) && interpreter.is_file() {
            return Ok(interpreter);
        }
        if dir.exists() {
            std::fs::remove_dir_all(&dir).map_err(|e| format!("cannot remove {}: {e}", dir.display()))?;
        }
        self.install(parent, python, &dir, &interpreter)?;
        std::fs::write(&marker, wanted).map_err(|e| format!("cannot write {}: {e}", marker.display()))?;
        Ok(interpreter)
    }

    fn install(&self, parent: &Path, python: &str, dir: &Path, interpreter: &Path) -> Result<(), String> {
        let (major, minor) = self.oldest_python;
        let check = format!("import sys, venv, ensurepip; sys.exit(sys.version_info < ({major}, {minor}))");
        let hint = format!(
            "the tests need Python {major}.{minor} or newer with venv and pip as `{python}` on PATH \
             (Debian: apt-get install python3 python3-venv)"
        );
        let log = parent.join(format!("{}-install.log", self.name));
        run(Command::new(python).args(["-c", &check]), &log).map_err(|e| format!("{hint}: {e}"))?;
        run(Command::new(python).args(["-m", "venv"]).arg(dir), &log).map_err(|e| format!("{hint}: {e}"))?;
        if self.requirements.is_empty() {
            return Ok(());
        }
        let mut pip = Command::new(interpreter);
        pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
        run(pip.args(self.requirements), &log).map_err(|e| {
            format!(
                "cannot install {} from PyPI; check the network and pip's settings: {e}",
                self.requirements.join(", ")
            )
        })
    }
}

/// Runs `command` to its end with its output in `log`, which holds the output of this command only.
fn run(command: &mut Command, log: &Path) -> Result<(), String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays the part of Python: slow, writes down what it was asked, and fails `pip` while a file `fail` is there.
    const FAKE_PYTHON: &str = r#"#!/bin/sh
home=$(dirname "$(readlink -f "$0")")
case "$home" in */bin) home=$(dirname "$(dirname "$home")");; esac
case "$1 $2" in
  "-c "*) exit 0;;
  "-m venv") echo venv >>"$home/calls"; mkdir -p "$3/bin"; sleep 0.2; cp "$0" "$3/bin/python3";;
  "-m pip") echo pip >>"$home/calls"; sleep 0.2; if [ -e "$home/fail" ]; then echo "no route to host"; exit 7; fi;;
esac
"#;

    struct Fixture {
        dir: PathBuf,
        python: String,
    }

    impl Fixture {
        fn new() -> Self {
            let dir = std::env::temp_dir().join(crate::unique("dial-install"));
            std::fs::create_dir_all(&dir).unwrap();
            // Written by a child: while this process holds an executable open for writing, another test's fork could
            // hold it too, and running it would fail as "text file busy".
            let mut write = Command::new("sh");
            write.args(["-c", r#"printf %s "$1" >"$2"; chmod +x "$2""#, "sh", FAKE_PYTHON]);
            assert!(write.arg(dir.join("fake-python3")).status().unwrap().success());
            let dir = dir.canonicalize().unwrap();
            Self { python: dir.join("fake-python3").display().to_string(), dir }
        }

        fn ensure(&self, requirements: &[&str]) -> Result<PathBuf, String> {
            Environment { name: "env", requirements, oldest_python: (3, 11) }.ensure(&self.dir, &self.python)
        }

        fn calls(&self) -> String {
            std::fs::read_to_string(self.dir.join("calls")).unwrap_or_default().replace('\n', " ")
        }
    }

    impl Drop for Fixture {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }

    #[test]
    fn of_many_at_once_one_installs_and_the_others_wait_for_it() {
        let fixture = Fixture::new();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert!(fixture.ensure(&["thing==1"]).unwrap().is_file()));
            }
        });
        assert_eq!(fixture.calls(), "venv pip ");
    }

    #[test]
    fn a_half_finished_install_is_made_anew() {
        let fixture = Fixture::new();
        let remains = fixture.dir.join("env/bin/python3");
        std::fs::create_dir_all(remains.parent().unwrap()).unwrap();
        std::fs::write(&remains, "half a file").unwrap();
        fixture.ensure(&["thing==1"]).unwrap();
        assert_eq!(fixture.calls(), "venv pip ");
        assert_eq!(std::fs::read_to_string(&remains).unwrap(), FAKE_PYTHON);
    }

    #[test]
    fn a_failed_install_says_why_and_the_next_run_repairs_it() {
        let fixture = Fixture::new();
        std::fs::write(fixture.dir.join("fail"), "").unwrap();
        let error = fixture.ensure(&["thing==1"]).unwrap_err();
        assert!(error.contains("thing==1") && error.contains("no route to host"), "{error}");
        std::fs::remove_file(fixture.dir.join("fail")).unwrap();
        fixture.ensure(&["thing==1"]).unwrap();
        assert_eq!(fixture.calls(), "venv pip venv pip ");
    }

    #[test]
    fn another_version_or_a_vanished_interpreter_installs_again() {
        let fixture = Fixture::new();
        fixture.ensure(&["thing==1"]).unwrap();
        let interpreter = fixture.ensure(&["thing==2"]).unwrap();
        std::fs::remove_file(interpreter).unwrap();
        fixture.ensure(&["thing==2"]).unwrap();
        assert_eq!(fixture.calls(), "venv pip venv pip venv pip ");
    }

    #[test]
    fn without_python_the_error_says_what_to_install() {
        let fixture = Fixture::new();
        let environment = Environment { name: "env", requirements: &[], oldest_python: (3, 11) };
        let error = environment.ensure(&fixture.dir, "no-such-python").unwrap_err();
        assert!(error.contains("Python 3.11") && error.contains("apt-get install"), "{error}");
    }
}
