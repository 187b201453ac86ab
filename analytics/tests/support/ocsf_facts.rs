//! A checker of OCSF documents by facts of its schema.

use std::net::IpAddr;

use serde_json::{Map, Value};

/// What the schema says of a class and its objects.
pub(crate) struct Facts(Value);

/// Where a document has what must be right.
#[derive(Default)]
pub(crate) struct Places {
    /// JSON pointers of attributes that are required.
    pub(crate) required: Vec<String>,
    /// Of attributes that have an enumeration.
    pub(crate) enumerated: Vec<String>,
}

impl Facts {
    pub(crate) fn read() -> Facts {
        Facts(serde_json::from_str(include_str!("../ocsf-1.6.0.json")).unwrap())
    }

    pub(crate) fn version(&self) -> &str {
        self.0["version"].as_str().unwrap()
    }

    /// What is wrong with a document of the class, each with its place.
    pub(crate) fn faults(&self, document: &Value) -> Vec<String> {
        self.walk(document).0
    }

    pub(crate) fn places(&self, document: &Value) -> Places {
        self.walk(document).1
    }

    fn walk(&self, document: &Value) -> (Vec<String>, Places) {
        let profiles = document["metadata"]["profiles"].as_array().into_iter().flatten();
        let profiles = profiles.filter_map(Value::as_str).collect();
        let mut walk = Walk { facts: &self.0, profiles, faults: Vec::new(), places: Places::default() };
        walk.object("", document, &self.0["class"]);
        let (class, activity) = (document["class_uid"].as_u64(), document["activity_id"].as_u64());
        if document["type_uid"].as_u64() != class.zip(activity).map(|(class, activity)| class * 100 + activity) {
            walk.faults.push("/type_uid is not class_uid * 100 + activity_id".to_owned());
        }
        (walk.faults, walk.places)
    }
}

struct Walk<'a> {
    facts: &'a Value,
    profiles: Vec<&'a str>,
    faults: Vec<String>,
    places: Places,
}

impl Walk<'_> {
    fn fault(&mut self, at: &str, what: impl std::fmt::Display) {
        self.faults.push(format!("{at} {what}"));
    }

    fn object(&mut self, at: &str, value: &Value, facts: &Value) {
        let Some(members) = value.as_object() else { return self.fault(at, "is no object") };
        let attributes = facts["attributes"].as_object().unwrap();
        for (name, fact) in attributes {
            let asked = fact["profile"].as_str().is_none_or(|profile| self.profiles.contains(&profile));
            if fact["required"] == true && asked {
                match members.contains_key(name) {
                    true => self.places.required.push(format!("{at}/{name}")),
                    false => self.fault(at, format_args!("lacks {name}")),
                }
            }
        }
        for (name, value) in members {
            let at = format!("{at}/{name}");
            let Some(fact) = attributes.get(name) else {
                self.fault(&at, "is no attribute");
                continue;
            };
            if fact["profile"].as_str().is_some_and(|profile| !self.profiles.contains(&profile)) {
                self.fault(&at, "is of a profile that the document does not name");
            }
            if fact["deprecated"] == true {
                self.fault(&at, "is deprecated");
            }
            self.attribute(&at, value, fact);
            self.enumeration(&at, value, fact, members);
        }
        let one_of = facts["constraints"]["at_least_one"].as_array();
        if one_of.is_some_and(|names| !names.iter().any(|name| members.contains_key(name.as_str().unwrap()))) {
            self.fault(at, "has none of those that it must have one of");
        }
    }

    fn attribute(&mut self, at: &str, value: &Value, fact: &Value) {
        if fact["array"] != true {
            return self.value(at, value, fact);
        }
        let Some(items) = value.as_array() else { return self.fault(at, "is no array") };
        for (n, item) in items.iter().enumerate() {
            self.value(&format!("{at}/{n}"), item, fact);
        }
    }

    fn value(&mut self, at: &str, value: &Value, fact: &Value) {
        let kind = fact["type"].as_str().unwrap();
        if fact["object"] == true {
            // An object without attributes of its own may have any.
            if kind == "object" {
                if !value.is_object() {
                    self.fault(at, "is no object");
                }
                return;
            }
            let object = &self.facts["objects"][kind];
            let object = if object.is_null() { panic!("{at}: no facts of the object {kind}") } else { object };
            return self.object(at, value, object);
        }
        let based = self.facts["types"][kind]["type"].as_str().unwrap_or(kind);
        let fits = match based {
            "string_t" => value.is_string(),
            "integer_t" | "long_t" => value.is_i64(),
            "float_t" => value.is_number(),
            "boolean_t" => value.is_boolean(),
            "json_t" => true,
            other => panic!("{at}: no facts of the type {other}"),
        };
        if !fits {
            return self.fault(at, format_args!("is no {kind}: {value}"));
        }
        let text = value.as_str().unwrap_or_default();
        let longest = self.facts["types"][kind]["max_len"].as_u64();
        if longest.is_some_and(|longest| text.chars().count() as u64 > longest) {
            self.fault(at, "is too long");
        }
        let well_formed = match kind {
            "ip_t" => text.parse::<IpAddr>().is_ok(),
            "url_t" => text.starts_with("https://"),
            // 1970 to 2255: milliseconds, and no seconds or nanoseconds of these years.
            "timestamp_t" => {
                value.as_i64().is_some_and(|time| time == 0 || (100_000_000_000..9_000_000_000_000).contains(&time))
            }
            _ => true,
        };
        if !well_formed {
            self.fault(at, format_args!("is no {kind}: {value}"));
        }
    }

    fn enumeration(&mut self, at: &str, value: &Value, fact: &Value, members: &Map<String, Value>) {
        let Some(words) = fact["enum"].as_object() else { return };
        self.places.enumerated.push(at.to_owned());
        let Some(caption) = words.get(&value.to_string()) else { return self.fault(at, "is not in its enumeration") };
        let Some(sibling) = fact["sibling"].as_str() else { return };
        match members.get(sibling) {
            None if *value == 99 => self.fault(at, format_args!("is 99, which asks for {sibling}")),
            Some(said) if *value != 99 && said != caption => {
                self.fault(at, format_args!("is {caption} and {sibling} says {said}"));
            }
            _ => {}
        }
    }
}
