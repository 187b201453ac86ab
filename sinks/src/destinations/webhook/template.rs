//! [`Template`]: makes a webhook's body, in Jinja's language (minijinja).

use std::io;

use dial_rules::nearest::nearest;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value, escape_formatter};
use reqwest::header::HeaderValue;
use serde_json::Value as Json;
use thiserror::Error as ThisError;

use crate::message::Message;
use crate::samples::{SampleKind, sample};
use crate::telling::Telling;
use crate::text::{Medium, inert};
use crate::wire::wire;

/// Most instructions that one body takes.
const FUEL: u64 = 500_000;

/// Most bytes of one body. All that a message tells whole, which is under 32 KB a finding, fits several times.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// The template's name within its environment; of its ending nothing depends.
const NAME: &str = "body";

/// Makes a webhook's body of what [`wire`] has, with `headline`, `facts`, `timeline` and `others` of [`Telling`] beside it.
///
/// In JSON `{{ title }}` writes a text with its quotes; `{{ title | within }}` without them, to stand within a text; and what a
/// template makes is looked at before it is sent. In HTML and XML `{{ title }}` is text, or the value of an attribute in
/// quotes; in plain text it is a part of one line.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    syntax: Syntax,
    content_type: Option<HeaderValue>,
}

/// Why a template makes no body.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error("{place}: {reason}")]
pub struct TemplateError {
    /// File and line: `alert.json.j2:3`.
    pub place: String,
    /// What is wrong.
    pub reason: String,
}

impl Template {
    /// A template as it is written in `file`. `content_type` is JSON's without another word.
    ///
    /// # Errors
    /// When it cannot be read, names what there is not, or makes no body of the samples.
    pub fn new(file: &str, source: &str, content_type: Option<&str>) -> Result<Template, TemplateError> {
        let wrong = |error: &Error| TemplateError { place: place(file, error.line()), reason: reason(error) };
        let refused = |reason| TemplateError { place: file.to_owned(), reason };
        let syntax = content_type.map_or(Ok(Syntax::Json), Syntax::of).map_err(refused)?;
        let content_type = content_type.map(HeaderValue::try_from).transpose().map_err(|_| {
            refused("its content type is none that a header can have: write, for example, application/json".to_owned())
        })?;
        let mut environment = environment(syntax);
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| wrong(&error))?;
        let template = Template { environment, syntax, content_type };
        template.check_names(file)?;
        for kind in SampleKind::ALL {
            template.render(&sample(kind)).map_err(|error| TemplateError {
                place: error.place.replacen(NAME, file, 1),
                reason: format!("of the sample {kind:?}: {}", error.reason),
            })?;
        }
        Ok(template)
    }

    /// The type of the body, if it is not JSON's own.
    pub(super) fn content_type(&self) -> Option<&HeaderValue> {
        self.content_type.as_ref()
    }

    /// The body for a message.
    ///
    /// # Errors
    /// When it takes too long, is too large, or is not the JSON that it should be.
    pub fn render(&self, message: &Message) -> Result<String, TemplateError> {
        let failed = |error: &Error| TemplateError { place: place(NAME, error.line()), reason: reason(error) };
        let template = self.environment.get_template(NAME).map_err(|error| failed(&error))?;
        let mut body = Bounded(Vec::new());
        template
            .render_captured_to(Value::from(minijinja::value::Serde(context(message))), &mut body)
            .map_err(|error| failed(&error))?;
        let text = String::from_utf8_lossy(&body.0).into_owned();
        if self.syntax == Syntax::Json {
            serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(|error| TemplateError {
                place: NAME.to_owned(),
                reason: format!("what it makes is no JSON, in its line {} column {}: texts are written with their quotes, {{{{ title }}}}, or {{{{ title | within }}}} within quotes", error.line(), error.column()),
            })?;
        }
        Ok(text)
    }

    fn check_names(&self, file: &str) -> Result<(), TemplateError> {
        let known = context(&sample(SampleKind::Single));
        let known: Vec<&str> = known.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        let names = self.environment.get_template(NAME).map(|template| template.undeclared_variables(false));
        let is_function = |name: &str| self.environment.globals().any(|(global, _)| global == name);
        let mut unknown: Vec<String> = names.into_iter().flatten().collect();
        unknown.retain(|name| !known.contains(&name.as_str()) && !is_function(name));
        unknown.sort();
        let Some(name) = unknown.first() else { return Ok(()) };
        let reason = match nearest(name, known.iter().copied()) {
            Some(near) => format!("there is no {name:?}: write {near}"),
            None => format!("there is no {name:?}: there are {}", known.join(", ")),
        };
        Err(TemplateError { place: file.to_owned(), reason })
    }
}

