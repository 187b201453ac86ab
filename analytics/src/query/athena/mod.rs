//! Asking Athena.
//!
//! [`ask`](ask::ask) starts a query, waits for its end and hands out its rows page by page. What to do next is decided by
//! [`pace`], which is pure; Athena is behind the port [`QueryService`](service::QueryService).

pub mod answer;
pub mod ask;
pub mod cost;
pub mod failing;
pub mod memory;
pub mod pace;
pub mod sdk;
pub mod service;
#[cfg(test)]
mod tests;
