//! Which stores the settings name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dial_analytics::folder::FolderStore;
use dial_analytics::s3::S3Store;
use dial_analytics::store::ObjectStore;
use dial_sinks::actors::ActorStore;
use dial_sinks::actors::dynamodb::DynamoActorStore;
use dial_sinks::actors::sqlite::SqliteActorStore;
use dial_sinks::dynamodb::DynamoFindingStore;
use dial_sinks::outbox::store::Outbox;
use dial_sinks::sqlite::SqliteFindingStore;

use crate::aws;
use crate::bucket;
use crate::failure::{Failure, Result};
use crate::settings::Settings;

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

/// The place of the archive: what the settings name, else the data folder.
pub(crate) async fn archive(settings: &Settings) -> Result<Arc<dyn ObjectStore>> {
    match settings.archive.location.as_deref() {
        Some(location) => match location.strip_prefix("s3://") {
            Some(address) => {
                let (bucket, prefix) = bucket::split(address)?;
                Ok(Arc::new(S3Store::new(aws::s3(&aws::config().await), bucket, prefix)))
            }
            None => archive_folder(Path::new(location)),
        },
        None => archive_folder(&settings.data.folder),
    }
}

/// The archive in a folder.
pub(crate) fn archive_folder(folder: &Path) -> Result<Arc<dyn ObjectStore>> {
    let store = FolderStore::open(folder).map_err(|error| Failure::Outside(error.to_string()))?;
    Ok(Arc::new(store))
}
