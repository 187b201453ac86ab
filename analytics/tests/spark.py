# Sums each column of the archive's tables by day, as Spark reads the Hive-partitioned files as they lie, and prints that as
# JSON. Argument: the archive's folder. Standard input: the tables.
import json
import sys

from pyspark.sql import SparkSession

tables = json.load(sys.stdin)
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
    .config("spark.sql.shuffle.partitions", "2")
    .getOrCreate()
)
TYPES = {
    "text": "string", "JSON": "string", "flag": "boolean", "time": "timestamp", "number": "bigint",
    "list of texts": "array<string>",
}


def total(name, kind):
    if kind in ("text", "JSON"):
        return f"sum(octet_length({name}))"
    if kind == "list of texts":
        return f"sum(CASE WHEN {name} IS NOT NULL THEN size({name}) END)"
    if kind == "number":
        return f"sum({name})"
    if kind == "flag":
        return f"sum(int({name}))"
    return f"sum(unix_millis({name}))"


sums = {}
for table in tables:
    files = spark.read.option("mergeSchema", "true").parquet(f"{sys.argv[1]}/{table['folder']}")
    types = dict(files.dtypes)
    for name, kind in table["columns"]:
        if types[name] != TYPES[kind]:
            raise SystemExit(f"{table['name']}.{name} is {types[name]} and not {TYPES[kind]}")
    parts = [f"count({name}), coalesce({total(name, kind)}, 0)" for name, kind in table["columns"]]
    files.createOrReplaceTempView(table["name"])
    of_table = sums[table["name"]] = {name: {} for name, _ in table["columns"]}
    for dt, rows, *rest in spark.sql(f"SELECT dt, count(*), {', '.join(parts)} FROM {table['name']} GROUP BY dt").collect():
        for n, (name, _) in enumerate(table["columns"]):
            of_table[name][dt] = [rows, rest[2 * n], rest[2 * n + 1]]
json.dump(sums, sys.stdout)
