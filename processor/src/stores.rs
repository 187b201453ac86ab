//! Which stores the settings name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dial_analytics::folder::FolderStore;
use dial_analytics::s3::S3Store;
use dial_analytics::store::{ObjectStore, StoreError};
use dial_rules::finding::Finding;
use dial_sinks::actors::ActorStore;
use dial_sinks::actors::dynamodb::DynamoActorStore;
use dial_sinks::actors::sqlite::SqliteActorStore;
use dial_sinks::dynamodb::DynamoFindingStore;
use dial_sinks::outbox::store::Outbox;
use dial_sinks::sqlite::SqliteFindingStore;
use dial_sinks::windows::dynamodb::DynamoWindowStore;
use dial_sinks::windows::sqlite::SqliteWindowStore;
use tokio::sync::mpsc;

use crate::alerting::owing;
use crate::aws;
use crate::bucket;
use crate::correlator::Ports;
use crate::failure::{Failure, Result};
use crate::settings::{Data, Settings};

/// The store of findings to read: the folder that was named, else DynamoDB when a stream is set, else the data folder.
/// `None` when the folder has no findings yet.
///
/// # Errors
/// When the folder that was named is not there, or the store cannot be opened.
pub(crate) async fn findings(settings: &Settings, folder: Option<&Path>) -> Result<Option<Arc<dyn Outbox>>> {
    if folder.is_none() && settings.stream.name.is_some() {
        let client = aws_sdk_dynamodb::Client::new(&aws::config().await);
        return Ok(Some(Arc::new(DynamoFindingStore::new(client, settings.tables.findings()))));
    }
    if let Some(folder) = folder.filter(|folder| !folder.exists()) {
        return Err(Failure::Usage(format!("--data {}: there is no such folder", folder.display())));
    }
    let file: PathBuf = folder.map_or_else(|| settings.data.findings_file(), |folder| folder.join("findings.db"));
    if !file.exists() {
        return Ok(None);
    }
    Ok(Some(Arc::new(SqliteFindingStore::open(file).await?)))
}

/// The store of who is behind credentials, beside the findings that are read or recorded; `None` when there is none yet.
///
/// # Errors
/// When it cannot be opened.
pub(crate) async fn actors(settings: &Settings, folder: Option<&Path>) -> Result<Option<Arc<dyn ActorStore>>> {
    if folder.is_none() && settings.stream.name.is_some() {
        let client = aws_sdk_dynamodb::Client::new(&aws::config().await);
        return Ok(Some(Arc::new(DynamoActorStore::new(client, settings.tables.actors()))));
    }
    let file = folder.map_or_else(|| settings.data.actors_file(), |folder| folder.join("actors.db"));
    if !file.exists() {
        return Ok(None);
    }
    Ok(Some(Arc::new(SqliteActorStore::open(file).await?)))
}

/// The stores that the detect role records in: those of the folder that was named, else DynamoDB when a stream is set, else
/// those of the data folder. New findings are passed on to `news`, and owed to the archive and the sinks of the settings.
///
/// # Errors
/// When one of them cannot be opened.
pub(crate) async fn to_record(
    settings: &Settings,
    folder: Option<&Path>,
    news: mpsc::UnboundedSender<Finding>,
) -> Result<Ports> {
    let retention = settings.correlation.retention();
    if folder.is_none() && settings.stream.name.is_some() {
        let client = aws_sdk_dynamodb::Client::new(&aws::config().await);
        return Ok(Ports {
            windows: Arc::new(DynamoWindowStore::new(client.clone(), settings.tables.windows(), retention)),
            actors: Arc::new(DynamoActorStore::new(client.clone(), settings.tables.actors())),
            findings: owing(Arc::new(DynamoFindingStore::new(client, settings.tables.findings()))),
            news,
        });
    }
    let data = Data { folder: folder.unwrap_or(&settings.data.folder).to_owned() };
    Ok(Ports {
        windows: Arc::new(SqliteWindowStore::open(data.windows_file(), retention).await?),
        actors: Arc::new(SqliteActorStore::open(data.actors_file()).await?),
        findings: owing(Arc::new(SqliteFindingStore::open(data.findings_file()).await?)),
        news,
    })
}

