//! Packages for Node.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::install::{Packages, run};

/// Pinned packages from npm's registry.
#[derive(Debug, Clone)]
pub(crate) struct NodePackages<'a> {
    /// The folder's name.
    pub(crate) name: &'a str,
    /// Requirements as npm takes them, `package@version`.
    pub(crate) requirements: &'a [&'a str],
    /// The program to run, below `node_modules`.
    pub(crate) program: &'a str,
    /// The oldest major version of Node that the packages support.
    pub(crate) oldest_node: u32,
    /// Node, a path or a command.
    pub(crate) node: &'a str,
    /// npm, a path or a command.
    pub(crate) npm: &'a str,
}

impl Packages for NodePackages<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn requirements(&self) -> &[&str] {
        self.requirements
    }

    fn entry(&self, dir: &Path) -> PathBuf {
        dir.join("node_modules").join(self.program)
    }

    fn install(&self, dir: &Path, log: &Path) -> Result<(), String> {
        let Self { oldest_node, node, npm, .. } = self;
        let hint = format!(
            "the tests need Node {oldest_node} or newer with npm, as `{node}` and `{npm}` on PATH \
             (Debian: apt-get install nodejs npm)"
        );
        let check = format!("process.exit(parseInt(process.versions.node) < {oldest_node} ? 1 : 0)");
        run(Command::new(node).args(["-e", &check]), log).map_err(|e| format!("{hint}: {e}"))?;
        run(Command::new(npm).arg("--version"), log).map_err(|e| format!("{hint}: {e}"))?;
        // With a package.json of its own, npm looks no further up for a project to install into.
        std::fs::create_dir_all(dir).map_err(|e| format!("cannot create {}: {e}", dir.display()))?;
        let manifest = dir.join("package.json");
        std::fs::write(&manifest, "{\"private\": true}\n")
            .map_err(|e| format!("cannot write {}: {e}", manifest.display()))?;
        let mut install = Command::new(npm);
        install.current_dir(dir).args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
        run(install.args(self.requirements), log).map_err(|e| {
            let wanted = self.requirements.join(", ");
            format!("cannot install {wanted} by npm; check the network and npm's settings: {e}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::ensure;

    const PACKAGES: NodePackages<'static> =
        NodePackages { name: "none", requirements: &[], program: "main.js", oldest_node: 18, node: "node", npm: "npm" };

    #[test]
    fn what_is_missing_is_said() {
        let dir = std::env::temp_dir().join(crate::unique("dial-node"));
        std::fs::create_dir_all(&dir).unwrap();
        for packages in [
            NodePackages { node: "no-such-node", ..PACKAGES },
            NodePackages { npm: "no-such-npm", ..PACKAGES },
            NodePackages { oldest_node: 9_000, ..PACKAGES },
        ] {
            let error = ensure(&packages, &dir).unwrap_err();
            assert!(error.contains("the tests need Node") && error.contains("apt-get install nodejs npm"), "{error}");
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}
