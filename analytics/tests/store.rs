//! One suite that every object store passes: memory, a folder, S3 (by ministack), and each of them behind failures.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dial_analytics::failing::FailingStore;
use dial_analytics::folder::FolderStore;
use dial_analytics::memory::MemoryStore;
use dial_analytics::s3::S3Store;
use dial_analytics::store::{Listed, ObjectStore, Put, StoreErrorKind};
use dial_emulators::{Ministack, unique};

async fn s3(prefix: &str) -> S3Store {
    let client = Ministack::shared().s3();
    let bucket = unique("archive");
    client.create_bucket().bucket(&bucket).send().await.unwrap();
    S3Store::new(client, &bucket, prefix)
}

#[tokio::test]
async fn memory_conforms() {
    conforms(Arc::new(MemoryStore::new())).await;
}

#[tokio::test]
async fn a_folder_conforms() {
    let dir = tempfile::tempdir().unwrap();
    conforms(Arc::new(FolderStore::open(&dir.path().join("new")).unwrap())).await;
}

#[tokio::test]
async fn s3_conforms() {
    conforms(Arc::new(s3("").await)).await;
    conforms(Arc::new(s3("/some/prefix/").await)).await;
}

async fn conforms(store: Arc<dyn ObjectStore>) {
    puts_once(&*store).await;
    one_of_many_creates(&store).await;
    lists_by_prefix(&*store).await;
    reads_whole_and_piecewise(&*store).await;
    says_what_is_absent(&*store).await;
    refuses_bad_keys(&*store).await;
    agrees_with_a_map(&*store).await;
}

async fn puts_once(store: &dyn ObjectStore) {
    let key = "once/a=1/b.c";
    let put = |bytes: &'static str| store.put_if_absent(key, Bytes::from_static(bytes.as_bytes()));
    assert_eq!(put("first").await.unwrap(), Put::Created);
    assert_eq!(put("second").await.unwrap(), Put::Existed);
    assert_eq!(store.get(key).await.unwrap(), "first");
    assert_eq!(store.size(key).await.unwrap(), 5);
    store.delete(key).await.unwrap();
    store.delete(key).await.unwrap();
    assert_eq!(put("third").await.unwrap(), Put::Created);
    assert_eq!(store.get(key).await.unwrap(), "third");
    assert_eq!(store.put_if_absent("once/empty", Bytes::new()).await.unwrap(), Put::Created);
    assert_eq!(store.get("once/empty").await.unwrap(), "");
    assert_eq!(store.put_if_absent("once/empty", Bytes::from("x")).await.unwrap(), Put::Existed);
}

async fn one_of_many_creates(store: &Arc<dyn ObjectStore>) {
    for round in 0..5 {
        let puts: Vec<_> = (0..16u8)
            .map(|n| {
                let store = Arc::clone(store);
                let bytes = Bytes::from(vec![n; 10_000]);
                tokio::spawn(async move { store.put_if_absent(&format!("raced/{round}"), bytes).await.unwrap() })
            })
            .collect();
        let mut created = Vec::new();
        for (n, put) in (0u8..).zip(puts) {
            if put.await.unwrap() == Put::Created {
                created.push(n);
            }
        }
        assert_eq!(created.len(), 1, "created by {created:?}");
        assert_eq!(store.get(&format!("raced/{round}")).await.unwrap(), vec![created[0]; 10_000]);
    }
}

async fn lists_by_prefix(store: &dyn ObjectStore) {
    let keys = ["l/dt=2024-01-01/a", "l/dt=2024-01-01/b/c", "l/dt=2024-01-02/a", "l/dt=2024-02-01/a", "l/dt", "l2"];
    for key in keys {
        store.put_if_absent(key, Bytes::from(key)).await.unwrap();
    }
    let table: [(&str, &[usize]); 9] = [
        ("l/", &[4, 0, 1, 2, 3]),
        ("l", &[4, 0, 1, 2, 3, 5]),
        ("l/dt=2024-01-", &[0, 1, 2]),
        ("l/dt=2024-01-01/", &[0, 1]),
        ("l/dt=2024-01-01/a", &[0]),
        ("l/dt=2024-01-01/b/c", &[1]),
        ("l/dt=2024-01-01/a/", &[]),
        ("nothing/here", &[]),
        ("../", &[]),
    ];
    for (prefix, expected) in table {
        let listed = |n: &usize| Listed { key: keys[*n].to_owned(), size: keys[*n].len() as u64 };
        let expected: Vec<_> = expected.iter().map(listed).collect();
        assert_eq!(store.list(prefix).await.unwrap(), expected, "{prefix:?}");
    }
}

async fn reads_whole_and_piecewise(store: &dyn ObjectStore) {
    // More than one page of anything, and no pattern that a lost or doubled piece would fit.
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    store.put_if_absent("large", bytes.clone().into()).await.unwrap();
    assert!(store.get("large").await.unwrap() == bytes);
    let mut reader = store.open("large").await.unwrap();
    let read = tokio::task::spawn_blocking(move || {
        let mut read = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut read).map(|_| read)
    });
    assert!(read.await.unwrap().unwrap() == bytes);
    for wanted in [1, 8, 2_999_999, 3_000_000, 4_000_000] {
        let from = 3_000_000_usize.saturating_sub(usize::try_from(wanted).unwrap());
        assert!(store.tail("large", wanted).await.unwrap() == bytes[from..], "{wanted}");
    }
    store.put_if_absent("empty", Bytes::new()).await.unwrap();
    assert_eq!(store.tail("empty", 8).await.unwrap(), "");
    // A reader that is dropped half-way leaves nothing hanging.
    drop(store.open("large").await.unwrap());
}

