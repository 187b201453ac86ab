//! Functions by the names that Athena's engine, Trino, gives them: a query that uses them runs here and there.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::functions_nested::array_has::array_has_udf;
use datafusion::functions_nested::extract::array_element_udf;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::prelude::SessionContext;
use serde_json::value::RawValue;

use super::json_path::{JsonPath, scalar};

/// Makes them known.
pub(super) fn register(context: &SessionContext) {
    for what in [Extract::Scalar, Extract::Value, Extract::Length, Extract::Document] {
        context.register_udf(ScalarUDF::from(JsonFunction::new(what)));
    }
    context.register_udf(ScalarUDF::from(Contains::new()));
    context.register_udf(array_element_udf().as_ref().clone().with_aliases(["element_at"]));
}

/// What is taken from JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Extract {
    /// `json_extract_scalar(json, path)`: a text, number or flag, as text.
    Scalar,
    /// `json_extract(json, path)`: any value, as JSON.
    Value,
    /// `json_array_length(json)`.
    Length,
    /// `json_format(json)`: the same JSON, since here it is text anyhow.
    Document,
}

/// A function over JSON texts. NULL of what is no JSON, as in Trino.
#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonFunction {
    what: Extract,
    signature: Signature,
}

impl JsonFunction {
    fn new(what: Extract) -> JsonFunction {
        let arguments = match what {
            Extract::Scalar | Extract::Value => 2,
            Extract::Length | Extract::Document => 1,
        };
        JsonFunction { what, signature: Signature::string(arguments, Volatility::Immutable) }
    }

    fn texts(&self, value: &ColumnarValue, rows: usize) -> Result<ArrayRef> {
        Ok(cast(&value.to_array(rows)?, &DataType::Utf8)?)
    }

    /// One path for all rows, as it nearly always is, is read once.
    fn extract(&self, documents: &StringArray, path: &ColumnarValue, rows: usize) -> Result<StringArray> {
        let parse = |text: &str| JsonPath::parse(text).or_else(|wrong| exec_err!("{}: {wrong}", self.name()));
        if let ColumnarValue::Scalar(path) = path {
            let Some(path) = path.try_as_str().flatten() else { return Ok(StringArray::new_null(rows)) };
            let path = parse(path)?;
            return Ok(documents.iter().map(|document| self.find(document?, &path)).collect());
        }
        let paths = self.texts(path, rows)?;
        let pairs = documents.iter().zip(paths.as_string::<i32>().iter());
        pairs
            .map(|pair| match pair {
                (Some(document), Some(path)) => Ok(self.find(document, &parse(path)?)),
                _ => Ok(None),
            })
            .collect()
    }

    fn find(&self, document: &str, path: &JsonPath) -> Option<String> {
        let found = path.find(document)?;
        match self.what {
            Extract::Scalar => scalar(&found),
            _ => Some(found.get().to_owned()),
        }
    }
}

impl ScalarUDFImpl for JsonFunction {
    fn name(&self) -> &str {
        match self.what {
            Extract::Scalar => "json_extract_scalar",
            Extract::Value => "json_extract",
            Extract::Length => "json_array_length",
            Extract::Document => "json_format",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.what {
            Extract::Length => DataType::Int64,
            _ => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [json, path @ ..] = &args.args[..] else { return plan_err!("{} takes JSON", self.name()) };
        let documents = self.texts(json, rows)?;
        let documents = documents.as_string::<i32>();
        let array: ArrayRef = match (self.what, path) {
            (Extract::Scalar | Extract::Value, [path]) => Arc::new(self.extract(documents, path, rows)?),
            (Extract::Length, []) => {
                Arc::new(documents.iter().map(|document| length(document?)).collect::<Int64Array>())
            }
            (Extract::Document, []) => {
                let valid =
                    |document: &str| serde_json::from_str::<&RawValue>(document).ok().map(|json| json.get().to_owned());
                Arc::new(documents.iter().map(|document| valid(document?)).collect::<StringArray>())
            }
            _ => return plan_err!("{} takes {} arguments", self.name(), if path.is_empty() { 2 } else { 1 }),
        };
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        match constant {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)),
            false => Ok(ColumnarValue::Array(array)),
        }
    }
}

fn length(document: &str) -> Option<i64> {
    let list: Vec<&RawValue> = serde_json::from_str(document).ok()?;
    i64::try_from(list.len()).ok()
}

/// `contains(list, value)` of Trino. DataFusion's own of that name looks for a text in a text; so does this one if asked to.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Contains {
    signature: Signature,
}

impl Contains {
    fn new() -> Contains {
        let list = array_has_udf().signature().type_signature.clone();
        let either = TypeSignature::OneOf(vec![TypeSignature::String(2), list]);
        Contains { signature: Signature::new(either, Volatility::Immutable) }
    }

    fn of(&self, first: &DataType) -> Arc<ScalarUDF> {
        match first {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => datafusion::functions::string::contains(),
            _ => array_has_udf(),
        }
    }
}

impl ScalarUDFImpl for Contains {
    fn name(&self) -> &str {
        "contains"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<datafusion::arrow::datatypes::FieldRef> {
        let field = datafusion::arrow::datatypes::Field::new(self.name(), DataType::Boolean, true);
        let _ = args;
        Ok(Arc::new(field))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(first) = args.args.first() else { return plan_err!("contains takes a list and a value") };
        self.of(&first.data_type()).invoke_with_args(args)
    }
}
