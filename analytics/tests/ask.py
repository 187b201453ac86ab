# Runs statements in DuckDB, then prints the rows of a query as a JSON list of objects. Standard input: {"statements", "query"}.
import json
import sys

import duckdb

asked = json.load(sys.stdin)
db = duckdb.connect()
for statement in asked["statements"]:
    db.execute(statement)
rows = db.execute(asked["query"])
names = [column[0] for column in rows.description]
print(json.dumps([dict(zip(names, row)) for row in rows.fetchall()], default=str))
