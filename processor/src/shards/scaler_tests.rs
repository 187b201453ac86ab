use std::sync::Mutex;

use super::super::memory::{CHANGE, FailingAdmin, Fault, MemoryAdmin};
use super::*;

const NOW: i64 = 1_700_000_000_000;
const HOUR: i64 = 3_600_000;

/// How it ends, and what was told on the way.
async fn scale(admin: &dyn StreamAdmin, to: u32, stop: &CancellationToken) -> (Result<u32, ScaleError>, Vec<Step>) {
    let steps = Mutex::new(Vec::new());
    let tell = |step: &Step| steps.lock().unwrap().push(step.clone());
    let scaler = Scaler { admin, limits: Limits::default(), clock: &|| NOW, tell: &tell };
    let done = scaler.run(to, stop).await;
    (done, steps.into_inner().unwrap())
}

async fn scaled(admin: &dyn StreamAdmin, to: u32) -> Result<u32, ScaleError> {
    scale(admin, to, &CancellationToken::new()).await.0
}

fn asked(admin: &MemoryAdmin) -> Vec<u32> {
    admin.with(|state| state.asked.clone())
}

#[tokio::test(start_paused = true)]
async fn it_doubles_and_halves_until_it_is_there_and_waits_for_each_step() {
    let admin = MemoryAdmin::new(3);
    let begun = Instant::now();
    let (done, steps) = scale(&admin, 20, &CancellationToken::new()).await;
    assert_eq!((done, asked(&admin)), (Ok(3), vec![6, 12, 20]));
    assert!(begun.elapsed() >= CHANGE * 3);
    assert_eq!(admin.with(|state| state.history.clone()), [NOW; 3]);
    assert!(steps.contains(&Step::Asked { from: 6, to: 12 }));
    assert!(steps.contains(&Step::Waiting { shards: 12, status: StreamStatus::Changing }));
    assert_eq!(scaled(&admin, 4).await, Ok(3));
    assert_eq!(asked(&admin)[3..], [10, 5, 4]);
    assert_eq!(scaled(&admin, 4).await, Ok(0), "it is there already");
}

#[tokio::test(start_paused = true)]
async fn the_eleventh_call_of_a_day_is_not_made() {
    let admin = MemoryAdmin::new(4);
    admin.with(|state| state.history = (0..9).map(|n| NOW - 20 * HOUR + n).collect());
    let wait = Duration::from_secs(4 * 3_600);
    // One is left, then none.
    assert_eq!(scaled(&admin, 16).await, Err(ScaleError::Refused(Refusal::CallsUsedUp { calls: 10, wait })));
    assert_eq!(asked(&admin), [8]);
    // Those of more than a day ago do not count.
    admin.with(|state| state.history = vec![NOW - 24 * HOUR; 10]);
    assert_eq!(scaled(&admin, 16).await, Ok(1));
    assert_eq!(admin.with(|state| state.history.clone()), [NOW]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_only_kinesis_knows_of_is_told_in_its_words_and_the_notes_are_as_before() {
    let admin = MemoryAdmin::new(4);
    admin.with(|state| (state.calls, state.history) = (0, vec![NOW - 5]));
    let error = scaled(&admin, 8).await.unwrap_err();
    assert!(matches!(&error, ScaleError::Limit(_)) && error.to_string().contains("ten times a day"), "{error}");
    assert_eq!(admin.with(|state| state.history.clone()), [NOW - 5]);
}

#[tokio::test(start_paused = true)]
async fn what_kinesis_would_refuse_is_not_asked() {
    for (change, to, refused) in [
        (None, 0, ScaleError::Refused(Refusal::None)),
        (None, 10_001, ScaleError::Refused(Refusal::TooMany { to: 10_001, most: 10_000 })),
        (Some(("deleting", true)), 8, ScaleError::Refused(Refusal::Deleting)),
        (Some(("on demand", true)), 8, ScaleError::OnDemand),
    ] {
        let admin = MemoryAdmin::new(4);
        admin.with(|state| match change {
            Some(("deleting", on)) => state.deleting = on,
            Some((_, on)) => state.on_demand = on,
            None => {}
        });
        assert_eq!(scaled(&admin, to).await, Err(refused));
        assert_eq!(asked(&admin), [0; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn stopping_it_leaves_the_step_to_kinesis_and_the_next_run_goes_on() {
    let admin = MemoryAdmin::new(4);
    let stop = CancellationToken::new();
    let stopping = async {
        sleep(CHANGE + Duration::from_secs(10)).await;
        stop.cancel();
    };
    let ((done, _), ()) = tokio::join!(scale(&admin, 16, &stop), stopping);
    assert_eq!(done, Err(ScaleError::Stopped { shards: 8, asked: Some(16) }));
    // It is still changing when the next run begins.
    assert_eq!(scaled(&admin, 16).await, Ok(0));
    assert_eq!((asked(&admin), admin.with(|state| state.shards)), (vec![8, 16], 16));
}

#[tokio::test(start_paused = true)]
async fn failures_that_pass_are_waited_out_and_others_end_it() {
    let admin = FailingAdmin::new(MemoryAdmin::new(4));
    *admin.looks.lock().unwrap() = [Fault::Before(AdminErrorKind::Unavailable), Fault::AnswerLost].into();
    *admin.updates.lock().unwrap() =
        [AdminErrorKind::Busy, AdminErrorKind::Throttled].map(Fault::Before).into_iter().collect();
    assert_eq!(scaled(&admin, 8).await, Ok(1));
    assert_eq!(admin.inner.with(|state| state.history.clone()), [NOW], "calls without effect are not noted");

    *admin.looks.lock().unwrap() = std::iter::repeat_n(Fault::AnswerLost, 100).collect();
    assert!(matches!(scaled(&admin, 16).await, Err(ScaleError::Failed(_))));
    admin.looks.lock().unwrap().clear();
    *admin.updates.lock().unwrap() = [Fault::Before(AdminErrorKind::Denied)].into();
    assert!(matches!(scaled(&admin, 16).await, Err(ScaleError::Failed(_))));
    assert_eq!(asked(&admin.inner), [8]);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_answer_is_lost_is_not_made_twice() {
    let admin = FailingAdmin::new(MemoryAdmin::new(4));
    *admin.updates.lock().unwrap() = [Fault::AnswerLost].into();
    assert_eq!(scaled(&admin, 8).await, Ok(1));
    assert_eq!(asked(&admin.inner), [8]);
    // And one that was never taken up is found out.
    *admin.updates.lock().unwrap() = [Fault::Before(AdminErrorKind::Unavailable)].into();
    let refused = Refusal::Ineffective { asked: 16, shards: 8 };
    assert_eq!(scaled(&admin, 16).await, Err(ScaleError::Refused(refused)));
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_tags_it_goes_on_and_says_so() {
    let mut admin = FailingAdmin::new(MemoryAdmin::new(4));
    admin.no_tags = true;
    let (done, steps) = scale(&admin, 8, &CancellationToken::new()).await;
    assert_eq!(done, Ok(1));
    assert!(steps.iter().any(|step| matches!(step, Step::Unnoted(_))), "{steps:?}");
}
