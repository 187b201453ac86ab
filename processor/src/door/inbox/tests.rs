use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::disk::twin::Twin;
use super::*;

const PLENTY: u64 = 1 << 30;

fn parcel(body: impl Into<Vec<u8>>) -> Parcel {
    let body = Bytes::from(body.into());
    Parcel { expanded: body.len() as u64, body, first_id: "id".to_owned() }
}

fn open_over(twin: &Twin, most: u64) -> (Inbox, Emptier) {
    over(Arc::new(twin.clone()), most).unwrap()
}

/// Everything that is left to process, once nothing more comes.
async fn all(emptier: &Emptier) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    while let Some(segment) = emptier.next().await.unwrap() {
        bodies.extend(segment.bodies().map(<[u8]>::to_vec));
        emptier.done(&segment).unwrap();
    }
    bodies
}

#[tokio::test]
async fn what_is_kept_comes_out_in_order_and_is_gone_then() {
    let twin = Twin::default();
    let (inbox, emptier) = open_over(&twin, PLENTY);
    for n in 0..20 {
        inbox.keep(parcel(format!("body-{n}"))).await.unwrap();
    }
    assert!(inbox.backlog() > 20 * 6);
    let first = emptier.next().await.unwrap().unwrap();
    let bodies: Vec<_> = first.bodies().map(|body| String::from_utf8(body.to_vec()).unwrap()).collect();
    assert_eq!(bodies, (0..20).map(|n| format!("body-{n}")).collect::<Vec<_>>());
    assert!(!twin.with(|state| state.segments.is_empty()), "it stays until it is done");
    emptier.done(&first).unwrap();
    inbox.keep(parcel("more")).await.unwrap();
    inbox.close();
    assert_eq!(all(&emptier).await, [b"more".to_vec()]);
    assert_eq!(inbox.backlog(), 0);
    assert!(twin.with(|state| state.segments.is_empty()));
    assert!(matches!(inbox.keep(parcel("late")).await, Err(KeepError::Outside(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_share_a_sync() {
    let twin = Twin::default();
    let (inbox, _emptier) = open_over(&twin, PLENTY);
    // While the disk is busy, others gather.
    let busy = twin.clone();
    let (begun, has_begun) = std::sync::mpsc::channel();
    let (finish, may_finish) = std::sync::mpsc::channel::<()>();
    let holding = std::thread::spawn(move || {
        busy.with(|_| {
            begun.send(()).unwrap();
            may_finish.recv().unwrap();
        });
    });
    has_begun.recv().unwrap();
    let inbox = Arc::new(inbox);
    let puts: Vec<_> = (0..200)
        .map(|n| {
            let inbox = inbox.clone();
            tokio::spawn(async move { inbox.keep(parcel(n.to_string())).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    finish.send(()).unwrap();
    for put in puts {
        put.await.unwrap().unwrap();
    }
    holding.join().unwrap();
    // One for the header, and a few for two hundred bodies.
    assert!(twin.with(|state| state.syncs) <= 6, "{}", twin.with(|state| state.syncs));
}

#[tokio::test]
async fn a_full_disk_refuses_and_loses_nothing() {
    for stubborn in [false, true] {
        let twin = Twin::default();
        let (inbox, emptier) = open_over(&twin, PLENTY);
        twin.with(|state| {
            state.capacity = Some(400);
            state.stubborn = stubborn;
        });
        let mut kept = Vec::new();
        for n in 0..40 {
            let body = format!("body-{n:02}");
            match inbox.keep(parcel(body.clone())).await {
                Ok(()) => kept.push(body.into_bytes()),
                Err(error) => assert!(matches!(error, KeepError::Full(_)), "{error}"),
            }
        }
        assert!((5..20).contains(&kept.len()), "{}", kept.len());
        // Room is made: it goes on.
        twin.with(|state| state.capacity = None);
        inbox.keep(parcel("after")).await.unwrap();
        kept.push(b"after".to_vec());
        inbox.close();
        let found = all(&emptier).await;
        assert!(kept.iter().all(|body| found.contains(body)), "{stubborn}: {found:?}");
        if !stubborn {
            assert_eq!(found, kept);
        }
        assert!(twin.with(|state| state.segments.is_empty() && state.aside.is_empty()), "nothing is left behind");
    }
}

#[tokio::test]
async fn more_than_may_wait_is_refused() {
    let twin = Twin::default();
    let (inbox, emptier) = open_over(&twin, 100);
    inbox.keep(parcel(vec![b'x'; 60])).await.unwrap();
    assert!(matches!(inbox.keep(parcel(vec![b'x'; 60])).await, Err(KeepError::Full(_))));
    let segment = emptier.next().await.unwrap().unwrap();
    emptier.done(&segment).unwrap();
    inbox.keep(parcel(vec![b'x'; 60])).await.unwrap();
}

#[tokio::test]
async fn a_damaged_segment_is_read_as_far_as_it_goes_and_put_aside() {
    let twin = Twin::default();
    let (inbox, emptier) = open_over(&twin, PLENTY);
    for body in ["one", "two", "three"] {
        inbox.keep(parcel(body)).await.unwrap();
    }
    drop((inbox, emptier));
    twin.with(|state| {
        let bytes = state.segments.get_mut(&1).unwrap();
        let at = bytes.windows(3).position(|part| part == b"two").unwrap();
        bytes[at] = b'T';
    });
    let (inbox, emptier) = open_over(&twin, PLENTY);
    inbox.close();
    assert_eq!(all(&emptier).await, [b"one".to_vec(), b"three".to_vec()]);
    assert!(twin.with(|state| state.segments.is_empty() && state.aside.contains_key(&1)));
}

#[tokio::test]
async fn large_segments_are_sealed_without_being_asked() {
    let twin = Twin::default();
    let (inbox, _emptier) = open_over(&twin, PLENTY);
    for _ in 0..9 {
        inbox.keep(parcel(vec![b'x'; 1 << 20])).await.unwrap();
    }
    // What expands to much counts as such.
    let bomb = Parcel { expanded: 1 << 40, ..parcel("small") };
    inbox.keep(bomb).await.unwrap();
    inbox.keep(parcel("next")).await.unwrap();
    assert_eq!(twin.with(|state| state.segments.len()), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Killed at any moment, with the disk cut anywhere behind what was confirmed: everything confirmed is there at the next
    /// start, and again at the one after it if that is killed, too.
    #[test]
    fn what_was_confirmed_outlives_the_process(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 1..30),
        rubbish in prop::collection::vec(any::<u8>(), 0..100),
        done in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let twin = Twin::default();
            let (inbox, _emptier) = open_over(&twin, PLENTY);
            for body in &bodies {
                inbox.keep(parcel(body.clone())).await.unwrap();
            }
            // What the disk has at this moment, and a write that was under way.
            let mut there: BTreeMap<u64, Vec<u8>> = twin.with(|state| state.segments.clone());
            there.values_mut().last().unwrap().extend_from_slice(&rubbish);
            let twin = Twin::default();
            twin.with(|state| state.segments = there);
            for life in 0..2 {
                let (inbox, emptier) = open_over(&twin, PLENTY);
                if life == 1 {
                    inbox.close();
                    assert_eq!(all(&emptier).await, if done { Vec::new() } else { bodies.clone() });
                    continue;
                }
                let segment = emptier.next().await.unwrap().unwrap();
                assert_eq!(segment.bodies().map(<[u8]>::to_vec).collect::<Vec<_>>(), bodies);
                if done {
                    emptier.done(&segment).unwrap();
                }
            }
        });
    }
}

#[tokio::test]
async fn a_folder_belongs_to_one_process_and_survives_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inbox");
    assert!(left(&path).unwrap().is_none(), "there is no inbox yet");
    let (inbox, emptier) = open(&path, PLENTY).unwrap();
    inbox.keep(parcel("one")).await.unwrap();
    inbox.keep(parcel("two")).await.unwrap();
    let taken = open(&path, PLENTY).err().unwrap().to_string();
    assert!(taken.contains("in use"), "{taken}");
    assert!(left(&path).unwrap().is_none(), "it is not left");
    drop((inbox, emptier));
    // The thread may be sealing yet; what is durable is there all the same.
    let emptier = left(&path).unwrap().unwrap();
    assert_eq!(all(&emptier).await, [b"one".to_vec(), b"two".to_vec()]);
    drop(emptier);
    assert!(left(&path).unwrap().is_none(), "nothing is left");
}

#[tokio::test]
async fn damaged_files_are_put_aside_under_names_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        std::fs::write(folder.path().join("00000000000000000001.segment"), b"no segment at all").unwrap();
        let (inbox, emptier) = open(folder.path(), PLENTY).unwrap();
        inbox.close();
        assert_eq!(all(&emptier).await, Vec::<Vec<u8>>::new());
    }
    assert_eq!(std::fs::read_dir(folder.path().join("damaged")).unwrap().count(), 2);
}
