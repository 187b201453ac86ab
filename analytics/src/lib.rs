//! The archive: every event of a stream, exactly once, as Parquet files that Athena, DuckDB and Spark read.
//!
//! One shard's records are collected in an [`ArchiveBatch`](batch::ArchiveBatch). When a flush is due it is sealed: a
//! [`Sealed`](sealed::Sealed) batch says which files it becomes and what is in them, as a function of the records
//! alone. Writing it takes three steps, and whoever is killed between two of them leaves a state that the shard's next
//! owner can finish without losing or doubling a row:
//!
//! 1. *declare*: the [`Intent`](intent::Intent) goes into the shard's lease, conditional on holding that;
//! 2. *put*: [`archive::write`] puts each file unless it is there ([`ObjectStore`](store::ObjectStore));
//! 3. *commit*: the shard's checkpoint moves to [`Sealed::last`](sealed::Sealed::last), and the intent clears.
//!
//! An owner that finds an open intent reads the records behind the checkpoint again, and a
//! [`Recovery`](recovery::Recovery) makes the declared files of them.
//!
//! Leases and streams are not this crate's matter: positions are its own plain [`Position`](position::Position)s.
//!
//! What the files hold is said once, in [`Table`](table::Table)s: `events` ([`events_schema`]) and `findings`
//! ([`findings_schema`]), whose rows are [`FindingRow`](findings::FindingRow)s. [`ddl`] and [`views`] make them known to
//! Athena, DuckDB and DataFusion, [`ocsf`] says a finding in the words of OCSF.

pub mod archive;
mod attack;
mod base64;
pub mod batch;
mod cloudtrail;
pub mod compaction;
pub mod ddl;
pub mod dead_letter_file;
pub mod dead_letters;
pub mod events_schema;
pub mod failing;
pub mod findings;
pub mod findings_schema;
pub mod folder;
pub mod folders;
pub mod intent;
pub mod layout;
pub mod memory;
pub mod ocsf;
pub mod page;
pub mod parts;
pub mod position;
pub mod query;
pub mod read;
pub mod recovery;
pub mod redrive;
pub mod row;
pub mod s3;
mod s3_reader;
pub mod sealed;
pub mod shard;
pub mod store;
pub mod switch;
pub mod table;
pub mod views;
pub mod visibility;
pub mod writer;
