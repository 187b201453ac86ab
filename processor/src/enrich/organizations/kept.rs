//! [`Kept`]: the last answer of AWS Organizations on this machine's disk, for a start when AWS is away.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::{Path, PathBuf};

use dial_rules::accounts::Accounts;
use dial_rules::event::{Millis, parse_rfc3339, rfc3339};
use serde::{Deserialize, Serialize};

/// The file's name in the data folder.
const NAME: &str = "organization.json";
/// The most bytes that are read of it.
const LARGEST: u64 = 64 << 20;
/// The layout of the file. Files of another one are not read.
const VERSION: u32 = 1;

/// A file with accounts.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    path: PathBuf,
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptAccounts {
    version: u32,
    /// When AWS said so, RFC 3339.
    fetched: String,
    /// The accounts.
    pub(crate) accounts: Accounts,
}

impl KeptAccounts {
    /// What AWS said now.
    pub(crate) fn new(accounts: Accounts, now: Millis) -> KeptAccounts {
        KeptAccounts { version: VERSION, fetched: rfc3339(now), accounts }
    }

    /// When AWS said so.
    pub(crate) fn fetched(&self) -> Millis {
        parse_rfc3339(&self.fetched).unwrap_or_default()
    }
}

impl Kept {
    /// The file in this folder.
    pub(crate) fn within(folder: &Path) -> Kept {
        Kept { path: folder.join(NAME) }
    }

    /// What was kept; `None` when nothing was.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged: what is wrong, with its name.
    pub(crate) fn read(&self) -> Result<Option<KeptAccounts>, String> {
        let wrong = |why: String| format!("the kept accounts in {} are of no use: {why}", self.path.display());
        let length = match fs::metadata(&self.path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong(error.to_string())),
        };
        if length > LARGEST {
            return Err(wrong(format!("{length} bytes")));
        }
        let bytes = fs::read(&self.path).map_err(|error| wrong(error.to_string()))?;
        let kept: KeptAccounts = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if kept.version != VERSION {
            return Err(wrong(format!("version {} is not {VERSION}", kept.version)));
        }
        if parse_rfc3339(&kept.fetched).is_none() {
            return Err(wrong(format!("{:?} is no time", kept.fetched)));
        }
        Ok(Some(kept))
    }

    /// Keeps this instead. Whoever reads meanwhile finds the one or the other, and a crash leaves one of them.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, accounts: &KeptAccounts) -> Result<(), String> {
        let bytes = serde_json::to_vec(accounts).map_err(|error| error.to_string())?;
        replace(&self.path, &bytes).map_err(|error| format!("{} cannot be written: {error}", self.path.display()))
    }
}

/// Puts a file in the place of another at once.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // Of this call alone: workers may share a folder, and in containers their process ids are the same.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{:016x}", RandomState::new().hash_one(std::process::id())));
    let written = fs::File::create_new(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&beside, path)).inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}
