//! Lists the packs' files so that they can be compiled into the program.

#![allow(clippy::disallowed_methods)] // cargo speaks to build scripts through the environment

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let packs = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("packs");
    println!("cargo::rerun-if-changed=packs");
    let mut files = Vec::new();
    collect(&packs, &mut files)?;
    files.sort();
    let mut list = String::from("&[\n");
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file.strip_prefix(&packs).unwrap_or(&file).display().to_string();
        // Writing into a String cannot fail.
        let _ = writeln!(list, "    ({name:?}, include_str!({:?})),", file.display().to_string());
    }
    list.push_str("]\n");
    fs::write(PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("packs.rs"), list)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            println!("cargo::rerun-if-changed={}", path.display());
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            files.push(path);
        }
    }
    Ok(())
}
