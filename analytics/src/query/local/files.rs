//! A table of the archive as DataFusion reads it: the files that counted when the question was asked.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result, ScalarValue, project_schema};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::TableType;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::listing::helpers::{expr_applicable_for_cols, filter_partitioned_file};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use crate::table::{PARTITION, Table};

/// A table's files, by day.
#[derive(Debug)]
pub(super) struct Files {
    schema: TableSchema,
    files: Vec<PartitionedFile>,
}

impl Files {
    /// The table over these files: their paths, sizes and days.
    pub(super) fn of(table: &Table, files: impl IntoIterator<Item = (String, u64, String)>) -> Files {
        // Files of earlier versions lack columns, and then there is nothing in these.
        let fields =
            table.schema().fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>();
        let day = Arc::new(Field::new(PARTITION, DataType::Utf8, false));
        let schema = TableSchema::builder(Arc::new(Schema::new(fields))).with_table_partition_cols(vec![day]).build();
        let files = files.into_iter().map(|(path, size, day)| {
            let mut file = PartitionedFile::new(path, size);
            file.partition_values = vec![ScalarValue::Utf8(Some(day))];
            file
        });
        Files { schema, files: files.collect() }
    }

    /// The files of days that pass these conditions.
    fn among(&self, conditions: &[Expr]) -> Result<Vec<PartitionedFile>> {
        let of_days: Vec<Expr> = conditions.iter().filter(|condition| is_of_day(condition)).cloned().collect();
        let fields: Vec<_> = self.schema.table_partition_cols().iter().cloned().collect();
        let schema = DFSchema::try_from(Schema::new(fields))?;
        let kept = self.files.iter().map(|file| filter_partitioned_file(file.clone(), &of_days, &schema));
        kept.filter_map(Result::transpose).collect()
    }
}

fn is_of_day(condition: &Expr) -> bool {
    expr_applicable_for_cols(&[PARTITION], condition)
}

#[async_trait]
impl TableProvider for Files {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, conditions: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let pushdown = |condition: &&Expr| match is_of_day(condition) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(conditions.iter().map(pushdown).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        conditions: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.among(conditions)?;
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(&self.schema(), projection)?)));
        }
        let options =
            TableParquetOptions { global: state.config_options().execution.parquet.clone(), ..Default::default() };
        let format = ParquetFormat::default().with_options(options);
        let source = format.file_source(self.schema.clone());
        let groups = FileGroup::new(files).split_files(state.config().target_partitions());
        let scan = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), source)
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        format.create_physical_plan(state, scan).await
    }
}
