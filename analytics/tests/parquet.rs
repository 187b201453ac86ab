//! What the files of `events` hold and how they are built, by the parquet crate's reader.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use bytes::Bytes;
use dial_analytics::events_schema::{COLUMNS, events_schema};
use dial_analytics::read::{count_rows, rows};
use dial_analytics::table::{Column, ColumnType};
use dial_rules::accounts::Account;
use dial_rules::addresses::{Addresses, Entry};
use dial_rules::tables::Tables;
use parquet::basic::{Compression, Encoding, LogicalType, PageType, TimeUnit, Type};
use parquet::bloom_filter::Sbbf;
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::serialized_reader::ReadOptionsBuilder;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{assumed_role, guardduty, minimal, plausible, sealed, security_hub};

fn file(events: impl IntoIterator<Item = Value>) -> Bytes {
    let sealed = sealed("shardId-000000000000", true, 10, events);
    assert_eq!(sealed.keys().len(), 1, "of one day");
    sealed.encode(0, &Tables::default()).unwrap()
}

fn reader(file: &Bytes) -> SerializedFileReader<Bytes> {
    let bloom = ReaderProperties::builder().set_read_bloom_filter(true).build();
    let options = ReadOptionsBuilder::new().with_reader_properties(bloom).build();
    SerializedFileReader::new_with_options(file.clone(), options).unwrap()
}

/// The columns are a contract with tables that exist: this list may grow at its end.
#[test]
fn the_columns_are_these() {
    let expected = "event_time Time!, event_id Text!, event_source Text!, event_name Text!, event_type Text, \
        event_category Text, read_only Flag, management_event Flag, account_id Text, aws_region Text, source_ip Text, \
        user_agent Text, error_code Text, error_message Text, request_id Text, actor Text, actor_type Text, \
        actor_arn Text, actor_principal_id Text, actor_account_id Text, actor_access_key_id Text, \
        actor_user_name Text, actor_invoked_by Text, session_issuer_arn Text, session_mfa Flag, resource_arns Texts!, \
        request_parameters Json, response_elements Json, additional_event_data Json, raw Json, arrival_time Time, \
        shard_id Text!, sequence_number Text!, sub_sequence_number Number!, record_index Number!, schema_version Number!, \
        account_name Text, geo_country Text, geo_city Text, asn Number, as_org Text, intel Texts!";
    let column = |c: &Column| format!("{} {:?}{}", c.name, c.column_type, if c.nullable { "" } else { "!" });
    let columns: Vec<_> = COLUMNS.iter().map(column).collect();
    assert_eq!(columns.join(", "), expected);
}

#[test]
fn a_call_fills_its_columns() {
    let event = assumed_role();
    let mut expected = json!({
        "event_time": "2024-05-01T12:00:00Z", "event_id": "11111111-1111-4111-8111-111111111111",
        "event_source": "s3.amazonaws.com", "event_name": "PutBucketPolicy", "event_type": "AwsApiCall",
        "event_category": "Management", "read_only": false, "management_event": true, "account_id": "444455556666",
        "aws_region": "eu-west-1", "source_ip": "192.0.2.1", "user_agent": "[aws-cli/2 \"é\"]",
        "error_code": "AccessDenied", "error_message": "no\nway", "request_id": "R1",
        "actor": "role Admin as alice@example.com", "actor_type": "AssumedRole",
        "actor_arn": "arn:aws:sts::111122223333:assumed-role/Admin/alice@example.com",
        "actor_principal_id": "AROAEXAMPLE:alice@example.com", "actor_account_id": "111122223333",
        "actor_access_key_id": "ASIAEXAMPLE", "actor_user_name": null,
        "actor_invoked_by": "cloudformation.amazonaws.com",
        "session_issuer_arn": "arn:aws:iam::111122223333:role/Admin", "session_mfa": true,
        "resource_arns": ["arn:aws:s3:::b", "arn:aws:s3:::c"],
        "request_parameters": event["requestParameters"].to_string(),
        "response_elements": event["responseElements"].to_string(),
        "additional_event_data": event["additionalEventData"].to_string(), "raw": event.to_string(),
        "arrival_time": "2024-05-02T00:00:00.500Z", "shard_id": "shardId-000000000000", "sequence_number": "10",
        "sub_sequence_number": 0, "record_index": 0, "schema_version": 2,
    });
    for column in ["account_name", "geo_country", "geo_city", "asn", "as_org"] {
        expected[column] = Value::Null;
    }
    expected["intel"] = json!([]);
    assert_eq!(json!(rows(file([event])).unwrap()), json!([expected]));
}

