//! What an organisation does every week and not every hour: each call that the rules watch, in a harmless form.
//!
//! The ordinary day has few of these calls. Here each of them gets a fixed share of the events, so that the rules can be held to
//! silence about it: pipelines that signed in with a token, people with their second factor, services that act for themselves.

mod compute;
mod identity;
mod network;
mod storage;

use serde_json::{Value, json};

use super::caller::Caller;
use super::envelope::Call;
use super::organisation::{ACCOUNTS, Account, PAYMENTS, PEOPLE, PRODUCTION, Person, SECURITY, STAGING};
use super::people::arrive;
use super::pipelines::{RUNNER, TERRAFORM, signed_in};
use super::random::Random;
use super::timeline::Timeline;

/// Who makes a routine call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// Infrastructure code, signed in by OIDC.
    Infrastructure,
    /// A release, signed in by OIDC.
    Release,
    /// Somebody in the console, signed in by SSO.
    Console,
    /// The same on the command line.
    CommandLine,
    /// An IAM user in the console, with a second factor, about things of their own.
    OwnUser,
    /// A service by its service-linked role.
    Service(&'static str, &'static str),
}

/// A call and its maker. Texts in it may hold `{account}`, `{region}`, `{user}` and `{id}`.
#[derive(Debug)]
pub(crate) struct Routine {
    who: Who,
    service: &'static str,
    name: &'static str,
    request: Value,
    reads: bool,
    data: bool,
}

impl Routine {
    fn new(who: Who, service: &'static str, name: &'static str, request: Value) -> Self {
        Self { who, service, name, request, reads: false, data: false }
    }

    /// A call that only reads.
    fn read(self) -> Self {
        Self { reads: true, ..self }
    }

    /// A call on an object: a data event.
    fn data(self) -> Self {
        Self { data: true, ..self }
    }

    fn call(&self, random: &mut Random, account: &Account, user: &str) -> Call {
        let request = filled(&self.request, &random.hex(17), account, user);
        let call = match self.reads {
            true => Call::read(self.service, self.name, request),
            false => Call::write(self.service, self.name, request, json!({ "_return": true })),
        };
        match self.data {
            true => call.with("managementEvent", json!(false)).with("eventCategory", json!("Data")),
            false => call,
        }
    }
}

/// Every routine call: `(eventSource without its domain, eventName)` may occur more than once, made by different callers.
pub(crate) fn catalogue() -> Vec<Routine> {
    [identity::calls(), network::calls(), compute::calls(), storage::calls()].into_iter().flatten().collect()
}

/// Calls of one caller, a few seconds apart, with the sign-in before them.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    who: Who,
    calls: Vec<&'a Routine>,
}

impl Run<'_> {
    /// Events that [`Run::tell`] adds.
    pub(crate) fn events(&self) -> usize {
        let signs_in = matches!(self.who, Who::Infrastructure | Who::Release | Who::Console | Who::OwnUser);
        self.calls.len() + usize::from(signs_in)
    }

    /// The longest that a run takes, in seconds.
    pub(crate) const LONGEST: i64 = 600;

    /// Tells the run from `time` on.
    pub(crate) fn tell(&self, day: &mut Timeline, time: i64) {
        let (caller, user) = arrived(day, self.who, time);
        let mut now = time;
        for routine in &self.calls {
            now += day.random.between(1, 40);
            let call = routine.call(&mut day.random, caller.account, user);
            day.call(now, &caller, &call);
        }
    }
}

/// Every call of the catalogue `times` times, dealt into runs in an order that `random` decides.
///
/// A call with several makers is shared out evenly among them.
pub(crate) fn deal<'a>(catalogue: &'a [Routine], times: usize, random: &mut Random) -> Vec<Run<'a>> {
    let makers = |routine: &Routine| {
        let same = |other: &&Routine| (other.service, other.name) == (routine.service, routine.name);
        catalogue.iter().filter(same).count().max(1)
    };
    let mut deck: Vec<&Routine> =
        catalogue.iter().flat_map(|routine| std::iter::repeat_n(routine, times.div_ceil(makers(routine)))).collect();
    for at in (1..deck.len()).rev() {
        deck.swap(at, random.below(at as u64 + 1) as usize);
    }
    // Stable: within a caller the shuffled order stays.
    deck.sort_by_key(|routine| routine.who);
    let mut runs = Vec::new();
    for same in deck.chunk_by(|a, b| a.who == b.who) {
        let mut rest = same;
        while !rest.is_empty() {
            let (calls, left) = rest.split_at(rest.len().min(random.between(4, 14) as usize));
            runs.push(Run { who: calls[0].who, calls: calls.to_vec() });
            rest = left;
        }
    }
    for at in (1..runs.len()).rev() {
        runs.swap(at, random.below(at as u64 + 1) as usize);
    }
    runs
}

/// The caller, signed in, and the name of the user whom self-service calls are about.
fn arrived(day: &mut Timeline, who: Who, time: i64) -> (Caller, &'static str) {
    // Now and then somebody does by hand what a pipeline should do.
    let who = match who {
        Who::Infrastructure | Who::Release if day.random.chance(15) => Who::Console,
        who => who,
    };
    let account = *day.random.pick(&[&STAGING, &STAGING, &PRODUCTION, &PAYMENTS, &SECURITY]);
    let since = day.epoch(time);
    match who {
        Who::Infrastructure => (signed_in(day, time, account, "infrastructure", TERRAFORM), "build-robot"),
        Who::Release => (signed_in(day, time, account, "deployment", RUNNER), "build-robot"),
        Who::Service(principal, role) => {
            let account = *day.random.pick(&ACCOUNTS);
            (Caller::linked(account, principal, role, "upkeep", since), "build-robot")
        }
        Who::OwnUser => {
            let user = *day.random.pick(&["noor.batra", "pavel.iversen"]);
            let caller = Caller::user_console(&STAGING, user, since, true, "203.0.113.30");
            let additional = json!({ "MobileVersion": "No", "MFAUsed": "Yes" });
            let call = Call::write("signin", "ConsoleLogin", Value::Null, json!({ "ConsoleLogin": "Success" }));
            day.sign_in(time, &caller, &call.with("additionalEventData", additional));
            (caller, user)
        }
        Who::Console | Who::CommandLine => {
            let person = changing(day);
            let account = *day.random.pick(person.accounts);
            let caller = Caller::person(account, person, since, who == Who::Console);
            if who == Who::Console {
                arrive(day, time, &caller);
            }
            (caller, "build-robot")
        }
    }
}

/// Somebody whose work it is to change things.
fn changing(day: &mut Timeline) -> &'static Person {
    let able = |person: &&Person| !matches!(person.permission_set, "ReadOnly" | "SecurityAudit");
    let people: Vec<&Person> = PEOPLE.iter().filter(able).collect();
    day.random.pick::<&Person>(&people)
}

/// The request with its placeholders filled in.
fn filled(request: &Value, id: &str, account: &Account, user: &str) -> Value {
    let inner = |value: &Value| filled(value, id, account, user);
    match request {
        Value::String(text) => Value::String(
            text.replace("{account}", account.id)
                .replace("{region}", account.region)
                .replace("{user}", user)
                .replace("{id}", id),
        ),
        Value::Array(items) => items.iter().map(inner).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), inner(value))).collect(),
        other => other.clone(),
    }
}