async fn says_what_is_absent(store: &dyn ObjectStore) {
    store.put_if_absent("folder/file", Bytes::from("x")).await.unwrap();
    for key in ["absent", "folder/absent", "folder/file/absent", "folder"] {
        let error = store.get(key).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::NotFound, "{error}");
        assert!(!error.is_retryable() && error.to_string().contains(key), "{error}");
        assert_eq!(store.tail(key, 8).await.unwrap_err().kind, StoreErrorKind::NotFound);
        assert!(store.put_at(key).await.is_err());
        assert!(store.size(key).await.is_err());
        let Err(error) = store.open(key).await else { panic!("opened {key}") };
        assert_eq!(error.kind, StoreErrorKind::NotFound, "{error}");
    }
}

async fn refuses_bad_keys(store: &dyn ObjectStore) {
    let long = "x".repeat(256);
    let longer = "x/".repeat(500) + "x";
    for key in ["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/.b", "a\\b", "a\0", "a\nb", &long, &longer]
    {
        let error = store.put_if_absent(key, Bytes::new()).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::BadKey, "{key:?}");
        assert_eq!(store.delete(key).await.unwrap_err().kind, StoreErrorKind::BadKey, "{key:?}");
    }
}

/// Random calls, compared with a map.
async fn agrees_with_a_map(store: &dyn ObjectStore) {
    let mut model: BTreeMap<String, Bytes> = BTreeMap::new();
    let mut state = 42u32;
    for step in 0..200 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let key = format!("random/{}/{}", (state >> 8) % 3, (state >> 12) % 4);
        match (state >> 16) % 4 {
            0 | 1 => {
                let bytes = Bytes::from(format!("{step}"));
                let expected = if model.contains_key(&key) { Put::Existed } else { Put::Created };
                assert_eq!(store.put_if_absent(&key, bytes.clone()).await.unwrap(), expected);
                model.entry(key).or_insert(bytes);
            }
            2 => {
                store.delete(&key).await.unwrap();
                model.remove(&key);
            }
            _ => assert_eq!(store.get(&key).await.ok().as_ref(), model.get(&key)),
        }
    }
    let listed = store.list("random/").await.unwrap();
    if let (Some(first), Some(at)) = (listed.first(), store.put_at("large").await.unwrap()) {
        assert!(store.put_at(&first.key).await.unwrap().unwrap() >= at, "put later");
        assert!((1_700_000_000_000..4_000_000_000_000).contains(&at), "milliseconds since 1970: {at}");
    }
    let expected: Vec<_> =
        model.iter().map(|(key, bytes)| Listed { key: key.clone(), size: bytes.len() as u64 }).collect();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn a_failing_store_does_half_of_what_it_denies() {
    let store = FailingStore::new(MemoryStore::new(), 7, 500);
    let (mut failed, mut done_all_the_same) = (0, 0);
    for n in 0..1000 {
        let key = format!("key/{n}");
        if let Err(error) = store.put_if_absent(&key, Bytes::from("x")).await {
            assert!(error.kind == StoreErrorKind::Unavailable && error.is_retryable());
            failed += 1;
            done_all_the_same += usize::from(store.inner().get(&key).await.is_ok());
        } else {
            store.inner().get(&key).await.unwrap();
        }
    }
    assert!((400..600).contains(&failed), "{failed}");
    assert!((150..350).contains(&done_all_the_same), "{done_all_the_same}");
    conforms(Arc::new(FailingStore::new(MemoryStore::new(), 7, 0))).await;
}

#[tokio::test]
async fn more_objects_than_a_page_are_listed() {
    let store = s3("p").await;
    let keys: Vec<_> = (0..1100).map(|n| format!("many/{n:04}")).collect();
    for chunk in keys.chunks(100) {
        let puts: Vec<_> = chunk
            .iter()
            .map(|key| {
                let (store, key) = (store.clone(), key.clone());
                tokio::spawn(async move { store.put_if_absent(&key, Bytes::from("x")).await.unwrap() })
            })
            .collect();
        for put in puts {
            put.await.unwrap();
        }
    }
    let listed: Vec<_> = store.list("many/").await.unwrap().into_iter().map(|l| l.key).collect();
    assert_eq!(listed, keys);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_said_so() {
    let store = S3Store::new(Ministack::shared().s3(), &unique("absent"), "");
    for error in [
        store.put_if_absent("a", Bytes::new()).await.unwrap_err(),
        store.get("a").await.unwrap_err(),
        store.list("a").await.unwrap_err(),
    ] {
        assert_eq!(error.kind, StoreErrorKind::Missing, "{error}");
        assert!(error.is_retryable() && error.to_string().contains("s3://absent-"), "{error}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_fails_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for place in [file.clone(), file.join("below")] {
        let error = FolderStore::open(&place).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::NoFolder);
        assert!(error.to_string().contains("/file") && error.to_string().contains("name a folder"), "{error}");
    }

    // The folder is taken away while the store is in use, and comes back.
    let root = dir.path().join("root");
    let store = FolderStore::open(&root).unwrap();
    std::fs::remove_dir_all(&root).unwrap();
    std::fs::write(&root, "in the way").unwrap();
    let error = store.put_if_absent("a/b", Bytes::from("x")).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    std::fs::remove_file(&root).unwrap();
    assert_eq!(store.put_if_absent("a/b", Bytes::from("x")).await.unwrap(), Put::Created);
}