#[test]
fn tables_in_force_fill_the_columns_of_context() {
    let entry = |network: &str, city: &str, lists: &[&str]| Entry {
        network: network.to_owned(),
        country: Some("DE".to_owned()),
        city: Some(city.to_owned()),
        asn: Some(64_496),
        organization: Some("Example Hosting".to_owned()),
        tor_exit: Some(city == "Köln"),
        lists: lists.iter().map(|list| (*list).to_owned()).collect(),
        ..Entry::default()
    };
    let entries = vec![entry("192.0.2.0/24", "Bonn", &["offices"]), entry("8.8.0.0/16", "Köln", &["b", "a"])];
    let payments = Account { name: Some("payments".to_owned()), ..Account::default() };
    let tables = Tables {
        accounts: [("444455556666".to_owned(), payments)].into(),
        addresses: Addresses::literal(entries).unwrap(),
        ..Tables::default()
    };
    let mut public = assumed_role();
    public["sourceIPAddress"] = json!("8.8.4.4");
    public["eventID"] = json!("2");
    let mut service = public.clone();
    service["sourceIPAddress"] = json!("cloudformation.amazonaws.com");
    service["recipientAccountId"] = json!("999999999999");
    service["eventID"] = json!("3");
    let sealed = sealed("shardId-000000000000", true, 10, [assumed_role(), public, service]);
    let rows = json!(rows(sealed.encode(0, &tables).unwrap()).unwrap());
    let context = ["account_name", "geo_country", "geo_city", "asn", "as_org", "intel"];
    let of = |n: usize| context.map(|column| rows[n][column].clone());
    let null = Value::Null;
    let mut by_id: Vec<_> = (0..3).map(|n| (rows[n]["event_id"].as_str().unwrap().to_owned(), of(n))).collect();
    by_id.sort_by_key(|(id, _)| id.len() + usize::from(id == "3"));
    let expect = |n: usize, cells: [Value; 6]| assert_eq!(by_id[n].1, cells, "{}", by_id[n].0);
    expect(
        0,
        [
            json!("payments"),
            json!("DE"),
            json!("Köln"),
            json!(64_496),
            json!("Example Hosting"),
            json!(["a", "b", "tor-exit"]),
        ],
    );
    expect(1, [null.clone(), null.clone(), null.clone(), null.clone(), null.clone(), json!([])]);
    expect(
        2,
        [json!("payments"), json!("DE"), json!("Bonn"), json!(64_496), json!("Example Hosting"), json!(["offices"])],
    );
}

#[test]
fn findings_fill_what_they_know() {
    let rows = json!(rows(file([security_hub(), guardduty()])).unwrap());
    let is = |n: usize, column: &str, value: Value| assert_eq!(rows[n][column], value, "{column}");
    is(0, "event_id", json!("gd1@2024-05-01T12:00:01.250Z"));
    is(0, "event_time", json!("2024-05-01T12:00:01.250Z"));
    is(0, "event_name", json!("UnauthorizedAccess:IAMUser/MaliciousIPCaller"));
    is(0, "event_type", json!("GuardDutyFinding"));
    is(0, "actor", json!("bob"));
    is(0, "actor_access_key_id", json!("ASIAGD"));
    is(0, "actor_principal_id", json!("AIDAGD"));
    is(0, "source_ip", json!("198.51.100.7"));
    is(0, "resource_arns", json!([]));
    is(0, "sequence_number", json!("11"));
    is(1, "event_type", json!("SecurityHubFinding"));
    is(1, "event_name", json!("Software/CVE"));
    is(1, "account_id", json!("111122223333"));
    is(1, "resource_arns", json!(["arn:aws:ec2:us-east-1:111122223333:instance/i-1"]));
    is(1, "request_parameters", Value::Null);
}

