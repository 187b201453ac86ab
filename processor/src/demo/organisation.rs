//! The organisation that is simulated: its accounts, the people who work in them, and the programs that run there.
//!
//! Account ids are the ones AWS uses as examples, addresses come from the blocks RFC 5737 sets aside for documentation.

/// An AWS account of the organisation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// Twelve digits.
    pub(crate) id: &'static str,
    /// What people call it.
    pub(crate) name: &'static str,
    /// The region nearly all of its work happens in.
    pub(crate) region: &'static str,
}

/// Where the customers are.
pub(crate) const PRODUCTION: Account = Account { id: "111122223333", name: "production", region: "eu-central-1" };
/// Where the next release is tried.
pub(crate) const STAGING: Account = Account { id: "444455556666", name: "staging", region: "eu-west-1" };
/// Where cards are charged, kept apart from the rest.
pub(crate) const PAYMENTS: Account = Account { id: "777788889999", name: "payments", region: "eu-central-1" };
/// Where the security team's tools run.
pub(crate) const SECURITY: Account = Account { id: "123456789012", name: "security-tooling", region: "eu-central-1" };

/// All accounts of the organisation.
pub(crate) const ACCOUNTS: [&Account; 4] = [&PRODUCTION, &STAGING, &PAYMENTS, &SECURITY];

/// Somebody who signs in through the identity provider.
#[derive(Debug)]
pub(crate) struct Person {
    /// The name sessions carry.
    pub(crate) name: &'static str,
    /// The permission set they get.
    pub(crate) permission_set: &'static str,
    /// The address they work from.
    pub(crate) address: &'static str,
    /// The accounts they work in.
    pub(crate) accounts: &'static [&'static Account],
}

/// The people.
pub(crate) const PEOPLE: [Person; 9] = [
    person("amara.nwosu", "Developer", "203.0.113.11", &[&STAGING, &PRODUCTION]),
    person("ben.castell", "Developer", "203.0.113.12", &[&STAGING, &PRODUCTION]),
    person("chiara.lenz", "Developer", "203.0.113.13", &[&STAGING]),
    person("dmitri.holt", "Developer", "203.0.113.14", &[&STAGING, &PAYMENTS]),
    person("esther.quist", "PaymentsEngineer", "203.0.113.15", &[&PAYMENTS]),
    person("farid.amann", "Operations", "203.0.113.16", &[&PRODUCTION, &STAGING, &PAYMENTS]),
    person("grete.sand", "Operations", "203.0.113.17", &[&PRODUCTION, &SECURITY]),
    person("hugo.vidal", "SecurityAudit", "203.0.113.18", &[&SECURITY, &PRODUCTION, &PAYMENTS]),
    person("ines.park", "ReadOnly", "192.0.2.77", &[&PRODUCTION, &PAYMENTS]),
];

const fn person(
    name: &'static str,
    permission_set: &'static str,
    address: &'static str,
    accounts: &'static [&'static Account],
) -> Person {
    Person { name, permission_set, address, accounts }
}

/// A program with a role of its own.
#[derive(Debug)]
pub(crate) struct Workload {
    /// Where it runs.
    pub(crate) account: &'static Account,
    /// Its role.
    pub(crate) role: &'static str,
    /// The service that runs it and assumes the role for it.
    pub(crate) runner: &'static str,
    /// The secret it needs.
    pub(crate) secret: &'static str,
}

/// The programs.
pub(crate) const WORKLOADS: [Workload; 12] = [
    workload(&PRODUCTION, "storefront-task", "ecs-tasks.amazonaws.com", "prod/storefront/database"),
    workload(&PRODUCTION, "orders-task", "ecs-tasks.amazonaws.com", "prod/orders/database"),
    workload(&PRODUCTION, "search-task", "ecs-tasks.amazonaws.com", "prod/search/index"),
    workload(&PRODUCTION, "thumbnails-function", "lambda.amazonaws.com", "prod/thumbnails/cdn"),
    workload(&PRODUCTION, "mailer-function", "lambda.amazonaws.com", "prod/mailer/smtp"),
    workload(&PRODUCTION, "batch-instance", "ec2.amazonaws.com", "prod/batch/warehouse"),
    workload(&STAGING, "storefront-task", "ecs-tasks.amazonaws.com", "staging/storefront/database"),
    workload(&STAGING, "orders-task", "ecs-tasks.amazonaws.com", "staging/orders/database"),
    workload(&STAGING, "mailer-function", "lambda.amazonaws.com", "staging/mailer/smtp"),
    workload(&PAYMENTS, "ledger-task", "ecs-tasks.amazonaws.com", "payments/ledger/database"),
    workload(&PAYMENTS, "charge-function", "lambda.amazonaws.com", "payments/charge/processor"),
    workload(&SECURITY, "inventory-function", "lambda.amazonaws.com", "security/inventory/api"),
];

const fn workload(
    account: &'static Account,
    role: &'static str,
    runner: &'static str,
    secret: &'static str,
) -> Workload {
    Workload { account, role, runner, secret }
}
