//! An alert as JSON text within what SNS, SQS and EventBridge carry: 256 KiB, names and attributes beside it included. Pure.

use serde_json::Value;

use super::attributes::MOST_OF_A_LIST;
use crate::message::Message;
use crate::wire::wire;

/// Most bytes of the JSON. What is left of the services' 262,144 is for the attributes, three lists among them, and for what
/// EventBridge puts around it on its way to a queue.
pub(crate) const MOST: usize = 252 * 1024 - 3 * MOST_OF_A_LIST;

/// What a text keeps that is shortened because nothing else is left to cut, in characters: the more, if that does.
const SHORT: [usize; 2] = [256, 96];

/// The message as JSON of at most `most` bytes. What does not fit is cut, in this order and each from its end: `findings`,
/// `moments`, the evidence of `finding`, `finding_ids`; then long texts are shortened. `truncated` names what was cut, and is
/// absent where nothing was. `count`, `links` and the command in them still lead to everything.
pub(crate) fn body(message: &Message, most: usize) -> String {
    let mut alert = wire(message);
    let text = json_text(&alert);
    if text.len() <= most {
        return text;
    }
    // Escapes are within the lengths that are counted here; `truncated` itself is about 100 bytes.
    let most = most.saturating_sub(128);
    let mut over = text.len().saturating_sub(most);
    let mut truncated = Vec::new();
    for (name, path, kept) in [
        ("findings", "/findings", 0),
        ("moments", "/moments", 1),
        ("finding.evidence", "/finding/evidence", 1),
        ("finding.completed_by", "/finding/completed_by", 1),
        ("finding_ids", "/finding_ids", 1),
    ] {
        let cut = alert.pointer_mut(path).and_then(Value::as_array_mut).map_or(0, |list| cut_end(list, kept, over));
        if cut > 0 {
            truncated.push(Value::from(name));
        }
        over = over.saturating_sub(cut);
        if over == 0 {
            break;
        }
    }
    if over > 0 {
        truncated.push(Value::from("texts"));
        for short in SHORT {
            shorten(&mut alert, short);
            if json_text(&alert).len() <= most {
                break;
            }
        }
    }
    if let Some(object) = alert.as_object_mut() {
        object.insert("truncated".to_owned(), Value::Array(truncated));
    }
    json_text(&alert)
}

/// Takes values from the end until at least `over` bytes are gone or `kept` are left, and says how many bytes went.
fn cut_end(list: &mut Vec<Value>, kept: usize, over: usize) -> usize {
    let mut gone = 0;
    while gone < over && list.len() > kept {
        gone += list.pop().map_or(0, |value| json_text(&value).len().saturating_add(1));
    }
    gone
}

/// Shortens every long text.
fn shorten(value: &mut Value, short: usize) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(short) {
                text.truncate(end);
                text.push('…');
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| shorten(value, short)),
        Value::Object(object) => object.values_mut().for_each(|value| shorten(value, short)),
        _ => {}
    }
}

/// JSON text in which nothing steers whatever shows it, and nothing is beyond what SQS takes: control characters, marks of
/// direction (Unicode Standard Annex 9), invisible characters and U+FFFE, U+FFFF are escaped. It means the same JSON.
pub(crate) fn json_text(value: &Value) -> String {
    let text = value.to_string();
    if !text.chars().any(is_odd) {
        return text;
    }
    // None of it is beyond the first plane, so four digits do; and in JSON it stands nowhere but in texts.
    text.chars().fold(String::with_capacity(text.len() + 64), |mut all, c| {
        if is_odd(c) {
            all.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            all.push(c);
        }
        all
    })
}

/// Whether it steers a terminal or the direction of text, cannot be seen, or is none that SQS takes.
pub(crate) fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