/// What a body is written in, and so how an event's texts are escaped in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syntax {
    Json,
    /// HTML and XML.
    Markup,
    /// Lines.
    Text,
}

impl Syntax {
    /// The syntax of a content type. In one that is not known an event's texts could be more than texts, so it is refused.
    fn of(content_type: &str) -> Result<Syntax, String> {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.split_once('/') {
            Some(("application", "json")) => Ok(Syntax::Json),
            Some((_, subtype)) if subtype.ends_with("+json") => Ok(Syntax::Json),
            Some((_, subtype)) if matches!(subtype, "html" | "xml") || subtype.ends_with("+xml") => Ok(Syntax::Markup),
            Some(("text", "plain")) => Ok(Syntax::Text),
            _ => Err(format!(
                "of the content type {content_type:?} it is not known how to escape texts: write application/json (or \
                 …+json), text/html, application/xml (or …+xml), or text/plain"
            )),
        }
    }

    fn escape(self) -> AutoEscape {
        match self {
            Syntax::Json => AutoEscape::Json,
            Syntax::Markup => AutoEscape::Html,
            Syntax::Text => AutoEscape::None,
        }
    }

    /// What makes texts inert, where it is not JSON's own escapes: nothing from an event is markup, starts a line, or hides.
    fn medium(self) -> Option<Medium> {
        match self {
            Syntax::Json => None,
            Syntax::Markup => Some(Medium::Html),
            Syntax::Text => Some(Medium::Plain),
        }
    }
}

fn environment(syntax: Syntax) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(move |_| syntax.escape());
    environment.set_formatter(move |out, state, value| match syntax.medium() {
        Some(medium) if !value.is_safe() && has_texts(value) => {
            Ok(out.write_str(&inert(&value.to_string(), medium, MOST_BYTES))?)
        }
        _ => escape_formatter(out, state, value),
    });
    // What an alert may lack is empty; names that there are not are found at the start.
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(50);
    environment.add_filter("within", move |value: &Value| {
        // What is not there is nothing, not the word for it.
        let text = if value.is_undefined() || value.is_none() { String::new() } else { value.to_string() };
        let quoted = serde_json::to_string(&text).unwrap_or_default();
        let within = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
        // Elsewhere than in JSON its escapes are not enough.
        if syntax == Syntax::Json { Value::from_safe_string(within.to_owned()) } else { Value::from(within) }
    });
    environment
}

/// Whether it is a text, or may hold some.
fn has_texts(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::String | ValueKind::Seq | ValueKind::Map | ValueKind::Iterable)
}

/// What a template may name.
fn context(message: &Message) -> Json {
    let telling = Telling::of(message);
    let facts: Json = telling.facts.iter().map(|fact| (fact.name.to_owned(), Json::from(fact.text.as_str()))).collect();
    let mut context = wire(message);
    context["headline"] = telling.headline.into();
    context["facts"] = facts;
    context["timeline"] = telling.timeline.into();
    context["others"] = telling.others.into();
    context
}

fn place(file: &str, line: Option<usize>) -> String {
    line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"))
}

fn reason(error: &Error) -> String {
    match error.kind() {
        ErrorKind::OutOfFuel => "it takes too long: loop over less".to_owned(),
        ErrorKind::WriteFailure => format!("it makes more than {MOST_BYTES} bytes"),
        kind => error.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}")),
    }
}

