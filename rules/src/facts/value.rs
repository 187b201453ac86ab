//! [`Value`]: what a fact says of one event.

use std::borrow::Cow;

use rsigma_eval::EventValue;
use serde::{Serialize, Serializer};

/// A fact's value, borrowed from the facts that computed it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'f> {
    /// `true` or `false`.
    Flag(bool),
    /// A string.
    Text(Cow<'f, str>),
    /// An integer.
    Integer(i64),
    /// A number with a fraction.
    Number(f64),
    /// Strings, never none.
    Texts(&'f [String]),
}

impl<'f> Value<'f> {
    pub(super) fn text(text: &'f str) -> Value<'f> {
        Value::Text(Cow::Borrowed(text))
    }

    /// A list; an empty one is no value.
    pub(super) fn texts(texts: &'f [String]) -> Option<Value<'f>> {
        (!texts.is_empty()).then_some(Value::Texts(texts))
    }

    /// As rsigma sees it.
    pub(crate) fn into_event_value(self) -> EventValue<'f> {
        match self {
            Value::Flag(flag) => EventValue::Bool(flag),
            Value::Text(text) => EventValue::Str(text),
            Value::Integer(number) => EventValue::Int(number),
            Value::Number(number) => EventValue::Float(number),
            Value::Texts(texts) => {
                EventValue::Array(texts.iter().map(|text| EventValue::Str(Cow::Borrowed(text))).collect())
            }
        }
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Flag(flag) => flag.serialize(serializer),
            Value::Text(text) => text.serialize(serializer),
            Value::Integer(number) => number.serialize(serializer),
            Value::Number(number) => number.serialize(serializer),
            Value::Texts(texts) => texts.serialize(serializer),
        }
    }
}
