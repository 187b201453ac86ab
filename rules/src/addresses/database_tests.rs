#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::addresses::mmdb;

fn found(database: &Database, address: &str) -> String {
    let record = database.find(address.parse().unwrap());
    format!("{:?} {:?} {:?} {:?}", record.country, record.city, record.asn, record.network)
}

fn nested() -> Vec<(&'static str, Value)> {
    vec![
        (
            "81.2.69.0/24",
            json!({"continent": {"code": "EU", "names": {"en": "Europe"}}, "country": {"geoname_id": 1,
                "iso_code": "GB", "names": {"de": "Vereinigtes Königreich", "en": "United Kingdom"}},
                "city": {"names": {"de": "London (de)", "en": "London"}}, "registered_country": {"iso_code": "US"},
                "location": {"accuracy_radius": {"u16": 100}}, "subdivisions": [{"iso_code": "ENG"}]}),
        ),
        ("2a02:8100::/32", json!({"registered_country": {"iso_code": "DE"}})),
    ]
}

#[test]
fn nested_records_are_read() {
    for size in [24, 28, 32] {
        let database = Database::parse("city.mmdb", mmdb::write(6, size, "GeoLite2-City", &nested())).unwrap();
        assert_eq!(found(&database, "81.2.69.142"), r#"Some("GB") Some("London") None None"#);
        assert_eq!(found(&database, "2a02:8100::1"), r#"Some("DE") None None None"#);
        assert_eq!(found(&database, "81.2.70.1"), "None None None None");
        assert_eq!(database.holds, Holds { country: true, city: true, asn: false });
        assert_eq!((database.kind.as_str(), database.built), ("GeoLite2-City", 1_767_225_600));
    }
}

#[test]
fn flat_records_are_read() {
    let records = [
        ("81.2.69.0/24", json!({"country_code": "GB", "city": "London", "state1": "England"})),
        ("8.0.0.0/8", json!({"autonomous_system_number": 3356, "autonomous_system_organization": "Level 3"})),
        ("9.0.0.0/8", json!({"autonomous_system_number": "AS64496", "country_code": ""})),
    ];
    let database = Database::parse("flat.mmdb", mmdb::write(4, 24, "flat", &records)).unwrap();
    assert_eq!(found(&database, "81.2.69.142"), r#"Some("GB") Some("London") None None"#);
    assert_eq!(found(&database, "8.8.8.8"), r#"None None Some(3356) Some("Level 3")"#);
    assert_eq!(found(&database, "9.9.9.9"), "None None Some(64496) None");
    assert_eq!(found(&database, "2a02:8100::1"), "None None None None");
    assert_eq!(database.holds, Holds { country: true, city: true, asn: true });
}

#[test]
fn other_types_than_expected_are_as_good_as_missing() {
    let odd =
        [json!(7), json!(true), json!(["GB"]), json!({"u16": 7}), json!({"u64": 7}), json!({"names": {"de": "x"}})];
    for odd in odd {
        let records = [
            ("81.2.69.0/24", json!({"country": odd, "city": odd, "autonomous_system_organization": odd})),
            ("9.0.0.0/8", json!({"autonomous_system_number": [odd], "country_code": "GB"})),
        ];
        let database = Database::parse("odd.mmdb", mmdb::write(4, 24, "odd", &records)).unwrap();
        assert_eq!(found(&database, "81.2.69.142"), "None None None None", "{odd}");
        assert_eq!(found(&database, "9.9.9.9"), r#"Some("GB") None None None"#, "{odd}");
    }
}

#[test]
fn files_without_anything_known_are_told() {
    let records = [("81.2.69.0/24", json!({"is_anonymous": true}))];
    let error = Database::parse("x.mmdb", mmdb::write(4, 24, "Anonymous-IP", &records)).unwrap_err();
    assert!(error.contains("x.mmdb") && error.contains("Anonymous-IP"), "{error}");
    for bytes in [&b""[..], b"<html>not found</html>", &[0; 4096], b"\x1f\x8b\x08\x00", b"\xab\xcd\xefMaxMind.com"] {
        let error = Database::parse("x.mmdb", bytes.to_vec()).unwrap_err();
        assert!(error.contains("x.mmdb") && error.contains("fetch it again"), "{error}");
    }
}

#[test]
fn truncated_files_are_told() {
    let bytes = mmdb::write(6, 28, "GeoLite2-City", &nested());
    for end in 0..bytes.len() {
        assert!(Database::parse("x.mmdb", bytes[..end].to_vec()).is_err(), "cut at {end} of {}", bytes.len());
    }
    // Cut out of the middle, as by a download that went on elsewhere.
    for cut in 1..bytes.len() - 400 {
        let holed = [&bytes[..cut], &bytes[cut + 200..]].concat();
        assert!(Database::parse("x.mmdb", holed).is_err(), "a hole at {cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is flipped, loading says no, or look-ups answer something; nothing panics or goes on for ever.
    #[test]
    fn damaged_files_do_no_harm(
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        addresses in proptest::collection::vec(any::<u128>(), 8),
    ) {
        let mut bytes = mmdb::write(6, 24, "GeoLite2-City", &nested());
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(database) = Database::parse("x.mmdb", bytes) {
            for address in addresses {
                database.find(IpAddr::V6(address.into()));
                database.find(IpAddr::V4((address as u32).into()));
            }
            database.find("81.2.69.142".parse().unwrap());
        }
    }
}
