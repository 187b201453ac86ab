#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn database(kind: &str, record: serde_json::Value) -> Option<Database> {
    Some(Database::parse(&format!("{kind}.mmdb"), mmdb::write(6, 24, kind, &[("81.2.69.0/24", record)])).unwrap())
}

fn list(name: &str, networks: &str, expires: Option<Millis>) -> List {
    List::new(name, "for tests", expires, lists::parse(networks).unwrap())
}

fn shown(addresses: &Addresses, field: &str) -> String {
    serde_json::to_string(&addresses.look_up(field, 0)).unwrap()
}

fn whole() -> Parts {
    Parts {
        country: None,
        city: database("City", json!({"country": {"iso_code": "GB"}, "city": {"names": {"en": "London"}}})),
        asn: database("ASN", json!({"autonomous_system_number": 20712, "autonomous_system_organization": "A & A"})),
        aws: Some(
            AwsRanges::parse(
                br#"{"prefixes": [{"ip_prefix": "81.2.69.128/25", "region": "eu-west-2", "service": "EC2"}]}"#,
            )
            .unwrap(),
        ),
        tor: Some(TorExits::parse("81.2.69.142").unwrap()),
        lists: vec![list("b", "81.2.0.0/16\n10.0.0.0/8\n198.51.100.0/24", None), list("a", "81.2.69.142", Some(1))],
    }
}

#[test]
fn all_that_tables_say_is_told() {
    let addresses = Addresses::new(whole()).unwrap();
    assert_eq!(
        shown(&addresses, "81.2.69.142"),
        r#"{"kind":"public","country":"GB","city":"London","asn":20712,"network":"A & A","aws_service":"EC2","aws_region":"eu-west-2","tor_exit":true,"lists":["a","b"]}"#
    );
    assert_eq!(addresses.look_up("81.2.69.142", 1).lists, ["b"]);
    assert_eq!(shown(&addresses, "::ffff:81.2.69.142"), shown(&addresses, "81.2.69.142"));
    // The user's database says nothing of this address, so nobody does.
    assert_eq!(shown(&addresses, "130.149.7.7"), r#"{"kind":"public","tor_exit":false}"#);
    assert_eq!(shown(&addresses, "10.1.2.3"), r#"{"kind":"private","lists":["b"]}"#);
    assert_eq!(shown(&addresses, "198.51.100.7"), r#"{"kind":"documentation","lists":["b"]}"#);
    assert_eq!(shown(&addresses, "224.0.0.1"), r#"{"kind":"reserved"}"#);
    assert_eq!(shown(&addresses, "ec2.amazonaws.com"), r#"{"kind":"service"}"#);
    assert_eq!(shown(&addresses, "81.2.69.142'"), r#"{"kind":"malformed"}"#);
}

#[test]
fn the_users_database_of_countries_comes_first() {
    let country = |kind, code| database(kind, json!({"country": {"iso_code": code}, "city": {"names": {"en": "x"}}}));
    let find = |country, city| {
        let addresses = Addresses::new(Parts { country, city, ..Parts::default() }).unwrap();
        (addresses.look_up("81.2.69.142", 0).country, addresses.look_up("130.149.7.7", 0).country)
    };
    let code = |text: &str| Some(text.to_owned());
    assert_eq!(find(country("Country", "AA"), country("City", "BB")), (code("AA"), None));
    assert_eq!(find(None, country("City", "BB")), (code("BB"), None));
    assert_eq!(find(None, None), (code("GB"), code("DE")));
}

#[test]
fn parts_that_cannot_do_their_work_are_told() {
    let parts = Parts {
        city: whole().asn,
        asn: whole().city,
        country: whole().asn,
        lists: vec![list("a", "10.0.0.1", None), list("a", "10.0.0.1", None), List::new("", "", None, [])],
        ..Parts::default()
    };
    let faults: Vec<String> =
        Addresses::new(parts).unwrap_err().iter().map(|(setting, fault)| format!("{setting}: {fault}")).collect();
    assert_eq!(
        faults,
        [
            "addresses.country: ASN.mmdb (ASN) has no countries: it is one for addresses.asn",
            "addresses.city: ASN.mmdb (ASN) has no cities: it is one for addresses.asn",
            "addresses.asn: City.mmdb (City) has no autonomous systems: it is one for addresses.city or addresses.country",
            "addresses.lists: \"a\" is there twice: give each list a name of its own",
            "addresses.lists: a list has no name: rules ask for lists by name",
            "addresses.lists: a list has no reason: write what it is for, so that somebody can take it out later",
            "addresses.lists: a list has no networks: write some, or leave the list out",
        ]
    );
}

#[test]
fn tables_know_what_they_can_answer() {
    let (none, all) = (Addresses::default(), Addresses::new(whole()).unwrap());
    for part in [Part::City, Part::Asn, Part::Aws, Part::Tor] {
        assert!(!none.answers(part) && all.answers(part), "{part:?}");
    }
    assert_eq!(Vec::from_iter(all.list_names()), ["a", "b"]);
    assert_eq!(none, Addresses::default());
    assert_eq!(all, all.clone());
    assert_ne!(all, none);
}

#[test]
fn entries_can_be_written_out() {
    let entry = |network: &str| Entry { network: network.to_owned(), ..Entry::default() };
    let entries = vec![
        Entry { country: Some("DE".to_owned()), tor_exit: Some(true), ..entry("198.51.100.0/24") },
        Entry { kind: Some(AddressKind::Private), lists: ["a".to_owned()].into(), ..entry("198.51.100.128/25") },
    ];
    let addresses = Addresses::literal(entries).unwrap();
    assert_eq!(shown(&addresses, "198.51.100.7"), r#"{"kind":"public","country":"DE","tor_exit":true}"#);
    assert_eq!(shown(&addresses, "198.51.100.200"), r#"{"kind":"private","lists":["a"]}"#);
    assert_eq!(shown(&addresses, "198.51.101.1"), r#"{"kind":"public","tor_exit":false}"#);
    assert_eq!(shown(&addresses, "203.0.113.1"), r#"{"kind":"documentation"}"#);
    assert!(addresses.answers(Part::Tor) && !addresses.answers(Part::Aws));
    assert!(Addresses::literal(vec![entry("x")]).is_err());
    let error =
        Addresses::literal(vec![Entry { country: Some("Germany".to_owned()), ..entry("10.0.0.1") }]).unwrap_err();
    assert!(error.contains("Germany"), "{error}");
}