#[test]
fn what_is_missing_is_null() {
    let rows = rows(file([minimal("e", "9999-12-31T23:59:59.999Z")])).unwrap();
    let filled = [
        "event_time",
        "event_id",
        "event_source",
        "event_name",
        "raw",
        "arrival_time",
        "shard_id",
        "sequence_number",
        "sub_sequence_number",
        "record_index",
        "schema_version",
        "resource_arns",
        "intel",
    ];
    for (column, value) in &rows[0] {
        assert_eq!(!value.is_null(), filled.contains(&column.as_str()), "{column}: {value}");
    }
    assert_eq!(rows[0]["event_time"], "9999-12-31T23:59:59.999Z");
}

#[test]
fn huge_values_are_kept() {
    let mut event = minimal(&"i".repeat(1 << 20), "2024-05-01T12:00:00Z");
    event["requestParameters"] = json!("\u{1F600}\0\"".repeat(1 << 18));
    event["userIdentity"] = json!({"type": "IAMUser", "userName": "u".repeat(1 << 20)});
    event["resources"] = json!(vec![json!({"ARN": "arn"}); 10_000]);
    let rows = rows(file([minimal("e", "2024-05-01T12:00:00Z"), event.clone()])).unwrap();
    assert_eq!(rows[1]["raw"], event.to_string());
    assert_eq!(rows[1]["request_parameters"], event["requestParameters"].to_string());
    assert_eq!(rows[1]["actor"], "u".repeat(1 << 20));
    assert_eq!(rows[1]["resource_arns"], json!(vec!["arn"; 10_000]));
}

