//! Random histories of one day: files written, compactors at work and crashing, files deleted, and readers whose
//! listings are taken at random moments, in any order, object by object. Each reader must see every row that was there
//! when it began exactly once, and later ones at most once. Planning, switching and visibility are the real ones.
//!
//! Then the same with one thing wrong at a time, which must show.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use dial_rules::event::Millis;

use crate::compaction::footer::Footer;
use crate::compaction::plan::{Action, DayFiles, Policy, Source, effective_from, plan};
use crate::events_schema::EVENTS;
use crate::folders::{Folders, Kind};
use crate::layout::Day;
use crate::store::Listed;
use crate::switch::Switch;
use crate::visibility::Visibility;

const HISTORIES: u64 = 500;
const STEPS: u64 = 400;
/// The longest that a reader takes; that a put is on its way; that clocks differ from the true time.
const QUERY: Millis = 400;
const FLIGHT: Millis = 2000;
const SKEW: Millis = 50;

/// What is wrong, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// Readers obey switches from when they see them.
    EffectiveFromIgnored,
    /// What is hidden is deleted at once.
    NoGrace,
    /// The switch is put before its targets.
    SwitchFirst,
    /// A switch takes effect when it is made, on whatever clock.
    NoMargin,
    /// Who comes second puts his switch under the next number.
    NoCondition,
    /// Of a switch that another one overtook, the targets count.
    OrphansCount,
    /// A reader that orders its listings lists the files first.
    FilesFirst,
    /// The grace period begins when a switch takes effect, although it came to be there long after.
    PutTimeIgnored,
}

