//! Spark, which shares no code with what wrote the files, finds the same in both tables, also across files of before a column
//! was there. It needs Java, and installs PySpark on first use:
//!
//! ```text
//! cargo test -p dial-analytics --test spark -- --ignored
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use dial_emulators::spark_python;
use support::readers::{Sums, agree, archive, expected, told};

#[tokio::test]
#[ignore = "needs Java, and installs PySpark: 430 MB"]
async fn spark_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive(dir.path()).await;
    let expected = expected(&store).await;
    let mut child = Command::new(spark_python());
    child.arg("-c").arg(include_str!("spark.py")).arg(dir.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    // Spark finds the interpreter of its workers here, and its scratch folder.
    let mut child = child
        .env("PYSPARK_PYTHON", spark_python())
        .env("SPARK_LOCAL_DIRS", dir.path().join("scratch"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(told().to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Sums = serde_json::from_slice(&output.stdout).unwrap();
    agree("Spark", &found, &expected);
}
