//! `[athena]`: where `dial query` asks, unless it is told a folder.

use dial_rules::fault::Fault;
use serde::{Deserialize, Serialize};

use super::{archive, aws_name};

/// `[athena]`. Region, credentials and endpoint are those of the environment, as for every AWS service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Athena {
    /// The Glue database with the archive's tables. Without one Athena is not asked.
    pub(crate) database: Option<String>,
    /// The workgroup, which says who pays and how much one query may read.
    pub(crate) workgroup: String,
    /// Where Athena keeps answers, `s3://BUCKET/PREFIX`; without one where the workgroup says.
    pub(crate) output: Option<String>,
    /// The catalog that the database is in.
    pub(crate) catalog: String,
    /// What reading a terabyte costs, in US dollars: Athena's price in the region, for the cost that is shown.
    pub(crate) price_per_tb: f64,
}

impl Default for Athena {
    fn default() -> Self {
        Athena {
            database: None,
            workgroup: "primary".to_owned(),
            output: None,
            catalog: "AwsDataCatalog".to_owned(),
            price_per_tb: 5.0,
        }
    }
}

impl Athena {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        match self.database.as_deref() {
            None if *self != Athena::default() => {
                let why =
                    "is missing: write the Glue database with the archive's tables; without it Athena is not asked";
                faults.push(Fault::new("database", why));
            }
            Some(name) if !is_database_name(name) => {
                let why = "is no name that Athena takes for a database: letters, digits and `_`, at most 255";
                faults.push(Fault::new("database", why));
            }
            _ => {}
        }
        if !aws_name::is_valid(&self.workgroup) {
            faults.push(Fault::new("workgroup", aws_name::WRONG));
        }
        if self.output.as_deref().is_some_and(|output| !archive::is_s3_address(output)) {
            faults.push(Fault::new("output", "is no place in S3: write s3://BUCKET/PREFIX"));
        }
        if self.catalog.trim().is_empty() {
            faults.push(Fault::new("catalog", "is empty: write `AwsDataCatalog`, or another one's name"));
        }
        if !self.price_per_tb.is_finite() || self.price_per_tb < 0.0 {
            faults.push(Fault::new("price_per_tb", "is no price: write US dollars, such as 5.00"));
        }
        faults
    }

    /// Where answers are kept, as Athena wants it said.
    pub(crate) fn output_folder(&self) -> Option<String> {
        self.output.as_deref().map(|output| format!("{}/", output.trim_end_matches('/')))
    }
}

fn is_database_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(athena: &Athena) -> Vec<String> {
        athena.faults().into_iter().map(|fault| fault.path).collect()
    }

    #[test]
    fn mistakes_are_told() {
        assert!(Athena::default().faults().is_empty());
        let set = Athena { database: Some("trail".to_owned()), ..Athena::default() };
        assert!(set.faults().is_empty());
        assert_eq!(paths(&Athena { output: Some("s3://answers/x".to_owned()), ..Athena::default() }), ["database"]);
        let wrong = Athena {
            database: Some("a b".to_owned()),
            workgroup: String::new(),
            output: Some("answers".to_owned()),
            catalog: " ".to_owned(),
            price_per_tb: -1.0,
        };
        assert_eq!(paths(&wrong), ["database", "workgroup", "output", "catalog", "price_per_tb"]);
    }

    #[test]
    fn the_place_of_answers_ends_with_a_slash() {
        let at = |output: &str| Athena { output: Some(output.to_owned()), ..Athena::default() }.output_folder();
        assert_eq!(at("s3://answers/x").as_deref(), Some("s3://answers/x/"));
        assert_eq!(at("s3://answers/").as_deref(), Some("s3://answers/"));
    }
}
