//! PySpark, as another reader of what was written. It needs Java, 17 or newer.

use std::path::PathBuf;

use crate::folder::Folder;
use crate::install::ensure;
use crate::kcl::{JAVA, java_version};
use crate::python::Environment;

/// What is installed. PyPI has it as 430 MB of source, which takes a minute or two.
const ENVIRONMENT: Environment<'static> = Environment {
    name: "spark",
    requirements: &["pyspark==4.0.1", "py4j==0.10.9.9"],
    with_dependencies: true,
    oldest_python: (3, 9),
    python: "python3",
};

/// The Python interpreter of an environment with PySpark (`import pyspark`). Installs it where that has not been done.
///
/// # Panics
///
/// Without Java or Python, or when the packages cannot be installed: with the reason.
pub fn spark_python() -> PathBuf {
    let hint = "PySpark needs Java 17 or newer as `java` on PATH (Debian: apt-get install default-jre-headless)";
    java_version(JAVA)
        .map_err(|_| hint.to_owned())
        .and_then(|_| ensure(&ENVIRONMENT, Folder::of_workspace()?.path()))
        .unwrap_or_else(|reason| panic!("there is no PySpark: {reason}"))
}
