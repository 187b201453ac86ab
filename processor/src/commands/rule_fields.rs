//! `dial rules fields`: the facts that rules may ask for.

use comfy_table::Cell;
use dial_rules::facts::{self, Fact};
use serde_json::json;

use crate::failure::{Failure, Outcome, Result};
use crate::output::Output;

/// The facts with `text` in their names.
pub(crate) fn list(text: &str, output: &Output) -> Result<Outcome> {
    let facts: Vec<&Fact> = facts::all().iter().filter(|fact| fact.name.contains(text)).collect();
    if facts.is_empty() {
        let message = format!("no field has {text:?} in its name: the nearest is {}", facts::nearest(text));
        return Err(Failure::Usage(message));
    }
    if output.is_json() {
        for fact in facts {
            let example: serde_json::Value =
                serde_json::from_str(fact.example).map_err(|error| Failure::outside("an example", error))?;
            output.json(&json!({
                "name": fact.name, "type": fact.kind.as_str(), "about": fact.about, "present": fact.present,
                "example": example,
            }))?;
        }
        return Ok(Outcome::Fine);
    }
    let rows = facts.into_iter().map(|fact| {
        vec![
            Cell::new(fact.name),
            Cell::new(fact.kind.as_str()),
            Cell::new(format!("{} (there when: {})", fact.about, fact.present)),
            Cell::new(fact.example),
        ]
    });
    output.table(&["field", "type", "says", "example"], rows)?;
    Ok(Outcome::Fine)
}