const MISTAKES: [Wrong; 8] = [
    Wrong::EffectiveFromIgnored,
    Wrong::NoGrace,
    Wrong::SwitchFirst,
    Wrong::NoMargin,
    Wrong::NoCondition,
    Wrong::OrphansCount,
    Wrong::FilesFirst,
    Wrong::PutTimeIgnored,
];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn span(&mut self, most: Millis) -> Millis {
        Millis::try_from(self.below(u64::try_from(most).unwrap() + 1)).unwrap()
    }

    fn skew(&mut self) -> Millis {
        self.span(2 * SKEW) - SKEW
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[derive(Debug, Clone)]
enum Object {
    Rows(Rc<BTreeSet<u32>>),
    /// With the time at which it came to be there.
    Switch(Rc<Switch>, Millis),
}

/// One compactor: what it has left to do of a plan, and when it does the next of it.
#[derive(Debug, Default)]
struct Worker {
    skew: Millis,
    switches: Option<Vec<(Rc<Switch>, Millis)>>,
    plan: Option<(DayFiles, VecDeque<Action>)>,
}

#[derive(Debug)]
struct Reader {
    seed: u64,
    began: Millis,
    /// By its own clock.
    now: Millis,
    ends: Millis,
    /// Lists the switches until then and files after; else everything at any moment.
    ordered: Option<Millis>,
    seen: BTreeMap<Rc<str>, Object>,
    owed: BTreeSet<u32>,
}

struct World {
    wrong: Wrong,
    random: Random,
    time: Millis,
    /// By key, with that one's hash.
    objects: BTreeMap<Rc<str>, (u64, Object)>,
    rows: u32,
    written: Vec<(String, Rc<BTreeSet<u32>>)>,
    workers: [Worker; 2],
    /// Whether compactors are at work; at other times none is.
    busy: bool,
    /// Switches on their way, whose senders wait no longer.
    flying: Vec<(Millis, Switch)>,
    readers: Vec<Reader>,
    read: u64,
    switched: u64,
    removed: u64,
}

fn day() -> Day {
    Day::parse("2024-05-01").unwrap()
}

fn folders() -> Folders {
    Folders::of(&EVENTS)
}

impl World {
    fn new(seed: u64, wrong: Wrong) -> World {
        let mut random = Random(mix(seed));
        let worker = |random: &mut Random| Worker { skew: random.skew(), ..Worker::default() };
        let workers = [worker(&mut random), worker(&mut random)];
        let time = day().end() + 1000;
        World {
            wrong,
            random,
            time,
            objects: BTreeMap::new(),
            rows: 0,
            written: Vec::new(),
            workers,
            busy: true,
            flying: Vec::new(),
            readers: Vec::new(),
            read: 0,
            switched: 0,
            removed: 0,
        }
    }

    fn policy(&self) -> Policy {
        let grace = if self.wrong == Wrong::NoGrace { 0 } else { QUERY + 4 * SKEW };
        let margin = if self.wrong == Wrong::NoMargin { -1 } else { 2 * SKEW };
        Policy { closed_after: 0, grace, margin, budget: 1000 }
    }

    /// One history; what a reader saw wrong, if one did.
    fn run(&mut self) -> Result<(), String> {
        for _ in 0..STEPS {
            let before = self.time;
            self.time += self.random.span(25);
            self.listings(before);
            let (landed, flying) = std::mem::take(&mut self.flying).into_iter().partition(|(at, _)| *at <= self.time);
            self.flying = flying;
            let landed: Vec<(Millis, Switch)> = landed;
            for (_, switch) in landed {
                self.land(switch);
                self.busy = true;
            }
            self.finish_readers()?;
            match self.random.below(64) {
                0 => self.busy = !self.busy,
                1..8 => self.write(),
                8..14 => self.begin_reader(),
                n if !self.busy && n > 14 => {}
                n => self.work(usize::try_from(n % 2).unwrap()),
            }
        }
        Ok(())
    }

    fn write(&mut self) {
        if self.random.below(8) == 0 && !self.written.is_empty() {
            // A recovered batch, or a second scan of a file, puts what was there before, and may be deleted.
            let n = self.random.below(self.written.len() as u64);
            let (key, rows) = self.written[usize::try_from(n).unwrap()].clone();
            self.put(&key, Object::Rows(rows));
            return;
        }
        let n = self.written.len();
        let key = format!("events/v1/dt=2024-05-01/shard_{n}_{n}.parquet");
        let more = 1 + u32::try_from(self.random.below(3)).unwrap();
        let rows: Rc<BTreeSet<u32>> = Rc::new((self.rows..self.rows + more).collect());
        self.rows += more;
        self.put(&key, Object::Rows(rows.clone()));
        self.written.push((key, rows));
    }

    /// Whether there was no object of this key.
    fn put(&mut self, key: &str, object: Object) -> bool {
        let absent = !self.objects.contains_key(key);
        if absent {
            let mut hash = DefaultHasher::new();
            key.hash(&mut hash);
            self.objects.insert(key.into(), (hash.finish(), object));
        }
        absent
    }

    fn switches(&self) -> Vec<(Rc<Switch>, Millis)> {
        let switch = |(_, object): &(u64, Object)| match object {
            Object::Switch(switch, put) => Some((switch.clone(), *put)),
            Object::Rows(_) => None,
        };
        self.objects.values().filter_map(switch).collect()
    }

    /// A compactor takes its next step, or crashes.
    fn work(&mut self, n: usize) {
        let mut worker = std::mem::take(&mut self.workers[n]);
        if self.random.below(40) == 0 {
            (worker.plan, worker.switches) = (None, None);
        } else {
            self.step(&mut worker);
        }
        self.workers[n] = worker;
    }

    fn step(&mut self, worker: &mut Worker) {
        let now = self.time + worker.skew;
        if let Some((day, actions)) = &mut worker.plan {
            match actions.pop_front() {
                Some(action) => {
                    let day = day.clone();
                    if !self.act(&day, action, now) {
                        worker.plan = None;
                    }
                }
                None => worker.plan = None,
            }
        } else if let Some(switches) = worker.switches.take() {
            let listed = |key: &Rc<str>| Listed { key: key.to_string(), size: 1 };
            let known = switches.iter().map(|(switch, _)| Switch::clone(switch)).collect();
            let mut files = DayFiles::new(folders(), day(), known, self.objects.keys().map(listed).collect());
            for (switch, put) in switches.iter().filter(|_| self.wrong != Wrong::PutTimeIgnored) {
                files = files.put_at(switch.generation, *put);
            }
            let sources = files.candidates(now, &self.policy());
            let sources: Option<Vec<Source>> = sources.into_iter().map(|file| self.source(file)).collect();
            let Some(sources) = sources else { return };
            let mut actions: VecDeque<Action> = plan(&files, sources, now, &self.policy()).into();
            if self.wrong == Wrong::SwitchFirst {
                actions.make_contiguous().sort_by_key(|action| !matches!(action, Action::Switch { .. }));
            }
            worker.plan = Some((files, actions));
        } else {
            worker.switches = Some(self.switches());
        }
    }

    fn rows_of(&self, key: &str) -> Option<&Object> {
        self.objects.get(key).map(|(_, object)| object)
    }

    fn source(&self, Listed { key, size }: Listed) -> Option<Source> {
        let Object::Rows(rows) = self.rows_of(&key)? else { return None };
        let rows = rows.len() as u64;
        let earliest = Some(i64::try_from(mix(key.len() as u64 ^ rows) % 9).unwrap());
        Some(Source { key, size, footer: Footer { rows, earliest, memory: rows * 60 } })
    }

    /// Whether it worked.
    fn act(&mut self, files: &DayFiles, action: Action, now: Millis) -> bool {
        match action {
            Action::Merge { sources, target, rows } => {
                let mut merged = BTreeSet::new();
                for source in &sources {
                    let Some(Object::Rows(rows)) = self.rows_of(&source.key) else { return false };
                    merged.extend(rows.iter().copied());
                }
                self.put(&target, Object::Rows(Rc::new(merged)));
                matches!(self.rows_of(&target), Some(Object::Rows(there)) if there.len() as u64 == rows)
            }
            Action::Switch { generation, hide, show } => {
                let effective_from = effective_from(now, files.last_switch(), &self.policy());
                let switch = Switch { day: day(), generation, effective_from, hide, show };
                if self.random.below(4) == 0 {
                    // Perhaps because the machine went to sleep, with all that it was doing.
                    self.busy = self.random.below(2) == 0;
                    self.flying.push((self.time + self.random.span(FLIGHT), switch));
                    false
                } else {
                    self.land(switch)
                }
            }
            Action::Remove { key, .. } => {
                self.removed += u64::from(self.objects.remove(key.as_str()).is_some());
                true
            }
        }
    }

    /// Whether the switch was put.
    fn land(&mut self, mut switch: Switch) -> bool {
        let mut key = folders().switch_key(day(), switch.generation);
        while self.wrong == Wrong::NoCondition && self.objects.contains_key(key.as_str()) {
            switch.generation += 1;
            key = folders().switch_key(day(), switch.generation);
        }
        let put = self.put(&key, Object::Switch(Rc::new(switch), self.time));
        self.switched += u64::from(put);
        put
    }

    fn begin_reader(&mut self) {
        let length = self.random.span(QUERY);
        let ordered = (self.random.below(2) == 0).then(|| self.time + self.random.span(length));
        let owed = self.written.iter().flat_map(|(_, rows)| rows.iter().copied()).collect();
        self.readers.push(Reader {
            seed: self.random.next(),
            began: self.time,
            now: self.time + self.random.skew(),
            ends: self.time + length,
            ordered,
            seen: BTreeMap::new(),
            owed,
        });
    }

    /// Readers see what is there between two moments, each object at its own.
    fn listings(&mut self, before: Millis) {
        for reader in &mut self.readers {
            for (key, (hash, object)) in &self.objects {
                let (mut from, mut to) = (reader.began, reader.ends);
                if let Some(between) = reader.ordered {
                    let first = matches!(object, Object::Switch(..)) != (self.wrong == Wrong::FilesFirst);
                    (from, to) = if first { (from, between) } else { (between + 1, to.max(between + 1)) };
                }
                let at = from + i64::try_from(mix(reader.seed ^ hash) % u64::try_from(to - from + 1).unwrap()).unwrap();
                // A reader begins between two steps: what is there then is there at its first moment.
                if before < at && at <= self.time || at == reader.began && before == reader.began {
                    reader.seen.insert(key.clone(), object.clone());
                }
            }
        }
    }

    fn finish_readers(&mut self) -> Result<(), String> {
        let time = self.time;
        let (done, reading) = std::mem::take(&mut self.readers).into_iter().partition(|r: &Reader| r.ends + 1 < time);
        self.readers = reading;
        let done: Vec<Reader> = done;
        for reader in done {
            self.read += 1;
            self.check(&reader)?;
        }
        Ok(())
    }

    fn check(&self, reader: &Reader) -> Result<(), String> {
        let switches: Vec<&Switch> = reader
            .seen
            .values()
            .filter_map(|object| match object {
                Object::Switch(switch, _) => Some(switch.as_ref()),
                Object::Rows(_) => None,
            })
            .collect();
        let gap = (1..).zip(&switches).any(|(n, switch)| switch.generation != n);
        if gap && reader.ordered.is_some() {
            // It would list them again.
            return Ok(());
        }
        let now = match reader.ordered.is_some() || self.wrong == Wrong::EffectiveFromIgnored {
            // Whoever lists the switches first needs no clock.
            true => Millis::MAX,
            false => reader.now,
        };
        let visibility = Visibility::at(switches.iter().copied(), now);
        let hidden = |key: &str| switches.iter().any(|s| s.effective_from <= now && s.hide.iter().any(|k| k == key));
        let mut seen: BTreeMap<u32, &str> = BTreeMap::new();
        for (key, object) in &reader.seen {
            let kind = folders().place(key).unwrap().1;
            let orphan = self.wrong == Wrong::OrphansCount && matches!(kind, Kind::Compacted(_)) && !hidden(key);
            let Object::Rows(rows) = object else { continue };
            if !visibility.sees(key, kind) && !orphan {
                continue;
            }
            for row in rows.iter() {
                if let Some(other) = seen.insert(*row, key) {
                    return Err(format!("row {row} twice, in {other} and {key}: {reader:#?}"));
                }
            }
        }
        match reader.owed.iter().find(|row| !seen.contains_key(row)) {
            Some(row) => Err(format!("row {row} is missing: {reader:#?}")),
            None => Ok(()),
        }
    }
}

#[test]
fn every_reader_sees_every_row_once() {
    let (mut read, mut switched, mut removed) = (0, 0, 0);
    for seed in 0..HISTORIES {
        let mut world = World::new(seed, Wrong::Nothing);
        if let Err(wrong) = world.run() {
            panic!("seed {seed}: {wrong}");
        }
        read += world.read;
        switched += world.switched;
        removed += world.removed;
    }
    println!("{HISTORIES} histories: {read} readers, {switched} switches, {removed} files deleted");
    assert!(read > 20 * HISTORIES && switched > 3 * HISTORIES && removed > 10 * HISTORIES);
}

#[test]
fn what_is_wrong_shows() {
    for wrong in MISTAKES {
        let caught = (0..HISTORIES).find(|seed| World::new(*seed, wrong).run().is_err());
        println!("{wrong:?}: seed {caught:?}");
        let seed = caught.unwrap_or_else(|| panic!("{wrong:?} was not caught"));
        assert_eq!(World::new(seed, Wrong::Nothing).run(), Ok(()));
    }
}
