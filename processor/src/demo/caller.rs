//! Who makes a call: CloudTrail's `userIdentity` in each of its shapes, with the address and the agent that go with it.

use serde_json::{Value, json};

use super::envelope::instant;
use super::organisation::{Account, Person};
use super::random::Random;

/// The browser people open the console with.
pub(crate) const BROWSER: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/141.0.0.0 Safari/537.36";
/// The command line, as it names itself.
pub(crate) const COMMAND_LINE: &str = "aws-cli/2.31.6 md/awscrt#0.27.6 ua/2.1 os/linux#6.8.0-45-generic md/arch#x86_64 \
     lang/python#3.13.7 md/pyimpl#CPython cfg/retry-mode#standard md/installer#exe md/prompt#off";

/// The caller of a call, as the record shows it.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The account the call is made in.
    pub(crate) account: &'static Account,
    /// The region it is made in, for services that are not global.
    pub(crate) region: &'static str,
    /// `userIdentity`.
    pub(crate) identity: Value,
    /// `sourceIPAddress`: an address, or the name of a service.
    pub(crate) address: String,
    /// `userAgent`.
    pub(crate) agent: String,
    /// Whether the credentials come from a console session.
    pub(crate) console: bool,
}

impl Caller {
    /// A service that acts for itself, such as Lambda when it assumes a function's role.
    pub(crate) fn service(account: &'static Account, principal: &str) -> Self {
        let identity = json!({ "type": "AWSService", "invokedBy": principal });
        Self::new(account, identity, principal, principal)
    }

    /// A service that acts through its service-linked role.
    pub(crate) fn linked(account: &'static Account, principal: &str, role: &str, session: &str, since: i64) -> Self {
        let path = format!("aws-service-role/{principal}/{role}");
        let mut identity = role_session(account, &path, role, session, since);
        identity["invokedBy"] = json!(principal);
        if let Some(fields) = identity.as_object_mut() {
            fields.remove("accessKeyId");
        }
        Self::new(account, identity, principal, principal)
    }

    /// A program or a pipeline that runs with a role.
    pub(crate) fn role(
        account: &'static Account,
        role: &str,
        session: &str,
        since: i64,
        address: &str,
        agent: &str,
    ) -> Self {
        Self::new(account, role_session(account, role, role, session, since), address, agent)
    }

    /// A person's session from the identity provider, in the console or on the command line.
    pub(crate) fn person(account: &'static Account, person: &Person, since: i64, console: bool) -> Self {
        let set = format!("{}/{}", account.id, person.permission_set);
        let role = format!("AWSReservedSSO_{}_{}", person.permission_set, Random::named(&set).hex(16));
        let path = format!("aws-reserved/sso.amazonaws.com/{}/{role}", account.region);
        let identity = role_session(account, &path, &role, person.name, since);
        let agent = if console { BROWSER } else { COMMAND_LINE };
        Self { console, ..Self::new(account, identity, person.address, agent) }
    }

    /// An IAM user with a long-lived access key.
    pub(crate) fn user_key(account: &'static Account, name: &str, key: &str, address: &str) -> Self {
        let mut identity = user(account, name);
        identity["accessKeyId"] = json!(key);
        Self::new(account, identity, address, COMMAND_LINE)
    }

    /// An IAM user in the console.
    pub(crate) fn user_console(account: &'static Account, name: &str, since: i64, mfa: bool, address: &str) -> Self {
        let mut identity = user(account, name);
        identity["accessKeyId"] = json!(Random::named(&format!("{name} {since}")).unique_id("ASIA"));
        identity["sessionContext"] =
            json!({ "attributes": { "creationDate": instant(since), "mfaAuthenticated": mfa.to_string() } });
        Self { console: true, ..Self::new(account, identity, address, BROWSER) }
    }

    /// The same caller in another region.
    pub(crate) fn in_region(&self, region: &'static str) -> Self {
        Self { region, ..self.clone() }
    }

    fn new(account: &'static Account, identity: Value, address: &str, agent: &str) -> Self {
        let (address, agent) = (address.to_owned(), agent.to_owned());
        Self { account, region: account.region, identity, address, agent, console: false }
    }
}

/// The id IAM gives a thing, which never changes: `AIDA…` of users, `AROA…` of roles.
pub(crate) fn principal_id(prefix: &str, account: &Account, name: &str) -> String {
    Random::named(&format!("{prefix} {} {name}", account.id)).unique_id(prefix)
}

/// An IAM user, without the credential used.
pub(crate) fn user(account: &Account, name: &str) -> Value {
    json!({
        "type": "IAMUser",
        "principalId": principal_id("AIDA", account, name),
        "arn": format!("arn:aws:iam::{}:user/{name}", account.id),
        "accountId": account.id,
        "userName": name,
    })
}

/// A session of the role `role`, whose ARN ends with `path`, created at `since`.
fn role_session(account: &Account, path: &str, role: &str, session: &str, since: i64) -> Value {
    let id = principal_id("AROA", account, role);
    json!({
        "type": "AssumedRole",
        "principalId": format!("{id}:{session}"),
        "arn": format!("arn:aws:sts::{}:assumed-role/{role}/{session}", account.id),
        "accountId": account.id,
        "accessKeyId": Random::named(&format!("{role} {session} {since}")).unique_id("ASIA"),
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": id,
                "arn": format!("arn:aws:iam::{}:role/{path}", account.id),
                "accountId": account.id,
                "userName": role,
            },
            "attributes": { "creationDate": instant(since), "mfaAuthenticated": "false" },
        },
    })
}
