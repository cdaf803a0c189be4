//! The definitions, read when a broker starts.
//!
//! A row that does not decode, or that names what is not there, is an error: nothing is skipped in silence.

use super::rows::{RowKind, RowProblem};
use crate::store::StoreError;
use crate::store::definitions::Definitions;

/// Reads all rows of a kind.
///
/// # Errors
///
/// Names the file and the row that cannot be understood.
pub(in crate::broker) fn read<T>(
    definitions: &Definitions,
    kind: &RowKind<T>,
) -> Result<Vec<T>, StoreError> {
    let mut read = Vec::new();
    for row in definitions.rows(kind.table)? {
        let problem = |problem| {
            let unknown = |_| format!("key of one of the {}", kind.table.name());
            damaged(definitions, &(kind.noun)(&row.key).unwrap_or_else(unknown), problem)
        };
        read.push((kind.read)(&row).map_err(problem)?);
    }
    Ok(read)
}

#[derive(Debug, thiserror::Error)]
#[error("{noun}: {problem}")]
struct Damaged {
    noun: String,
    problem: RowProblem,
}

/// The error for a row that cannot be understood; `noun` is its subject.
pub(in crate::broker) fn damaged(
    definitions: &Definitions,
    noun: &str,
    problem: RowProblem,
) -> StoreError {
    StoreError::Definitions {
        action: "understand",
        path: definitions.path().to_path_buf(),
        source: Box::new(Damaged { noun: noun.to_owned(), problem }),
    }
}
