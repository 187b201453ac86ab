#![allow(clippy::unwrap_used)]

use super::*;
use serde_json::json;

fn matches(pattern: Value, event: Value) -> bool {
    EventPattern::parse(&pattern).unwrap().matches(&event)
}

#[test]
fn each_operator_accepts_what_it_should_and_nothing_else() {
    let cases = [
        (json!("Abc"), vec![json!("Abc"), json!(["x", "Abc"])], vec![json!("abc"), json!("Abcd"), json!(null)]),
        (json!(5), vec![json!(5), json!(5.0)], vec![json!("5"), json!(6)]),
        (json!(true), vec![json!(true), json!([false, true])], vec![json!("true"), json!(false)]),
        (json!(null), vec![json!(null)], vec![json!(""), json!(0)]),
        (json!(""), vec![json!("")], vec![json!(null), json!("a")]),
        (json!({"prefix": "Ab"}), vec![json!("Ab"), json!("Abc")], vec![json!("abc"), json!("xAb"), json!(["a"])]),
        (json!({"prefix": {"equals-ignore-case": "Ab"}}), vec![json!("aBc")], vec![json!("xab"), json!(1)]),
        (json!({"suffix": "bc"}), vec![json!("abc"), json!("bc")], vec![json!("aBC"), json!("bca")]),
        (json!({"suffix": {"equals-ignore-case": "bC"}}), vec![json!("aBc")], vec![json!("b")]),
        (json!({"equals-ignore-case": "AbC"}), vec![json!("abc"), json!("ABC")], vec![json!("abcd"), json!("ab")]),
        (json!({"wildcard": "a*c"}), vec![json!("ac"), json!("abbc")], vec![json!("Ac"), json!("acd"), json!("a")]),
        (json!({"wildcard": "*a\\*b*"}), vec![json!("xa*by"), json!("a*b")], vec![json!("xab"), json!("a\\*b")]),
        (json!({"wildcard": "ab*ba"}), vec![json!("abba"), json!("abcba")], vec![json!("aba")]),
        (json!({"wildcard": "*ab*b"}), vec![json!("abb"), json!("ab b")], vec![json!("ab")]),
        (json!({"exists": true}), vec![json!("x"), json!(null), json!([1])], vec![json!([]), json!({})]),
        (json!({"exists": false}), vec![json!([]), json!({"b": 1})], vec![json!("x"), json!(null)]),
        (json!({"cidr": "10.0.0.0/24"}), vec![json!("10.0.0.255")], vec![json!("10.0.1.0"), json!("::1"), json!("x")]),
        (json!({"cidr": "0.0.0.0/0"}), vec![json!("1.2.3.4")], vec![json!("::1")]),
        (json!({"cidr": "2001:db8::/33"}), vec![json!("2001:db8:7fff::1")], vec![json!("2001:db8:8000::")]),
        (json!({"anything-but": "a"}), vec![json!("b"), json!(1), json!(["a", "b"])], vec![json!("a"), json!([])]),
        (json!({"anything-but": ["a", "b"]}), vec![json!("c")], vec![json!("a"), json!("b"), json!(["a", "b"])]),
        (json!({"anything-but": [1, 2]}), vec![json!(3), json!("1")], vec![json!(2)]),
        (json!({"anything-but": {"prefix": ["a", "b"]}}), vec![json!("ca")], vec![json!("ab"), json!("b")]),
        (json!({"anything-but": {"suffix": "a"}}), vec![json!("ab")], vec![json!("ba")]),
        (json!({"anything-but": {"equals-ignore-case": "a"}}), vec![json!("b")], vec![json!("A")]),
        (json!({"anything-but": {"wildcard": "*a*"}}), vec![json!("b")], vec![json!("bab")]),
    ];
    for (test, passes, fails) in cases {
        for (values, expected) in [(passes, true), (fails, false)] {
            for value in values {
                let pattern = json!({"detail": {"a": [test]}});
                assert_eq!(matches(pattern, json!({"detail": {"a": value}})), expected, "{test} of {value}");
            }
        }
    }
}

#[test]
fn fields_are_and_values_are_or_and_alternatives_multiply() {
    let pattern = json!({
        "source": ["s"],
        "$or": [{"a": ["1"]}, {"b": ["1", "2"], "$or": [{"c": ["1"]}, {"d": [{"exists": false}]}]}],
        "e": {"$or": [{"f": ["1"]}, {"g": ["1"]}]},
    });
    assert_eq!(EventPattern::parse(&pattern).unwrap().combinations.len(), 6);
    let e = json!({"g": "1"});
    for (event, expected) in [
        (json!({"source": "s", "a": "1", "e": e}), true),
        (json!({"source": "x", "a": "1", "e": e}), false),
        (json!({"source": "s", "a": "1", "e": {"g": "2"}}), false),
        (json!({"source": "s", "b": "2", "e": e}), true),
        (json!({"source": "s", "b": "2", "d": "", "e": e}), false),
        (json!({"source": "s", "b": "2", "d": "", "c": ["0", "1"], "e": e}), true),
    ] {
        assert_eq!(matches(pattern.clone(), event.clone()), expected, "{event}");
    }
}

#[test]
fn conditions_on_a_list_are_met_by_one_element_of_it() {
    let pattern = json!({"l": {"a": ["1"], "b": ["2"]}});
    assert!(matches(pattern.clone(), json!({"l": [{"a": "0"}, {"a": "1", "b": ["2"]}]})));
    assert!(!matches(pattern.clone(), json!({"l": [{"a": "1"}, {"b": "2"}]})));
    assert!(matches(pattern.clone(), json!({"l": {"a": ["0", "1"], "b": ["2", "3"]}})));
    assert!(matches(pattern.clone(), json!({"l": [[{"a": "1"}], [{"a": "1"}, {"a": "1", "b": "2"}]]})));
    assert!(matches(pattern, json!({"l.a": "1", "l": {"b": "2"}})));
}

#[test]
fn or_with_one_alternative_is_a_field() {
    assert!(EventPattern::parse(&json!({"$or": [{"a": ["1"]}]})).is_err());
    assert!(EventPattern::parse(&json!({"$or": [{"a": ["1"]}, {"prefix": ["1"]}]})).is_err());
    assert!(matches(json!({"$or": ["x", {"prefix": "y"}]}), json!({"$or": "yes"})));
}

#[test]
fn what_eventbridge_refuses_is_refused() {
    let ten: Vec<Value> = (0..10).map(|i| json!({"a": [i.to_string()]})).collect();
    let many = json!({"a": {"$or": ten}, "b": {"$or": ten}, "c": {"$or": ten}, "d": {"$or": [{"x": [1]}, {"y": [1]}]}});
    for pattern in [
        json!([]),
        json!({}),
        json!({"a": "x"}),
        json!({"a": {}}),
        json!({"a": []}),
        json!({"a": [["x"]]}),
        json!({"a": [{"prefix": 1}]}),
        json!({"a": [{"prefix": "x", "suffix": "y"}]}),
        json!({"a": [{"wildcard": "a**"}]}),
        json!({"a": [{"wildcard": "a\\b"}]}),
        json!({"a": [{"cidr": "10.0.0.0/33"}]}),
        json!({"a": [{"cidr": "10.0.0.0"}]}),
        json!({"a": [{"anything-but": ["a", 1]}]}),
        json!({"a": [{"anything-but": []}]}),
        json!({"a": [{"numeric": [">", 1]}]}),
        many,
    ] {
        assert!(EventPattern::parse(&pattern).is_err(), "{pattern}");
    }
}
