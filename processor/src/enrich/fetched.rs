//! [`FetchedFile`]: a table that is fetched every day, and kept on disk for a start without a network.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::Utc;
use dial_rules::event::{Millis, parse_rfc3339, rfc3339};
use reqwest::header::{ETAG, IF_NONE_MATCH};
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::http;
use super::organizations::replace;
use super::source::Fault;

/// How old a table may be before it is fetched again.
const FRESH: Duration = Duration::from_secs(24 * 3600);
/// A fetch that is not done by then is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most bytes of a table: AWS's ranges have some two million.
const LARGEST: usize = 64 << 20;
/// The longest `ETag` that is kept.
const LONGEST_TAG: usize = 256;

/// A table behind a URL, and its copy on disk.
#[derive(Debug, Clone)]
pub(crate) struct FetchedFile {
    pub(crate) url: Url,
    path: PathBuf,
}

/// What is known of the copy. It lies beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    url: String,
    fetched: String,
    etag: Option<String>,
    sha256: String,
}

/// A copy, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copy {
    pub(crate) bytes: Vec<u8>,
    pub(crate) note: Note,
}

/// What fetching came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// The copy is still what there is.
    Same(Note),
    /// There is something new.
    New(Copy),
}

impl Note {
    /// How long, at `now`, until the copy should be fetched again.
    pub(crate) fn due_in(&self, now: Millis) -> Duration {
        let age = parse_rfc3339(&self.fetched).map_or(i64::MAX, |fetched| now.saturating_sub(fetched));
        // From the future: a clock was wrong once.
        let age = u64::try_from(age).map_or(FRESH, Duration::from_millis);
        FRESH.saturating_sub(age)
    }
}

impl FetchedFile {
    /// The table at `url`, kept in `folder` under `name`.
    pub(crate) fn new(url: Url, folder: &Path, name: &str) -> FetchedFile {
        FetchedFile { url, path: folder.join("tables").join(name) }
    }

    fn note_path(&self) -> PathBuf {
        self.path.with_extension("json")
    }

    /// The copy on disk, if it is one of this URL.
    ///
    /// # Errors
    /// When it is damaged: which file, and how.
    pub(crate) fn kept(&self) -> Result<Option<Copy>, String> {
        let wrong = |why: String| format!("the kept table {} is of no use: {why}", self.path.display());
        let read = |path: &Path| match read_bounded(path) {
            Ok(bytes) if bytes.len() > LARGEST => Err(wrong(format!("it has more than {LARGEST} bytes"))),
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(wrong(error.to_string())),
        };
        let (Some(note), Some(bytes)) = (read(&self.note_path())?, read(&self.path)?) else { return Ok(None) };
        let note: Note = serde_json::from_slice(&note).map_err(|error| wrong(error.to_string()))?;
        if note.url != self.url.as_str() {
            return Ok(None);
        }
        if note.sha256 != digest(&bytes) {
            return Err(wrong("it is not what was fetched".to_owned()));
        }
        Ok(Some(Copy { bytes, note }))
    }

    /// Keeps a copy. A crash between the two files leaves a copy that does not fit its note, and is fetched anew.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn keep(&self, fetched: &Fetched) -> Result<(), String> {
        let (bytes, note) = match fetched {
            Fetched::Same(note) => (None, note),
            Fetched::New(copy) => (Some(&copy.bytes), &copy.note),
        };
        let note = serde_json::to_vec(note).map_err(|error| error.to_string())?;
        let write = || {
            bytes.map_or(Ok(()), |bytes| replace(&self.path, bytes))?;
            replace(&self.note_path(), &note)
        };
        write().map_err(|error: std::io::Error| format!("{} cannot be written: {error}", self.path.display()))
    }

    /// Fetches the table, unless it is still what `known` is of.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn fetch(&self, known: Option<&Note>) -> Result<Fetched, Fault> {
        let client = http::client(PATIENCE, &self.url).map_err(Fault::Unavailable)?;
        let etag = known.and_then(|note| note.etag.as_deref());
        let mut request = client.get(self.url.clone());
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let response = request.send().await.map_err(http::fault)?;
        let now = Utc::now();
        let fetched = rfc3339(now.timestamp_millis());
        if let (StatusCode::NOT_MODIFIED, Some(known)) = (response.status(), known) {
            return Ok(Fetched::Same(Note { fetched, ..known.clone() }));
        }
        if let Some(fault) = http::refusal(response.status(), response.headers(), now) {
            return Err(fault);
        }
        let etag = response.headers().get(ETAG).and_then(|value| value.to_str().ok());
        let etag = etag.filter(|tag| tag.len() <= LONGEST_TAG).map(str::to_owned);
        let bytes = http::body(response, LARGEST).await?;
        let note = Note { url: self.url.to_string(), fetched, etag, sha256: digest(&bytes) };
        Ok(Fetched::New(Copy { bytes, note }))
    }
}

/// The file's bytes, up to one more than any table has.
fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LARGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_has_grown_beyond_all_tables_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = FetchedFile::new(Url::parse("https://example.com/t").unwrap(), folder.path(), "t");
        let bytes = b"8.8.8.8".to_vec();
        let (url, fetched) = (file.url.to_string(), "2026-01-01T00:00:00Z".to_owned());
        let note = Note { url, fetched, etag: None, sha256: digest(&bytes) };
        file.keep(&Fetched::New(Copy { bytes: bytes.clone(), note })).unwrap();
        assert_eq!(file.kept().unwrap().unwrap().bytes, bytes);
        for path in [&file.path, &file.note_path()] {
            fs::File::options().write(true).open(path).unwrap().set_len(LARGEST as u64 + 1).unwrap();
            let wrong = file.kept().unwrap_err();
            assert!(wrong.contains("more than"), "{wrong}");
        }
    }
}
