//! What a scan reads: files, folders, standard input, and objects in S3.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::bucket::Bucket;
use crate::failure::{Failure, Result};
use crate::hashed_input::HashedInput;
use crate::patient::{Patient, StopFlag};

/// One thing to read.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    /// How messages call it.
    pub(crate) name: String,
    /// Its length in bytes as stored, where it is known before reading.
    pub(crate) size: u64,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Stdin,
    File(PathBuf),
    Object { bucket: Bucket, key: String },
}

/// Everything there is to read, what was passed over on the way, and what could not be looked into.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    pub(crate) list: Vec<Input>,
    /// Files in folders whose names are not those of CloudTrail files.
    pub(crate) passed_over: u64,
    pub(crate) unreadable: Vec<String>,
}

impl Input {
    /// Opens it. Reading blocks the thread; but where nobody may be writing (standard input, a pipe), what is read ends
    /// soon after `stop` is set.
    pub(crate) fn open(&self, stop: StopFlag) -> io::Result<Box<dyn Read + Send>> {
        match &self.place {
            Place::Stdin => Ok(Box::new(Patient::new(|| Ok(io::stdin()), stop))),
            Place::File(path) if fs::metadata(path)?.is_file() => Ok(Box::new(File::open(path)?)),
            Place::File(path) => {
                let path = path.clone();
                Ok(Box::new(Patient::new(move || File::open(path), stop)))
            }
            Place::Object { bucket, key } => bucket.open(key),
        }
    }

    /// Opens it to be read under the name of the SHA-256 of its bytes as they lie there.
    pub(crate) fn open_hashed(&self, stop: StopFlag, scratch: &Path) -> io::Result<HashedInput> {
        match &self.place {
            Place::File(path) if fs::metadata(path)?.is_file() => HashedInput::of_file(File::open(path)?),
            _ => HashedInput::laid_down(self.open(stop)?, scratch),
        }
    }
}

impl Inputs {
    /// Finds what these paths name.
    ///
    /// # Errors
    /// When a path that was named does not exist, or a bucket cannot be listed. A folder below that cannot be read is
    /// noted instead, so that its neighbours are still scanned.
    pub(crate) async fn find(paths: &[String]) -> Result<Inputs> {
        let mut inputs = Inputs::default();
        for path in paths {
            if path == "-" {
                inputs.list.push(Input { name: "standard input".to_owned(), size: 0, place: Place::Stdin });
            } else if let Some(address) = path.strip_prefix("s3://") {
                inputs.find_objects(address).await?;
            } else {
                inputs.find_files(Path::new(path))?;
            }
        }
        Ok(inputs)
    }

    async fn find_objects(&mut self, address: &str) -> Result<()> {
        let (bucket, prefix) = Bucket::connect(address).await?;
        let before = self.list.len();
        for object in bucket.list(&prefix).await? {
            let name = format!("s3://{}/{}", bucket.name(), object.key);
            if object.key != prefix && !is_log(&object.key) {
                self.passed_over += 1;
                continue;
            }
            let place = Place::Object { bucket: bucket.clone(), key: object.key };
            self.list.push(Input { name, size: object.size, place });
        }
        if self.list.len() == before {
            self.unreadable.push(format!("s3://{address}: no CloudTrail files there"));
        }
        Ok(())
    }

    fn find_files(&mut self, path: &Path) -> Result<()> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Failure::Usage(format!("{}: there is no such file or folder", path.display())));
            }
            Err(error) => {
                self.unreadable.push(format!("{}: {error}", path.display()));
                return Ok(());
            }
        };
        if metadata.is_dir() {
            self.find_in_folder(path);
        } else {
            self.push_file(path, metadata.len());
        }
        Ok(())
    }

    fn find_in_folder(&mut self, folder: &Path) {
        let mut entries: Vec<_> = match fs::read_dir(folder).and_then(Iterator::collect) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable.push(format!("{}: {error}", folder.display())),
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for path in entries.iter().map(fs::DirEntry::path) {
            // A link to a folder is not followed: it may lead round in a circle.
            match (fs::metadata(&path), path.is_symlink()) {
                (Ok(metadata), false) if metadata.is_dir() => self.find_in_folder(&path),
                (Ok(metadata), _) if metadata.is_file() && is_log(&path.to_string_lossy()) => {
                    self.push_file(&path, metadata.len());
                }
                (Ok(_), _) => self.passed_over += 1,
                (Err(error), _) => self.unreadable.push(format!("{}: {error}", path.display())),
            }
        }
    }

    fn push_file(&mut self, path: &Path, size: u64) {
        self.list.push(Input { name: path.display().to_string(), size, place: Place::File(path.to_owned()) });
    }
}

/// Whether a name is one that CloudTrail files, or exports of events, have. CloudTrail's digest files, which lie in a
/// folder of their own beside them, hold no events.
pub(crate) fn is_log(name: &str) -> bool {
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    let log = [".json", ".jsonl", ".ndjson", ".log"].iter().any(|ending| plain.ends_with(ending));
    log && !name.contains("/CloudTrail-Digest/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_logs_are_told_from_others() {
        for name in ["a.json", "a.json.gz", "x/b.jsonl", "c.ndjson.gz", "d.log"] {
            assert!(is_log(name), "{name}");
        }
        for name in ["LICENSE", "a.md", "a.gz", "b.parquet", "o-1/AWSLogs/1/CloudTrail-Digest/eu-west-1/x.json.gz"] {
            assert!(!is_log(name), "{name}");
        }
    }

    #[tokio::test]
    async fn folders_are_walked_and_named_files_always_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("sub")).unwrap();
        for name in ["b.json", "sub/a.json.gz", "notes.txt"] {
            fs::write(path(name), "x").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), path("sub/circle")).unwrap();
        let whole = Inputs::find(&[folder.path().display().to_string()]).await.unwrap();
        let names: Vec<&str> = whole.list.iter().map(|input| input.name.rsplit('/').next().unwrap()).collect();
        assert_eq!((names, whole.passed_over), (vec!["b.json", "a.json.gz"], 2));
        assert_eq!(Inputs::find(&[path("notes.txt").display().to_string()]).await.unwrap().list.len(), 1);
        let missing = Inputs::find(&[path("none").display().to_string()]).await;
        assert!(matches!(missing, Err(Failure::Usage(_))));
    }
}
