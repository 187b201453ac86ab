//! Every attack through every sink comes out as text.

use dial_sinks::destinations::thehive::{self, TheHiveLabels, TheHiveVersion};
use dial_sinks::destinations::{slack, webhook};
use dial_sinks::message::Message;
use dial_sinks::wire::wire;
use serde_json::Value;

use crate::hostile::{messages, render, texts};

fn hostile() -> impl Iterator<Item = (String, Message)> {
    texts().into_iter().flat_map(|text| messages(&text).into_iter().map(move |message| (text.clone(), message)))
}

/// What of a text is seen first of a failure.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[test]
fn slack_shows_text() {
    for (text, message) in hostile() {
        let payload = slack::payload(&message);
        assert_eq!(payload["parse"], "none");
        let check = |what: Result<(), String>| what.unwrap_or_else(|why| panic!("{why}, of {:?}", shown(&text)));
        check(render::slack(payload["text"].as_str().unwrap()));
        let mut seen = 0;
        each_object(&payload["blocks"], &mut |object| match object["type"].as_str() {
            Some("mrkdwn") => {
                seen += 1;
                assert_eq!(object["verbatim"], true);
                check(render::slack(object["text"].as_str().unwrap()));
            }
            Some("plain_text") => {
                let text = object["text"].as_str().unwrap();
                assert!(object["emoji"] == false && !text.contains(['<', '>', '\n']));
                check(render::visible(text));
            }
            Some("header" | "section" | "context") => {}
            other => panic!("a {other:?} block"),
        });
        assert!(seen > 1, "{seen} texts");
        each_text(&payload, &mut |text| assert!(!text.trim().is_empty()));
    }
}

#[test]
fn thehive_shows_text() {
    for (text, message) in hostile() {
        for version in [TheHiveVersion::Five, TheHiveVersion::Four] {
            let alert = thehive::alert(&message, "r", &TheHiveLabels::default(), version);
            let check = |what: Result<(), String>| what.unwrap_or_else(|why| panic!("{why}, of {:?}", shown(&text)));
            check(render::markdown(alert["description"].as_str().unwrap()));
            check(render::markdown(&thehive::update(&message)));
            each_text(&alert, &mut |text| check(render::visible(text)));
            each_text(&alert, &mut |text| assert!(!text.trim().is_empty()));
            assert!(!alert["description"].as_str().unwrap().contains("- \n"));
            for plain in [&alert["title"], &alert["tags"], &alert["observables"], &alert["artifacts"]] {
                each_text(plain, &mut |text| assert!(!text.contains('\n'), "{text:?}"));
            }
        }
    }
}

#[test]
fn json_has_the_same_shape_whatever_the_texts() {
    let harmless: Vec<Value> = messages("harmless").iter().map(|message| shape(&wire(message))).collect();
    for text in texts() {
        for (message, harmless) in messages(&text).iter().zip(&harmless) {
            let sent: Value = serde_json::from_str(&wire(message).to_string()).unwrap();
            assert_eq!(shape(&sent), *harmless, "{:?}", shown(&text));
            assert_eq!(
                (&sent["title"], &sent["finding"]["actor"]),
                (&Value::from(text.as_str()), &text.as_str().into())
            );
        }
    }
}

#[test]
fn a_template_writes_texts_only() {
    let source = r#"{"text": {{ title }}, "who": "by {{ facts.Who | within }}", "all": {{ finding }},
        "steps": [{% for line in timeline %}{{ line }}{% if not loop.last %},{% endif %}{% endfor %}]}"#;
    let json = webhook::Template::new("alert.j2", source, None).unwrap();
    let lines = webhook::Template::new("alert.j2", "{{ finding.actor }}\n{{ headline }}", Some("text/plain")).unwrap();
    for (text, message) in hostile() {
        let made: Value = serde_json::from_str(&json.render(&message).unwrap()).unwrap();
        let keys: Vec<&str> = made.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!((keys, &made["text"]), (vec!["all", "steps", "text", "who"], &Value::from(text.as_str())));
        let made = lines.render(&message).unwrap();
        assert_eq!(made.lines().count(), 2, "{:?}", shown(&text));
        render::visible(&made).unwrap();
    }
}

fn each_object(value: &Value, seen: &mut impl FnMut(&Value)) {
    match value {
        Value::Object(object) => {
            if value["type"].is_string() {
                seen(value);
            }
            object.values().for_each(|value| each_object(value, seen));
        }
        Value::Array(list) => list.iter().for_each(|value| each_object(value, seen)),
        _ => {}
    }
}

fn each_text(value: &Value, seen: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => seen(text),
        Value::Object(object) => object.values().for_each(|value| each_text(value, seen)),
        Value::Array(list) => list.iter().for_each(|value| each_text(value, seen)),
        _ => {}
    }
}

/// Keys and kinds, without what is said.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(object) => object.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        Value::Array(list) => list.iter().map(shape).collect(),
        Value::String(_) => "text".into(),
        other => other.clone(),
    }
}