/// Takes no more than [`MOST_BYTES`].
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_BYTES {
            return Err(io::Error::other("too large"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(source: &str) -> Json {
        let text = Template::new("alert.j2", source, None).unwrap().render(&sample(SampleKind::Single)).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn refused(source: &str) -> String {
        Template::new("alert.j2", source, None).unwrap_err().to_string()
    }

    #[test]
    fn a_body_is_what_the_template_says() {
        let body = rendered(
            r#"{"text": {{ title }}, "line": "[{{ severity | upper | within }}] {{ headline | within }}", "who": {{ facts.Who }},
               "ids": {{ finding_ids }}, "none": {{ finding.context.account.nothing }}, "nobody": "{{ facts.Nobody | within }}",
               "steps": [{% for moment in moments %}{{ moment.what }}{% if not loop.last %},{% endif %}{% endfor %}]}"#,
        );
        assert_eq!(body["text"], "Administrator rights granted to a user");
        assert_eq!(body["line"], "[HIGH] SAMPLE · HIGH · Administrator rights granted to a user");
        assert_eq!(
            (&body["who"], &body["steps"][0]),
            (&"role Admin as alice".into(), &"iam AttachUserPolicy bob, AdministratorAccess".into())
        );
        assert_eq!((&body["none"], &body["nobody"]), (&Json::Null, &"".into()));
        assert_eq!(body["ids"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn what_cannot_be_a_body_is_refused_at_the_start() {
        for (source, parts) in [
            ("{\n \"a\": {{ title }\n}", ["alert.j2:2", "syntax"].as_slice()),
            ("{\"a\": {{ titel }}}", &["alert.j2", "titel", "title"]),
            ("{\"a\": \"{{ title }}\"}", &["alert.j2", "no JSON", "within"]),
            ("{\"a\": {{ title | shout }}}", &["alert.j2:1", "shout"]),
            ("[{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}]", &["too long"]),
            ("{% include 'other' %}", &["alert.j2"]),
        ] {
            let error = refused(source);
            for part in parts {
                assert!(error.to_lowercase().contains(&part.to_lowercase()), "{part:?} in {error}");
            }
        }
    }

    #[test]
    fn texts_stay_texts() {
        let template = Template::new("t", r#"{"a": {{ title }}, "b": "x {{ title | within }}"}"#, None).unwrap();
        let lines = Template::new("t", "alert: {{ title }} {{ advice }}", Some("text/plain")).unwrap();
        for title in [r#"","admin":true,"x":""#, "{{7*7}}", "{% raw %}", "</script>", "\\", "a\nb\u{202e}"] {
            let mut message = sample(SampleKind::Single);
            message.title = title.to_owned();
            let body: Json = serde_json::from_str(&template.render(&message).unwrap()).unwrap();
            assert_eq!(body.as_object().map(serde_json::Map::len), Some(2));
            assert_eq!((&body["a"], &body["b"]), (&title.into(), &format!("x {title}").into()));
            message.advice.tactics = vec![title.to_owned()];
            let line = lines.render(&message).unwrap();
            assert!(line.lines().count() == 1 && !line.chars().any(crate::text::is_hidden), "{line:?}");
        }
    }

    #[test]
    fn markup_of_an_event_is_text() {
        let source = r#"{% set bold %}<b>{{ title }}</b>{% endset %}{% set all = [title] %}<a b="{{ title }}">{{ title | within }}{{ bold }}{{ all }}{{ finding }}</a>"#;
        for kind in ["text/html; charset=utf-8", "TEXT/XML", "application/xml", "application/soap+xml"] {
            let template = Template::new("t", source, Some(kind)).unwrap();
            let mut message = sample(SampleKind::Single);
            message.title = "\" onload='x'></a><script>alert(1)</script>&amp;\n\u{1b}\u{202e}".to_owned();
            message.lead.finding.subject.actor = Some(message.title.clone());
            let body = template.render(&message).unwrap();
            let own = body.replace("<a b=\"", "").replacen("\">", "", 1).replace("<b>", "").replace("</b>", "");
            let own = own.strip_suffix("</a>").unwrap();
            assert!(
                !own.contains(['<', '>', '"', '\'']) && !own.chars().any(crate::text::is_hidden),
                "{kind}: {own:?}"
            );
            assert!(own.contains("&lt;script&gt;") && own.contains("&amp;amp;"), "{own:?}");
        }
    }

    #[test]
    fn a_content_type_that_nobody_can_escape_for_is_refused() {
        let make = |kind: &str| Template::new("alert.j2", "1", Some(kind));
        for kind in [
            "application/x-www-form-urlencoded",
            "text/csv",
            "application/yaml",
            "text/javascript",
            "json",
            "",
            "a/b\nc",
        ] {
            let error = make(kind).unwrap_err().to_string();
            assert!(
                ["alert.j2", "application/json", "text/html", "text/plain"].iter().all(|part| error.contains(part)),
                "{error}"
            );
        }
        for kind in ["application/json", "Application/Vnd.api+JSON; charset=utf-8", "text/plain", "image/svg+xml"] {
            assert!(make(kind).is_ok(), "{kind}");
        }
    }

    #[test]
    fn a_large_body_is_given_up() {
        let grows = Template::new("t", "[{% for a in finding_ids %}{{ title }},{% endfor %}0]", None).unwrap();
        let mut message = sample(SampleKind::Storm);
        message.title = "x".repeat(5_000);
        assert!(grows.render(&message).is_err_and(|error| error.reason.contains("bytes")));
    }
}