/// Any JSON, to stand where something else is expected.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        Just(json!("true")),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        let key = prop_oneof![
            "[a-z]{1,3}",
            Just("arn".to_owned()),
            Just("ARN".to_owned()),
            Just("userName".to_owned()),
            Just("type".to_owned()),
            Just("sessionContext".to_owned())
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(key, inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever events say, each is one row, in order, and its bytes are in it.
    #[test]
    fn any_events_are_rows_in_order(
        events in proptest::collection::vec((0u32..9, 0u32..4, proptest::collection::vec((0usize..12, anything()), 0..8)), 1..12),
    ) {
        let members = ["userIdentity", "resources", "requestParameters", "responseElements", "additionalEventData", "readOnly",
            "managementEvent", "errorCode", "awsRegion", "sourceIPAddress", "recipientAccountId", "eventType"];
        let events: Vec<_> = events.into_iter().map(|(second, id, changes)| {
            let mut event = minimal(&format!("e{id}"), &format!("2024-05-01T12:00:0{second}Z"));
            for (member, value) in changes {
                event[members[member]] = value;
            }
            event
        }).collect();
        let rows = rows(file(events.clone())).unwrap();
        let mut expected: Vec<_> = events.iter().enumerate()
            .map(|(n, e)| (e["eventTime"].to_string(), e["eventID"].to_string(), n + 10, e.to_string())).collect();
        expected.sort();
        let found: Vec<_> = rows.iter().map(|row| (
            row["event_time"].to_string(), row["event_id"].to_string(),
            row["sequence_number"].as_str().unwrap().parse::<usize>().unwrap(), row["raw"].as_str().unwrap().to_owned(),
        )).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn the_same_rows_are_the_same_bytes() {
    let events = || (0..3000).map(plausible);
    let encode = || {
        let sealed = sealed("s", true, 0, events());
        (0..sealed.keys().len()).map(|n| sealed.encode(n, &Tables::default()).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(encode(), encode());
}

#[test]
fn files_are_built_as_the_layout_says() {
    let events = (0..2000).map(|n| {
        let mut event = plausible(n);
        event["eventTime"] = json!(format!("2024-05-01T12:{:02}:{:02}Z", n / 60 % 60, n % 60));
        event
    });
    let file = file(events);
    let reader = reader(&file);
    let metadata = reader.metadata();
    assert!(metadata.file_metadata().key_value_metadata().is_none(), "no schema in Arrow's words");
    let group = metadata.row_group(0);
    let sorted: Vec<_> = group.sorting_columns().unwrap().iter().map(|by| (by.column_idx, by.descending)).collect();
    assert_eq!(sorted, [(0, false), (1, false)]);
    for (n, column) in group.columns().iter().enumerate() {
        let name = column.column_path().parts()[0].as_str();
        let defined = COLUMNS.iter().find(|c| c.name == name).unwrap();
        assert!(matches!(column.compression(), Compression::ZSTD(_)), "{name}");
        let dictionary = column.dictionary_page_offset().is_some();
        let may_have = !defined.distinct && defined.column_type != ColumnType::Flag;
        assert!(defined.distinct || defined.column_type != ColumnType::Json, "{name}");
        assert_eq!(dictionary, may_have, "{name}");
        assert!(column.statistics().is_some_and(|s| s.null_count_opt().is_some()), "{name}");
        assert_eq!(reader.get_row_group(0).unwrap().get_column_bloom_filter(n).is_some(), defined.bloom, "{name}");
        if defined.column_type == ColumnType::Time {
            let descriptor = column.column_descr();
            assert_eq!(descriptor.physical_type(), Type::INT64);
            let millis = LogicalType::Timestamp(parquet::basic::TimestampType {
                is_adjusted_to_u_t_c: true,
                unit: TimeUnit::MILLIS,
            });
            assert_eq!(descriptor.logical_type_ref(), Some(&millis));
        }
    }
    assert_eq!(events_schema().fields().len(), COLUMNS.len());
}

#[test]
fn bloom_filters_know_every_id_and_hardly_any_other() {
    let file = file((0..1000).map(|n| {
        let mut event = minimal(&format!("id-{n}"), "2024-05-01T12:00:00Z");
        event["requestID"] = json!(format!("request-{n}"));
        event
    }));
    let reader = reader(&file);
    let group = reader.get_row_group(0).unwrap();
    let filter = |name: &str| -> &Sbbf {
        let n = COLUMNS.iter().position(|c| c.name == name).unwrap();
        group.get_column_bloom_filter(n).unwrap()
    };
    for (column, prefix) in [("event_id", "id"), ("request_id", "request")] {
        let filter = filter(column);
        assert!((0..1000).all(|n| filter.check(&format!("{prefix}-{n}").as_str())));
        let wrong = (1000..11_000).filter(|n| filter.check(&format!("{prefix}-{n}").as_str())).count();
        assert!(wrong < 400, "{wrong} of 10,000");
    }
}

#[test]
fn row_groups_and_pages_are_bounded() {
    let count = 140_000u32;
    let file = file((0..count).map(|n| minimal(&format!("{n:x}"), "2024-05-01T12:00:00Z")));
    assert_eq!(count_rows(file.clone()).unwrap(), u64::from(count));
    let reader = reader(&file);
    let groups: Vec<_> = reader.metadata().row_groups().iter().map(|g| g.num_rows()).collect();
    assert_eq!(groups, [131_072, 8928]);
    bounded_pages(&file);
    // Long values: some 40 KB each.
    let events = (0..200u32).map(|n| {
        let mut event = minimal(&format!("{n}"), "2024-05-01T12:00:00Z");
        let noise: String = (0..40_000u32).map(|i| char::from(b'a' + (i.wrapping_mul(n + 7) % 26) as u8)).collect();
        event["requestParameters"] = json!(noise);
        event
    });
    bounded_pages(&self::file(events));
}

/// Every data page but those of one value has at most 1 MiB, of JSON 2 MiB.
fn bounded_pages(file: &Bytes) {
    let reader = reader(file);
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).unwrap();
        for column in 0..group.num_columns() {
            let name = group.metadata().column(column).column_path().string();
            let mut pages = group.get_column_page_reader(column).unwrap();
            while let Some(page) = pages.get_next_page().unwrap() {
                let size = page.buffer().len();
                let json = COLUMNS.iter().any(|c| c.name == name && c.column_type == ColumnType::Json);
                let most = if json { 2 << 20 } else { 1 << 20 };
                assert!(size <= most || page.num_values() == 1, "{name}: a page of {size} bytes");
                if page.page_type() == PageType::DATA_PAGE {
                    assert_ne!(page.encoding(), Encoding::PLAIN_DICTIONARY, "{name}");
                }
            }
        }
    }
}
