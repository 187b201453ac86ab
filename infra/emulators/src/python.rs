//! Python packages in a virtual environment.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::install::{Packages, run};

/// A virtual environment with pinned packages from PyPI.
#[derive(Debug, Clone)]
pub(crate) struct Environment<'a> {
    /// The folder's name.
    pub(crate) name: &'a str,
    /// Requirements as pip takes them, `package==version`.
    pub(crate) requirements: &'a [&'a str],
    /// Whether what they depend on is installed as well.
    pub(crate) with_dependencies: bool,
    /// The oldest Python (major, minor) that the packages support.
    pub(crate) oldest_python: (u32, u32),
    /// The Python that makes the environment, a path or a command.
    pub(crate) python: &'a str,
}

impl Packages for Environment<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn requirements(&self) -> &[&str] {
        self.requirements
    }

    /// The environment's interpreter.
    fn entry(&self, dir: &Path) -> PathBuf {
        dir.join("bin").join("python3")
    }

    fn install(&self, dir: &Path, log: &Path) -> Result<(), String> {
        let (major, minor) = self.oldest_python;
        let python = self.python;
        let check = format!("import sys, venv, ensurepip; sys.exit(sys.version_info < ({major}, {minor}))");
        let hint = format!(
            "the tests need Python {major}.{minor} or newer with venv and pip as `{python}` on PATH \
             (Debian: apt-get install python3 python3-venv)"
        );
        run(Command::new(python).args(["-c", &check]), log).map_err(|e| format!("{hint}: {e}"))?;
        run(Command::new(python).args(["-m", "venv"]).arg(dir), log).map_err(|e| format!("{hint}: {e}"))?;
        if self.requirements.is_empty() {
            return Ok(());
        }
        let mut pip = Command::new(self.entry(dir));
        pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
        if !self.with_dependencies {
            pip.arg("--no-deps");
        }
        run(pip.args(self.requirements), log).map_err(|e| {
            format!(
                "cannot install {} from PyPI; check the network and pip's settings: {e}",
                self.requirements.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::ensure;

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
            let python = &self.python;
            let environment =
                Environment { name: "env", requirements, with_dependencies: true, oldest_python: (3, 11), python };
            ensure(&environment, &self.dir)
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
        let environment = Environment {
            name: "env",
            requirements: &[],
            with_dependencies: true,
            oldest_python: (3, 11),
            python: "no-such-python",
        };
        let error = ensure(&environment, &fixture.dir).unwrap_err();
        assert!(error.contains("Python 3.11") && error.contains("apt-get install"), "{error}");
    }
}
