#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

#[test]
fn room_is_given_while_the_first_lags_and_taken_back_in_two_steps() {
    let steps = |lags: &[Option<i64>]| {
        let mut giving = Giving::default();
        lags.iter()
            .map(|lag| {
                giving = giving.next(*lag);
                giving
            })
            .collect::<Vec<_>>()
    };
    use Giving::{Ending, Nothing, Room};
    assert_eq!(steps(&[None, Some(0), Some(1_999)]), [Nothing, Nothing, Nothing]);
    assert_eq!(steps(&[Some(2_000), Some(501), Some(500), Some(500)]), [Room, Room, Ending, Nothing]);
    assert_eq!(steps(&[Some(9_000), None, Some(1_999), Some(9_000)]), [Room, Ending, Nothing, Room]);
    assert_eq!(steps(&[Some(9_000), Some(0), Some(9_000)]), [Room, Ending, Room]);
}

#[test]
fn what_one_gets_the_other_gave() {
    let given = with_room(PollPace::EAGER, Giving::Room.freed(PollPace::GENTLE));
    assert_eq!(given.rate(), 1_600_000);
    assert_eq!(Giving::Room.pace(PollPace::GENTLE).rate(), 400_000);
    assert_eq!(with_room(PollPace::EAGER, Giving::Ending.freed(PollPace::GENTLE)), PollPace::EAGER);
    assert_eq!(Giving::Ending.pace(PollPace::GENTLE), Giving::Room.pace(PollPace::GENTLE));
    assert_eq!(Giving::Nothing.pace(PollPace::GENTLE), PollPace::GENTLE);
    assert_eq!(given.interval, PollPace::EAGER.interval);
}

/// Milliseconds, and bytes read then.
type Reads = Vec<(u64, usize)>;

/// A shard's reads by one consumer, and what both read in the second before `now`.
fn in_the_last_second(reads: &Reads, now: u64) -> (usize, usize) {
    let recent = reads.iter().filter(|(at, _)| *at + 1_000 > now);
    recent.fold((0, 0), |(count, bytes), (_, more)| (count + 1, bytes + more))
}

/// One minute of both consumers on a shard that always has more; `lags` decides how far behind the first one is in
/// each second, and `fill` how full each answer is (in percent of what was asked for).
fn minute(lags: &[i64], fill: &[usize]) -> Result<Reads, TestCaseError> {
    let (mut giving, mut freed) = (Giving::Nothing, 0);
    let (mut reads, mut next) = (Reads::new(), [0_u64, 137]);
    for n in 0.. {
        let turn = usize::from(next[1] < next[0]);
        let now = next[turn];
        if now >= 60_000 {
            break;
        }
        let (count, bytes) = in_the_last_second(&reads, now);
        prop_assert!(count < 5, "{count} reads in the second before {now}: {reads:?}");
        // The very first reads meet each other's whole answers.
        prop_assert!(bytes <= 2_000_000, "{bytes} bytes in the second before {now}: {reads:?}");
        let pace = if turn == 0 {
            with_room(PollPace::EAGER, freed)
        } else {
            giving = giving.next(Some(lags[now as usize / 1_000]));
            freed = giving.freed(PollPace::GENTLE);
            giving.pace(PollPace::GENTLE)
        };
        let bytes = pace.max_bytes * fill[n % fill.len()] / 100;
        reads.push((now, bytes));
        next[turn] += pace.interval_after(bytes).as_millis() as u64 + 1;
    }
    Ok(reads)
}

proptest! {
    #[test]
    fn together_they_stay_within_what_a_shard_gives(
        lags in proptest::collection::vec(prop_oneof![Just(0), Just(60_000), 0i64..5_000], 60),
        fill in proptest::collection::vec(prop_oneof![Just(100_usize), 0usize..101], 1..50),
    ) {
        minute(&lags, &fill)?;
    }
}

#[test]
fn the_first_catches_up_while_it_lags_and_the_second_does_not_stand_still() {
    let total = |lag| -> usize { minute(&[lag; 60], &[100]).unwrap().iter().map(|(_, bytes)| bytes).sum() };
    assert!(total(0) > 110_000_000 && total(60_000) > 110_000_000, "{} {}", total(0), total(60_000));
}

#[tokio::test(start_paused = true)]
async fn notes_are_left_and_taken_away() {
    let (first, second) = Sharing::pair();
    assert!(first == first.clone() && first != second && first != Sharing::pair().0);
    let (one, two) = (first.of_shard("s".into()), second.of_shard("s".into()));
    let elsewhere = second.of_shard("t".into());
    let now = Instant::now();
    one.answered(100, Some(60_000), now);
    assert_eq!(one.pace(PollPace::EAGER, now), PollPace::EAGER, "not before the other knows");
    assert_eq!(two.pace(PollPace::GENTLE, now), Giving::Room.pace(PollPace::GENTLE));
    assert_eq!(one.pace(PollPace::EAGER, now).rate(), 1_600_000);
    assert_eq!(elsewhere.pace(PollPace::GENTLE, now), PollPace::GENTLE, "another shard");
    drop(two);
    assert_eq!(one.pace(PollPace::EAGER, now), PollPace::EAGER, "nobody gives any more");
    let two = second.of_shard("s".into());
    let later = now + NEWS_LAST;
    assert_eq!(two.pace(PollPace::GENTLE, later), PollPace::GENTLE, "old news");
    one.answered(10_000_000, Some(60_000), now);
    assert_eq!(two.silent_until(), Some(now + Duration::from_secs(5)));
    tokio::time::advance(Duration::from_secs(6)).await;
    drop((one, two, elsewhere));
    assert!(first.board.lock().unwrap().is_empty());
}
