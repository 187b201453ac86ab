//! The view `cloudtrail_logs`: CloudTrail's records under the names and types of the table that AWS documents for
//! Athena (<https://docs.aws.amazon.com/athena/latest/ug/create-cloudtrail-table-partition-projection.html>), so that
//! queries which others have published run. Pure.
//!
//! What the archive has a column of comes from that; the rest is read from `raw`, and is null where the archive is set
//! not to keep it.

use std::fmt::Write as _;

use crate::ddl::Dialect;
use crate::events_schema::EVENTS;
use crate::table::ColumnType;
use crate::views::ViewColumn;

/// Its name.
pub(crate) const NAME: &str = "cloudtrail_logs";

pub(crate) const MEANING: &str = "CloudTrail's records, one row an event, under the names that AWS documents for Athena: published queries run on it.";

/// A column, or a member of a structure.
#[derive(Debug, Clone, Copy)]
struct Field {
    name: &'static str,
    from: From,
}

/// Where its value is from.
#[derive(Debug, Clone, Copy)]
enum From {
    /// A column of `events`: text.
    Column(&'static str),
    /// A flag, as the text that CloudTrail writes.
    Flag(&'static str),
    /// Text at a path of the raw event.
    Raw(&'static str),
    /// The same, or without the raw event a part of a column, counted from 1 (from the end if negative).
    RawOr(&'static str, &'static str, char, i8),
    /// JSON at a path of the raw event, as text.
    Json(&'static str),
    /// `eventTime`, as CloudTrail writes it.
    Time,
    /// A map of texts at a path of the raw event.
    Map(&'static str),
    /// The list of resources.
    Resources,
    /// A structure.
    Struct(&'static [Field]),
}

const fn field(name: &'static str, from: From) -> Field {
    Field { name, from }
}

const ISSUER: &[Field] = &[
    field("type", From::Raw("userIdentity.sessionContext.sessionIssuer.type")),
    field("principalid", From::Raw("userIdentity.sessionContext.sessionIssuer.principalId")),
    field("arn", From::Column("session_issuer_arn")),
    field(
        "accountid",
        From::RawOr("userIdentity.sessionContext.sessionIssuer.accountId", "session_issuer_arn", ':', 5),
    ),
    field("username", From::RawOr("userIdentity.sessionContext.sessionIssuer.userName", "session_issuer_arn", '/', -1)),
];

const SESSION: &[Field] = &[
    field(
        "attributes",
        From::Struct(&[
            field("mfaauthenticated", From::Flag("session_mfa")),
            field("creationdate", From::Raw("userIdentity.sessionContext.attributes.creationDate")),
        ]),
    ),
    field("sessionissuer", From::Struct(ISSUER)),
    field("ec2roledelivery", From::Raw("userIdentity.sessionContext.ec2RoleDelivery")),
    field(
        "webidfederationdata",
        From::Struct(&[
            field("federatedprovider", From::Raw("userIdentity.sessionContext.webIdFederationData.federatedProvider")),
            field("attributes", From::Map("userIdentity.sessionContext.webIdFederationData.attributes")),
        ]),
    ),
];

const IDENTITY: &[Field] = &[
    field("type", From::Column("actor_type")),
    field("principalid", From::Column("actor_principal_id")),
    field("arn", From::Column("actor_arn")),
    field("accountid", From::Column("actor_account_id")),
    field("invokedby", From::Column("actor_invoked_by")),
    field("accesskeyid", From::Column("actor_access_key_id")),
    field("username", From::Column("actor_user_name")),
    field(
        "onbehalfof",
        From::Struct(&[
            field("userid", From::Raw("userIdentity.onBehalfOf.userId")),
            field("identitystorearn", From::Raw("userIdentity.onBehalfOf.identityStoreArn")),
        ]),
    ),
    field("sessioncontext", From::Struct(SESSION)),
];

/// The columns, in AWS's order.
const FIELDS: &[Field] = &[
    field("eventversion", From::Raw("eventVersion")),
    field("useridentity", From::Struct(IDENTITY)),
    field("eventtime", From::Time),
    field("eventsource", From::Column("event_source")),
    field("eventname", From::Column("event_name")),
    field("awsregion", From::Column("aws_region")),
    field("sourceipaddress", From::Column("source_ip")),
    field("useragent", From::Column("user_agent")),
    field("errorcode", From::Column("error_code")),
    field("errormessage", From::Column("error_message")),
    field("requestparameters", From::Column("request_parameters")),
    field("responseelements", From::Column("response_elements")),
    field("additionaleventdata", From::Column("additional_event_data")),
    field("requestid", From::Column("request_id")),
    field("eventid", From::Column("event_id")),
    field("readonly", From::Flag("read_only")),
    field("resources", From::Resources),
    field("eventtype", From::Column("event_type")),
    field("apiversion", From::Raw("apiVersion")),
    field("recipientaccountid", From::Column("account_id")),
    field("serviceeventdetails", From::Json("serviceEventDetails")),
    field("sharedeventid", From::Raw("sharedEventID")),
    field("vpcendpointid", From::Raw("vpcEndpointId")),
    field("vpcendpointaccountid", From::Raw("vpcEndpointAccountId")),
    field("eventcategory", From::Column("event_category")),
    field(
        "addendum",
        From::Struct(&[
            field("reason", From::Raw("addendum.reason")),
            field("updatedfields", From::Raw("addendum.updatedFields")),
            field("originalrequestid", From::Raw("addendum.originalRequestID")),
            field("originaleventid", From::Raw("addendum.originalEventID")),
        ]),
    ),
    field("sessioncredentialfromconsole", From::Raw("sessionCredentialFromConsole")),
    field("edgedevicedetails", From::Json("edgeDeviceDetails")),
    field(
        "tlsdetails",
        From::Struct(&[
            field("tlsversion", From::Raw("tlsDetails.tlsVersion")),
            field("ciphersuite", From::Raw("tlsDetails.cipherSuite")),
            field("clientprovidedhostheader", From::Raw("tlsDetails.clientProvidedHostHeader")),
        ]),
    ),
];

/// The view's query, over `events_distinct`.
pub(crate) fn query(dialect: Dialect) -> String {
    let columns: Vec<_> = FIELDS.iter().map(|field| format!("  {} AS {}", value(dialect, field), field.name)).collect();
    format!(
        "SELECT\n{},\n  dt\nFROM events_distinct\nWHERE event_type IS NULL OR event_type NOT IN ('GuardDutyFinding', 'SecurityHubFinding')",
        columns.join(",\n")
    )
}

fn value(dialect: Dialect, field: &Field) -> String {
    match field.from {
        From::Column(column) => column.to_owned(),
        From::Flag(column) => format!("CASE WHEN {column} THEN 'true' WHEN NOT {column} THEN 'false' END"),
        From::Raw(path) => raw(dialect, path),
        From::RawOr(path, column, between, place) => {
            let part = part(dialect, column, between, place);
            format!("CASE WHEN raw IS NULL THEN {part} ELSE {} END", raw(dialect, path))
        }
        From::Json(path) => json(dialect, path),
        From::Time => format!("coalesce({}, {})", raw(dialect, "eventTime"), time(dialect)),
        From::Map(path) => map(dialect, path),
        From::Resources => resources(dialect),
        From::Struct(fields) => structure(dialect, fields),
    }
}

/// Text at a path of `raw`; null where there is none, or no JSON.
fn raw(dialect: Dialect, path: &str) -> String {
    match dialect {
        Dialect::Athena | Dialect::DataFusion => format!("json_extract_scalar(raw, '$.{path}')"),
        Dialect::DuckDb => format!("json_extract_string({DUCKDB_RAW}, '$.{path}')"),
    }
}

/// DuckDB ends a query at text that is no JSON, even if it has been cut off by somebody else's hand.
const DUCKDB_RAW: &str = "CASE WHEN json_valid(raw) THEN raw END";

fn json(dialect: Dialect, path: &str) -> String {
    match dialect {
        Dialect::Athena => format!("json_format(json_extract(raw, '$.{path}'))"),
        Dialect::DuckDb => format!("CAST(json_extract({DUCKDB_RAW}, '$.{path}') AS VARCHAR)"),
        Dialect::DataFusion => "CAST(NULL AS VARCHAR)".to_owned(),
    }
}

fn map(dialect: Dialect, path: &str) -> String {
    match dialect {
        Dialect::Athena => format!("TRY(CAST(json_extract(raw, '$.{path}') AS MAP(VARCHAR, VARCHAR)))"),
        Dialect::DuckDb => format!("TRY_CAST(json_extract({DUCKDB_RAW}, '$.{path}') AS MAP(VARCHAR, VARCHAR))"),
        Dialect::DataFusion => "CAST(NULL AS VARCHAR)".to_owned(),
    }
}

/// `2024-05-01T12:00:00Z`, of `event_time`.
fn time(dialect: Dialect) -> String {
    match dialect {
        Dialect::Athena => "date_format(event_time, '%Y-%m-%dT%H:%i:%sZ')".to_owned(),
        Dialect::DuckDb => "strftime(make_timestamp(epoch_us(event_time)), '%Y-%m-%dT%H:%M:%SZ')".to_owned(),
        Dialect::DataFusion => "to_char(event_time, '%Y-%m-%dT%H:%M:%SZ')".to_owned(),
    }
}

/// A part of a text between separators; null if there is none.
fn part(dialect: Dialect, column: &str, between: char, place: i8) -> String {
    match dialect {
        Dialect::Athena => format!("element_at(split({column}, '{between}'), {place})"),
        Dialect::DuckDb => format!("string_split({column}, '{between}')[{place}]"),
        Dialect::DataFusion => format!("split_part({column}, '{between}', {place})"),
    }
}

/// A list of structures. DataFusion's SQL makes none of a list, so that there it is one of ARNs.
fn resources(dialect: Dialect) -> String {
    match dialect {
        Dialect::Athena => "TRY(transform(CAST(json_extract(raw, '$.resources') AS ARRAY(JSON)), r -> CAST(ROW(\
             coalesce(json_extract_scalar(r, '$.ARN'), json_extract_scalar(r, '$.arn')), \
             json_extract_scalar(r, '$.accountId'), json_extract_scalar(r, '$.type')) \
             AS ROW(arn VARCHAR, accountid VARCHAR, type VARCHAR))))"
            .to_owned(),
        Dialect::DuckDb => format!(
            "list_transform(json_extract({DUCKDB_RAW}, '$.resources[*]'), lambda r: struct_pack(\
             arn := coalesce(json_extract_string(r, '$.ARN'), json_extract_string(r, '$.arn')), \
             accountid := json_extract_string(r, '$.accountId'), type := json_extract_string(r, '$.type')))"
        ),
        Dialect::DataFusion => "resource_arns".to_owned(),
    }
}

fn structure(dialect: Dialect, fields: &[Field]) -> String {
    let values = fields.iter().map(|field| (field.name, value(dialect, field)));
    let join = |members: Vec<String>| members.join(", ");
    match dialect {
        Dialect::Athena => {
            let values = join(values.map(|(_, value)| value).collect());
            format!("CAST(ROW({values}) AS {})", athena_type(fields))
        }
        Dialect::DuckDb => {
            format!("struct_pack({})", join(values.map(|(name, value)| format!("{name} := {value}")).collect()))
        }
        Dialect::DataFusion => {
            format!("named_struct({})", join(values.map(|(name, value)| format!("'{name}', {value}")).collect()))
        }
    }
}

/// The type of a structure, in Trino's words.
fn athena_type(fields: &[Field]) -> String {
    let member = |field: &Field| {
        let kind = match field.from {
            From::Struct(fields) => athena_type(fields),
            From::Map(_) => "MAP(VARCHAR, VARCHAR)".to_owned(),
            _ => "VARCHAR".to_owned(),
        };
        format!("{} {kind}", field.name)
    };
    format!("ROW({})", fields.iter().map(member).collect::<Vec<_>>().join(", "))
}

/// The columns in Markdown, with where each comes from.
pub(crate) fn markdown() -> String {
    let mut page = format!("{MEANING}\n\n| column | from |\n| --- | --- |\n");
    for (name, from) in flat() {
        // Writing to a String does not fail.
        let _ = writeln!(page, "| `{name}` | {} |", source(from));
    }
    let _ = writeln!(page, "| `dt` | `dt` |");
    page
}

/// The columns as people are told of them, the members of structures by their full names.
pub(crate) fn columns() -> Vec<ViewColumn> {
    let text = ColumnType::Text;
    let column = |(name, from): (String, &From)| {
        let (words, glue) = match from {
            From::Json(_) => (ColumnType::Json.words(), text.glue()),
            From::Map(_) => ("map of texts", "map<string,string>"),
            From::Resources => ("list of structures", "array<struct<arn:string,accountid:string,type:string>>"),
            _ => (text.words(), text.glue()),
        };
        ViewColumn { name, words, glue, nullable: true, meaning: format!("From {}.", source(from)) }
    };
    flat().into_iter().map(column).chain([ViewColumn::partition(&EVENTS)]).collect()
}

/// The fields that are no structures, under their full names.
fn flat() -> Vec<(String, &'static From)> {
    fn add(all: &mut Vec<(String, &'static From)>, prefix: &str, fields: &'static [Field]) {
        for Field { name, from } in fields {
            match from {
                From::Struct(fields) => add(all, &format!("{prefix}{name}."), fields),
                from => all.push((format!("{prefix}{name}"), from)),
            }
        }
    }
    let mut all = Vec::new();
    add(&mut all, "", FIELDS);
    all
}

/// Where a value comes from, in Markdown.
fn source(from: &From) -> String {
    match from {
        From::Struct(_) => String::new(),
        From::Column(column) => format!("`{column}`"),
        From::Flag(column) => format!("`{column}`, as text"),
        From::Raw(path) => format!("`raw`: `{path}`"),
        From::RawOr(path, column, ..) => format!("`raw`: `{path}`; without it a part of `{column}`"),
        From::Json(path) => format!("`raw`: `{path}`, as JSON"),
        From::Map(path) => format!("`raw`: `{path}`, a map"),
        From::Time => "`raw`: `eventTime`; without it `event_time`".to_owned(),
        From::Resources => "`raw`: `resources`, a list of `arn`, `accountid`, `type`".to_owned(),
    }
}
