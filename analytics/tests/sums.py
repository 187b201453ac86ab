# Sums each column of the archive's tables by day, as DuckDB or ministack's Athena reads it, and prints that as JSON.
# Arguments: `plain ROOT` (Hive-partitioned files as they lie), `views FILE` (statements for DuckDB, one a line as JSON), or
# `athena ENDPOINT DATABASE FILE` (statements for Athena). Standard input: the tables.
import json
import sys
import time

tables = json.load(sys.stdin)
how = sys.argv[1]


def total(name, kind):
    if kind in ("text", "JSON"):
        return f"sum(strlen({name}))"
    if kind == "list of texts":
        return f"sum(len({name}))"
    if kind == "number":
        return f"sum({name})"
    if kind == "flag":
        return f"sum(CASE WHEN {name} THEN 1 ELSE 0 END)"
    return f"sum(epoch_ms({name}))"


def query(table):
    parts = [f"count({name}), coalesce({total(name, kind)}, 0)" for name, kind in table["columns"]]
    return f"SELECT dt, count(*), {', '.join(parts)} FROM {table['name']} GROUP BY dt"


def duckdb_reader():
    import duckdb

    db = duckdb.connect()
    if how == "plain":
        for table in tables:
            files = f"{sys.argv[2]}/{table['folder']}/*/*.parquet"
            db.execute(
                f"CREATE VIEW {table['name']} AS SELECT * FROM read_parquet('{files}', hive_partitioning = true, "
                "hive_types_autocast = false, union_by_name = true)"
            )
    else:
        for line in open(sys.argv[2]):
            db.execute(json.loads(line))
    return lambda sql: db.execute(sql).fetchall()


def athena_reader():
    import botocore.session

    def client(service):
        made = botocore.session.get_session()
        return made.create_client(
            service, region_name="us-east-1", endpoint_url=sys.argv[2], aws_access_key_id="test", aws_secret_access_key="test"
        )

    athena, database = client("athena"), sys.argv[3]
    # Of ministack's Athena, CREATE DATABASE is none of its statements.
    client("glue").create_database(DatabaseInput={"Name": database})

    def run(sql):
        started = athena.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Database": database},
            ResultConfiguration={"OutputLocation": f"s3://{database.replace('_', '-')}-results/"},
        )["QueryExecutionId"]
        while True:
            status = athena.get_query_execution(QueryExecutionId=started)["QueryExecution"]["Status"]
            if status["State"] not in ("QUEUED", "RUNNING"):
                break
            time.sleep(0.05)
        if status["State"] != "SUCCEEDED":
            raise SystemExit(f"{status}\n{sql}")
        rows, token = [], {}
        while True:
            page = athena.get_query_results(QueryExecutionId=started, **token)
            rows += [[cell.get("VarCharValue") for cell in row["Data"]] for row in page["ResultSet"]["Rows"]]
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        return rows

    for line in open(sys.argv[4]):
        run(json.loads(line))
    # The first row is the header.
    return lambda sql: run(sql)[1:]


read = athena_reader() if how == "athena" else duckdb_reader()
sums = {}
for table in tables:
    of_table = sums[table["name"]] = {name: {} for name, _ in table["columns"]}
    for dt, rows, *rest in read(query(table)):
        for n, (name, _) in enumerate(table["columns"]):
            of_table[name][dt] = [int(rows), int(rest[2 * n]), int(rest[2 * n + 1])]
json.dump(sums, sys.stdout)