/// The archive to read: the folder that was named, else what the settings name; `None` when it is a folder that is not there
/// yet.
///
/// # Errors
/// When the folder that was named is not there, or the archive cannot be opened.
pub(crate) async fn archive_to_read(
    settings: &Settings,
    folder: Option<&Path>,
) -> Result<Option<Arc<dyn ObjectStore>>> {
    if let Some(folder) = folder {
        return match folder.is_dir() {
            true => archive_folder(folder).map(Some),
            false => Err(no_folder("--data", folder)),
        };
    }
    let place = settings.archive.location.as_deref();
    let local = place.map_or(Some(settings.data.folder.as_path()), |place| {
        Some(Path::new(place)).filter(|_| !place.starts_with("s3://"))
    });
    match local {
        Some(local) if !local.is_dir() => Ok(None),
        _ => archive(settings).await.map(Some),
    }
}

/// The folder that the archive is in: the one that was named, else what the settings name, whether it is there or not.
///
/// # Errors
/// When the folder that was named is not there, or the settings name S3.
pub(crate) fn archive_place<'a>(settings: &'a Settings, folder: Option<&'a Path>) -> Result<&'a Path> {
    match (folder, settings.archive.location.as_deref()) {
        (Some(folder), _) if !folder.is_dir() => Err(no_folder("--data", folder)),
        (Some(folder), _) => Ok(folder),
        (None, Some(place)) if place.starts_with("s3://") => Err(Failure::Usage(format!(
            "the archive is at {place}, where Athena reads it: make its tables known there with `dial archive ddl`, and set \
             `athena.database` in dial.toml; or name a folder with --data"
        ))),
        (None, Some(place)) => Ok(Path::new(place)),
        (None, None) => Ok(&settings.data.folder),
    }
}

/// The place of the archive: what the settings name, else the data folder.
pub(crate) async fn archive(settings: &Settings) -> Result<Arc<dyn ObjectStore>> {
    match settings.archive.location.as_deref() {
        Some(location) => archive_at(location).await,
        None => archive_folder(&settings.data.folder),
    }
}

/// The same, to write to. A folder that cannot be written is told at once; a bucket is first asked when something is put.
///
/// # Errors
/// When it cannot be opened, or is a folder that cannot be written.
pub(crate) async fn archive_to_write(settings: &Settings) -> Result<Arc<dyn ObjectStore>> {
    match settings.archive.location.as_deref() {
        Some(location) => archive_to_write_at(location).await,
        None => writable_folder(&settings.data.folder),
    }
}

/// As [`archive_to_write`], at this place.
pub(crate) async fn archive_to_write_at(location: &str) -> Result<Arc<dyn ObjectStore>> {
    match location.starts_with("s3://") {
        true => archive_at(location).await,
        false => writable_folder(Path::new(location)),
    }
}

fn writable_folder(folder: &Path) -> Result<Arc<dyn ObjectStore>> {
    let outside = |error: StoreError| Failure::Outside(error.to_string());
    let store = FolderStore::open(folder).map_err(outside)?;
    store.check_writable().map_err(outside)?;
    Ok(Arc::new(store))
}

/// The archive at `s3://BUCKET/PREFIX`, or in a folder.
pub(crate) async fn archive_at(location: &str) -> Result<Arc<dyn ObjectStore>> {
    let Some(address) = location.strip_prefix("s3://") else { return archive_folder(Path::new(location)) };
    let (bucket, prefix) = bucket::split(address)?;
    Ok(Arc::new(S3Store::new(aws::s3(&aws::config().await), bucket, prefix)))
}

/// The archive at this place, or else at that of the settings, and whether that is on S3; `None` when it is a folder that is
/// not there yet.
///
/// # Errors
/// When a folder that was named is not there, or the archive cannot be opened.
pub(crate) async fn archive_to_compact(
    settings: &Settings,
    place: Option<&str>,
) -> Result<Option<(Arc<dyn ObjectStore>, bool)>> {
    let on_s3 = place.or(settings.archive.location.as_deref()).is_some_and(|place| place.starts_with("s3://"));
    let store = match place {
        Some(place) if on_s3 => archive_at(place).await.map(Some),
        Some(folder) if Path::new(folder).is_dir() => archive_at(folder).await.map(Some),
        Some(folder) => Err(no_folder("--location", Path::new(folder))),
        None => archive_to_read(settings, None).await,
    };
    Ok(store?.map(|store| (store, on_s3)))
}

/// That what an option names is no folder.
fn no_folder(option: &str, path: &Path) -> Failure {
    let why = if path.exists() { "it is a file; name a folder" } else { "there is no such folder" };
    Failure::Usage(format!("{option} {}: {why}", path.display()))
}

/// The archive in a folder.
pub(crate) fn archive_folder(folder: &Path) -> Result<Arc<dyn ObjectStore>> {
    let store = FolderStore::open(folder).map_err(|error| Failure::Outside(error.to_string()))?;
    Ok(Arc::new(store))
}
