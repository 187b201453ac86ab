//! Putting records into Kinesis Data Streams.

use async_trait::async_trait;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, PutRecordsResultEntry};

use crate::error::PortError;
use crate::kinesis::{KinesisStream, malformed};
use crate::producer::{NewRecord, StreamWriter};
use crate::sdk_error::{kind_of, port_error};

const CALL: &str = "PutRecords";

#[async_trait]
impl StreamWriter for KinesisStream {
    async fn put_records(&self, records: &[NewRecord]) -> Result<Vec<Result<(), PortError>>, PortError> {
        let entries = records.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        let call = self.client().put_records().stream_name(self.stream_name()).set_records(Some(entries));
        let answer = call.send().await.map_err(|e| port_error(CALL, e))?;
        Ok(answer.records.into_iter().map(result).collect())
    }
}

fn entry(record: &NewRecord) -> Result<PutRecordsRequestEntry, PortError> {
    let entry = PutRecordsRequestEntry::builder().partition_key(&record.partition_key);
    entry.data(Blob::new(record.data.to_vec())).build().map_err(|e| malformed(CALL, e))
}

/// What became of one record: `ProvisionedThroughputExceededException`, `InternalFailure`, or a sequence number.
fn result(entry: PutRecordsResultEntry) -> Result<(), PortError> {
    match (entry.error_code, entry.sequence_number) {
        (None, Some(_)) => Ok(()),
        (None, None) => Err(malformed(CALL, "neither an error nor a sequence number")),
        (Some(code), _) => {
            // There is no status of a single record; 500 stands for whatever the code does not say.
            let message = entry.error_message.unwrap_or_default();
            Err(PortError::new(CALL, kind_of(&code, 500), format!("{code}: {message}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn each_record_has_its_own_result() {
        let entry = PutRecordsResultEntry::builder;
        assert_eq!(result(entry().sequence_number("49").shard_id("s").build()), Ok(()));
        let of = |code: &str| result(entry().error_code(code).error_message("no").build()).unwrap_err().kind;
        assert_eq!(of("ProvisionedThroughputExceededException"), ErrorKind::Throttled);
        assert_eq!(of("InternalFailure"), ErrorKind::Unavailable);
        assert_eq!(result(entry().build()).unwrap_err().kind, ErrorKind::Unavailable);
    }
}
