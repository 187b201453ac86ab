//! [`DynamoWindowStore`] against answers that no emulator gives: a small server that plays a throttled DynamoDB.
