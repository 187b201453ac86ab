//! The archive cannot be written: a bucket that refuses, is elsewhere or gone, a full disk, a folder that is none. The shards
//! wait and say so, detection goes on, and once the store is back every row is there once, by the same process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod archive {
    pub(crate) mod outage;
    #[allow(dead_code)]
    pub(crate) mod proxy;
}

use std::fs;

use archive::outage::{BUCKET, Outage, Place};
use archive::proxy::Refusal;

const READ_ONLY: Refusal = Refusal { status: 403, code: "AccessDenied", message: "Access Denied" };
const ELSEWHERE: Refusal = Refusal {
    status: 301,
    code: "PermanentRedirect",
    message: "The bucket you are attempting to access must be addressed using the specified endpoint.",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_bucket_is_waited_for() {
    let outage = Outage::prepare(Place::Bucket).await;
    outage.proxy.refuse(Some(READ_ONLY));
    outage.shows("denied", &["not permitted; grant the right to it", "AccessDenied", BUCKET]).await;
    outage.proxy.refuse(None);
    outage.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_in_another_region_is_waited_for() {
    let outage = Outage::prepare(Place::Bucket).await;
    outage.proxy.refuse(Some(ELSEWHERE));
    outage.shows("missing", &["check its name and region", "PermanentRedirect", BUCKET]).await;
    outage.proxy.refuse(None);
    outage.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_disappears_is_waited_for() {
    let outage = Outage::prepare(Place::Bucket).await;
    let objects = outage.remove_bucket().await;
    outage.shows("missing", &["check its name and region", "NoSuchBucket", BUCKET]).await;
    outage.restore_bucket(objects).await;
    outage.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_waited_for() {
    let outage = Outage::prepare(Place::Folder).await;
    outage.limit_files(Some(1_000));
    outage.shows("full", &["no space left; make room", "events/v1/dt="]).await;
    outage.limit_files(None);
    outage.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_a_file_is_waited_for() {
    let outage = Outage::prepare(Place::Folder).await;
    let (folder, aside) = (outage.folder(), outage.folder().with_extension("aside"));
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "").unwrap();
    outage.shows("missing", &["a file is where a folder has to be", "events/v1/dt="]).await;
    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    outage.ends().await;
}
