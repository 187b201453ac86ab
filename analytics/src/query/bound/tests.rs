#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

const ARCHIVE: Archive<'_> =
    Archive { database: "trail", tables: &["events", "events_written", "events_distinct", "cloudtrail_logs"] };

fn judge(sql: &str) -> Result<(), Unbounded> {
    check(&Statement::parse(sql).unwrap(), ARCHIVE, "2024-05-01")
}

/// Queries that say of which days.
const BOUND: &[&str] = &[
    "SELECT count(*) FROM events WHERE dt = '2024-05-01'",
    "SELECT * FROM events WHERE dt >= '2024-05-01' LIMIT 10",
    "SELECT * FROM events WHERE '2024-05-01' <= dt",
    "SELECT * FROM events WHERE dt > '2024-05-01' AND dt < '2024-06-01'",
    "SELECT * FROM events WHERE dt BETWEEN '2024-05-01' AND '2024-05-31' AND event_name = 'x'",
    "SELECT * FROM events WHERE dt IN ('2024-05-01', '2024-05-02')",
    "SELECT * FROM events WHERE dt LIKE '2024-05-%'",
    "SELECT * FROM events WHERE (dt = '2024-05-01' OR dt = '2024-05-03') AND actor = 'a'",
    "SELECT * FROM events WHERE (dt = '2024-05-01' AND actor = 'a') OR (actor = 'b' AND dt IN ('2024-05-02'))",
    "SELECT * FROM events WHERE dt >= date_format(current_date - INTERVAL '7' DAY, '%Y-%m-%d')",
    "SELECT * FROM events WHERE dt >= CAST(date_add('day', -7, current_date) AS varchar)",
    "SELECT * FROM events WHERE \"dt\" = '2024-05-01'",
    "SELECT * FROM Events WHERE DT = '2024-05-01'",
    "SELECT * FROM trail.events WHERE trail.events.dt = '2024-05-01'",
    "SELECT * FROM awsdatacatalog.trail.events e WHERE e.dt = '2024-05-01'",
    "SELECT * FROM events e WHERE e.dt IS NOT DISTINCT FROM '2024-05-01'",
    // What is not the archive's is not our matter.
    "SELECT * FROM findings",
    "SELECT * FROM other.events",
    "SELECT 1",
    "VALUES (1, 2)",
    "SELECT * FROM \"events$partitions\"",
    // Plans and descriptions read nothing.
    "EXPLAIN SELECT * FROM events",
    "SHOW PARTITIONS events",
    "DESCRIBE events",
    // Joins.
    "SELECT * FROM events a JOIN events b ON a.actor = b.actor WHERE a.dt = '2024-05-01' AND b.dt = '2024-05-01'",
    "SELECT * FROM events a JOIN events b ON a.dt = b.dt AND a.actor = b.actor WHERE a.dt >= '2024-05-01'",
    "SELECT * FROM events a JOIN events b ON a.dt = b.dt JOIN events c ON (c.dt = b.dt) WHERE c.dt = '2024-05-01'",
    "SELECT * FROM events a JOIN events_written b USING (dt, event_id) WHERE dt = '2024-05-01'",
    "SELECT * FROM events a JOIN events b USING (\"dt\") INNER JOIN events c USING (dt) WHERE dt = '2024-05-01'",
    "SELECT * FROM (SELECT * FROM events WHERE dt = '2024-05-01') a FULL JOIN findings f USING (dt) WHERE dt > '2024-05-01'",
    "SELECT * FROM other.rows r JOIN events a ON a.dt = '2024-05-01' LEFT JOIN events b USING (dt)",
    "SELECT * FROM trail.events JOIN other.events ON a = b WHERE trail.events.dt = '2024-05-01'",
    "SELECT * FROM awsdatacatalog.trail.events, other.events WHERE Trail.Events.dt = '2024-05-01'",
    "SELECT * FROM events a LEFT JOIN events b ON a.id = b.id AND b.dt = '2024-05-01' WHERE a.dt = '2024-05-01'",
    "SELECT * FROM events a LEFT JOIN events b ON a.dt = b.dt WHERE a.dt = '2024-05-01'",
    "SELECT * FROM findings f RIGHT JOIN events b ON f.id = b.id WHERE b.dt = '2024-05-01'",
    "SELECT * FROM events a, events b WHERE a.dt = b.dt AND b.dt > '2024-05-01'",
    "SELECT * FROM events JOIN findings f ON f.id = event_id AND events.dt = '2024-05-01'",
    "SELECT * FROM (events a JOIN events b ON a.dt = b.dt) WHERE a.dt = '2024-05-01'",
    "SELECT arn FROM events CROSS JOIN UNNEST(resource_arns) AS t(arn) WHERE dt = '2024-05-01'",
    "SELECT * FROM UNNEST(sequence(1, 3)) AS t(n), (VALUES (1), (2)) AS v(m), events WHERE events.dt = '2024-05-01'",
    "SELECT * FROM events e CROSS JOIN LATERAL (SELECT e.actor AS a) t WHERE e.dt = '2024-05-01'",
    // Subqueries and WITH.
    "SELECT * FROM findings WHERE id IN (SELECT event_id FROM events WHERE dt = '2024-05-01')",
    "SELECT * FROM (SELECT dt, actor FROM events) WHERE dt = '2024-05-01'",
    "SELECT * FROM (SELECT * FROM events WHERE actor = 'a') t WHERE t.dt >= '2024-05-01'",
    "WITH x AS (SELECT * FROM events WHERE dt = '2024-05-01') SELECT * FROM x",
    "WITH x AS (SELECT dt, actor FROM events) SELECT actor FROM x WHERE dt = '2024-05-01'",
    "WITH x AS (SELECT * FROM events), y AS (SELECT * FROM x) SELECT * FROM y WHERE dt = '2024-05-01'",
    "WITH events AS (SELECT * FROM trail.events WHERE dt = '2024-05-01') SELECT * FROM events",
    "WITH events AS (SELECT * FROM events WHERE dt = '2024-05-01') SELECT * FROM events",
    "WITH unused AS (SELECT * FROM events) SELECT 1",
    "SELECT * FROM events WHERE dt = '2024-05-01' UNION ALL SELECT * FROM events_written WHERE dt = '2024-05-02'",
    // Trino's own.
    "SELECT CAST(json_extract(request_parameters, '$.a') AS array(row(name varchar))) FROM events WHERE dt = '2024-05-01'",
    "SELECT CAST(ROW(1, 'a') AS ROW(a bigint, b array(varchar(3)))), \"$path\" FROM events WHERE dt = '2024-05-01'",
    "SELECT * FROM events WHERE any_match(resource_arns, a -> a LIKE '%b') AND dt = '2024-05-01'",
    "SELECT TRY_CAST(actor AS bigint), count(*) FILTER (WHERE read_only) FROM events WHERE dt = '2024-05-01' GROUP BY 1",
    "SELECT approx_percentile(x, 0.5) OVER (PARTITION BY actor ORDER BY event_time ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM events WHERE dt = '2024-05-01'",
    "SELECT event_time AT TIME ZONE 'Europe/Berlin', TIMESTAMP '2024-05-01 00:00:00 UTC' FROM events WHERE dt = '2024-05-01' ORDER BY 1 OFFSET 5 ROWS FETCH FIRST 3 ROWS ONLY",
    "SELECT actor, grouping(actor) FROM events WHERE dt = '2024-05-01' GROUP BY GROUPING SETS ((actor), ()), ROLLUP (aws_region)",
    "SELECT x[1], m['a'], ARRAY[1, 2], MAP(ARRAY['a'], ARRAY[1]) FROM events TABLESAMPLE BERNOULLI (10) WHERE dt = '2024-05-01'",
];

/// Queries that do not, and the tables of which they do not.
const UNBOUND: &[(&str, &[&str])] = &[
    ("SELECT count(*) FROM events", &["events"]),
    ("SELECT * FROM trail.Events", &["trail.Events"]),
    ("SELECT * FROM events LIMIT 10", &["events"]),
    ("SELECT * FROM cloudtrail_logs WHERE eventname = 'x'", &["cloudtrail_logs"]),
    // The words are there, the bound is not.
    ("SELECT 'dt = 1' FROM events -- WHERE dt = '2024-05-01'", &["events"]),
    ("SELECT dt FROM events /* dt = '2024-05-01' */ GROUP BY dt", &["events"]),
    ("SELECT * FROM events WHERE actor = 'dt = ''2024-05-01'''", &["events"]),
    ("SELECT * FROM events WHERE dt <> '2024-05-01'", &["events"]),
    ("SELECT * FROM events WHERE dt < '2024-05-01'", &["events"]),
    ("SELECT * FROM events WHERE '2024-05-01' >= dt", &["events"]),
    ("SELECT * FROM events WHERE NOT dt = '2024-05-01'", &["events"]),
    ("SELECT * FROM events WHERE dt NOT IN ('2024-05-01')", &["events"]),
    ("SELECT * FROM events WHERE dt NOT BETWEEN '2024-05-01' AND '2024-05-02'", &["events"]),
    ("SELECT * FROM events WHERE dt IS NOT NULL", &["events"]),
    ("SELECT * FROM events WHERE dt = dt", &["events"]),
    ("SELECT * FROM events WHERE dt = CAST(event_time AS varchar)", &["events"]),
    ("SELECT * FROM events WHERE dt = (SELECT max(dt) FROM findings)", &["events"]),
    ("SELECT * FROM events WHERE dt IN (SELECT dt FROM findings)", &["events"]),
    ("SELECT * FROM events WHERE dt LIKE '%-05-01'", &["events"]),
    ("SELECT * FROM events WHERE dt LIKE '20%'", &["events"]),
    ("SELECT * FROM events WHERE dt = '2024-05-01' OR actor = 'a'", &["events"]),
    ("SELECT * FROM events WHERE actor = 'a' AND (aws_region = 'b' OR dt = '2024-05-01')", &["events"]),
    ("SELECT * FROM events WHERE substr(dt, 1, 7) = '2024-05'", &["events"]),
    ("SELECT count(*) FILTER (WHERE dt = '2024-05-01') FROM events", &["events"]),
    ("SELECT actor FROM events GROUP BY actor HAVING max(dt) = '2024-05-01'", &["events"]),
    ("EXPLAIN ANALYZE SELECT * FROM events", &["events"]),
    ("TABLE events", &["events"]),
    // One of two.
    ("SELECT * FROM events a JOIN events_written b ON a.id = b.id WHERE a.dt = '2024-05-01'", &["events_written"]),
    ("SELECT * FROM events a, events_written b WHERE dt = '2024-05-01'", &["events", "events_written"]),
    (
        "SELECT * FROM events_written a LEFT JOIN events b ON a.dt = b.dt AND a.dt = '2024-05-01'",
        &["events_written", "events"],
    ),
    ("SELECT * FROM events a LEFT JOIN events_written b ON a.dt = b.dt WHERE b.dt = '2024-05-01'", &["events"]),
    (
        "SELECT * FROM events a FULL JOIN events_written b ON a.dt = '2024-05-01' AND b.dt = '2024-05-01'",
        &["events", "events_written"],
    ),
    ("SELECT * FROM events WHERE dt = '2024-05-01' UNION SELECT * FROM events_written", &["events_written"]),
    ("SELECT * FROM events AS e(a, b, dt) WHERE dt = '2024-05-01'", &["events"]),
    // What is called `dt` after an outer join is neither's.
    (
        "SELECT * FROM events a LEFT JOIN events_written b USING (dt) WHERE dt = '2024-05-01'",
        &["events", "events_written"],
    ),
    (
        "SELECT * FROM events a RIGHT JOIN events_written b USING (dt) WHERE dt = '2024-05-01'",
        &["events", "events_written"],
    ),
    (
        "SELECT * FROM events a FULL JOIN events_written b USING (dt) WHERE dt = '2024-05-01'",
        &["events", "events_written"],
    ),
    (
        "SELECT * FROM events a NATURAL LEFT JOIN events_written b WHERE dt = '2024-05-01'",
        &["events", "events_written"],
    ),
    ("SELECT * FROM findings NATURAL LEFT JOIN events WHERE dt = '2024-05-01'", &["events"]),
    ("SELECT * FROM findings LEFT JOIN events USING (dt) WHERE dt = '2024-05-01'", &["events"]),
    ("SELECT * FROM findings RIGHT JOIN events USING (id, \"DT\") WHERE dt = '2024-05-01'", &["events"]),
    ("SELECT * FROM findings FULL JOIN events USING (dt) WHERE dt = '2024-05-01'", &["events"]),
    (
        "SELECT * FROM events a JOIN events b USING (dt) LEFT JOIN findings USING (dt) WHERE dt = '2024-05-01'",
        &["events"],
    ),
    (
        "SELECT * FROM events a JOIN (findings f FULL JOIN findings g USING (dt)) USING (dt) WHERE dt = '2024-05-01'",
        &["events"],
    ),
    (
        "SELECT * FROM other.rows r JOIN events a ON a.dt = '2024-05-01' JOIN findings USING (dt) JOIN events_written USING (dt)",
        &["events_written"],
    ),
    // Others of the same name.
    ("SELECT * FROM trail.events JOIN other.events ON a = b WHERE other.events.dt = '2024-05-01'", &["trail.events"]),
    ("SELECT * FROM events, other.events WHERE other.events.dt = '2024-05-01'", &["events"]),
    ("SELECT * FROM trail.events e, other.e WHERE other.e.dt = '2024-05-01'", &["trail.events"]),
    // Within.
    ("SELECT * FROM UNNEST(ARRAY[(SELECT count(*) FROM events)]) AS t(n)", &["events"]),
    (
        "SELECT * FROM findings MATCH_RECOGNIZE (MEASURES (SELECT count(*) FROM events) AS n PATTERN (a) DEFINE a AS true) AS m",
        &["events"],
    ),
    ("SELECT * FROM findings CROSS JOIN LATERAL (SELECT count(*) FROM events WHERE id = event_id) t", &["events"]),
    ("SELECT * FROM findings WHERE EXISTS (SELECT 1 FROM events WHERE event_id = id)", &["events"]),
    ("SELECT (SELECT count(*) FROM events) FROM findings", &["events"]),
    ("SELECT * FROM findings ORDER BY (SELECT count(*) FROM events)", &["events"]),
    ("SELECT * FROM findings f JOIN findings g ON f.id IN (SELECT event_id FROM events)", &["events"]),
    ("SELECT * FROM (SELECT actor FROM events) WHERE actor = 'a'", &["events"]),
    ("SELECT * FROM (SELECT dt FROM events LIMIT 5) WHERE dt = '2024-05-01'", &["events"]),
    ("SELECT * FROM (SELECT DISTINCT dt FROM events) WHERE dt = '2024-05-01'", &["events"]),
    ("SELECT * FROM (SELECT dt, count(*) FROM events GROUP BY dt) WHERE dt = '2024-05-01'", &["events"]),
    ("SELECT * FROM (SELECT max(event_time) AS dt FROM events) WHERE dt = '2024-05-01'", &["events"]),
    (
        "SELECT * FROM (SELECT *, row_number() OVER (ORDER BY event_time) FROM events) WHERE dt = '2024-05-01'",
        &["events"],
    ),
    ("SELECT * FROM (SELECT * FROM events UNION ALL SELECT * FROM events) WHERE dt = '2024-05-01'", &["events"]),
    ("WITH x AS (SELECT * FROM events) SELECT * FROM x", &["x"]),
    ("WITH x AS (SELECT actor FROM events) SELECT * FROM x", &["events"]),
    ("WITH x AS (SELECT * FROM events) SELECT * FROM x a JOIN x b ON a.id = b.id WHERE a.dt = '2024-05-01'", &["x"]),
    ("WITH events AS (SELECT * FROM events) SELECT count(*) FROM events", &["events"]),
    ("WITH x(a, dt) AS (SELECT actor, dt FROM events) SELECT * FROM x WHERE dt = '2024-05-01'", &["events"]),
];

#[test]
fn bound_queries_pass() {
    for sql in BOUND {
        assert_eq!(judge(sql), Ok(()), "{sql}");
    }
}

#[test]
fn others_are_told_and_what_is_suggested_instead_is_bound() {
    for (sql, named) in UNBOUND {
        let Err(Unbounded::Tables { tables, suggestion, .. }) = judge(sql) else { panic!("bound, or unread: {sql}") };
        assert_eq!(&tables, named, "{sql}");
        assert!(suggestion.contains("dt >= '2024-05-01'"), "{suggestion}");
        assert_eq!(judge(&suggestion), Ok(()), "{sql}\n→ {suggestion}");
    }
}

/// Taking out any one condition of a bound query never makes an unbound one bound: the judgement is monotone.
#[test]
fn a_bound_that_is_taken_out_is_missed() {
    let mut missed = 0;
    for sql in BOUND.iter().filter(|sql| sql.matches("dt").count() == 1) {
        let without = sql.replace("dt", "day");
        match judge(&without) {
            Err(Unbounded::Tables { .. }) => missed += 1,
            other => panic!("{other:?}: {without}"),
        }
    }
    assert!(missed >= 12, "{missed}");
}

#[test]
fn suggestions_keep_the_query_as_it_is() {
    let suggested = |sql: &str| match judge(sql) {
        Err(Unbounded::Tables { suggestion, .. }) => suggestion,
        other => panic!("{other:?}"),
    };
    for (sql, suggestion) in [
        ("SELECT count(*) FROM events", "SELECT count(*) FROM events WHERE dt >= '2024-05-01'"),
        ("select 1 from events where a or b", "SELECT 1 FROM events WHERE (a OR b) AND dt >= '2024-05-01'"),
        (
            "SELECT CAST(a AS array(row(b varchar))) FROM events",
            "SELECT CAST(a AS array(row(b varchar))) FROM events WHERE dt >= '2024-05-01'",
        ),
        (
            "SELECT 1 FROM findings f LEFT JOIN events e ON f.id = e.id",
            "SELECT\n  1\nFROM\n  findings f\n  LEFT JOIN (SELECT * FROM events e WHERE dt >= '2024-05-01') AS e ON f.id = e.id",
        ),
    ] {
        assert_eq!(suggested(sql), suggestion);
    }
}

#[test]
fn an_upper_bound_alone_is_told_apart() {
    let only_above = |sql: &str| match judge(sql) {
        Err(Unbounded::Tables { only_above, .. }) => only_above,
        other => panic!("{other:?}"),
    };
    assert!(only_above("SELECT 1 FROM events WHERE dt <= '2024-05-01'"));
    assert!(!only_above("SELECT 1 FROM events"));
}

#[test]
fn an_outer_join_that_merges_days_is_told_apart() {
    let coalesced = |sql: &str| match judge(sql) {
        Err(Unbounded::Tables { coalesced, .. }) => coalesced,
        other => panic!("{other:?}"),
    };
    assert!(coalesced("SELECT 1 FROM events a LEFT JOIN events b USING (dt) WHERE dt = '2024-05-01'"));
    assert!(!coalesced("SELECT 1 FROM events a LEFT JOIN events b ON a.dt = b.dt"));
    assert!(!coalesced("SELECT 1 FROM events a JOIN events b USING (dt)"));
}

/// Table functions take tables in words of their own.
#[test]
fn what_reads_from_the_unknown_is_not_bound() {
    for sql in [
        "SELECT * FROM TABLE(exclude_columns(input => TABLE(events), columns => DESCRIPTOR(raw)))",
        "SELECT * FROM TABLE(f(input => TABLE(events)))",
        "SELECT * FROM TABLE(f(TABLE(trail.events)))",
        "SELECT * FROM TABLE(f(input => TABLE(SELECT * FROM events)))",
        "SELECT * FROM findings, TABLE(f(TABLE(events))) AS t WHERE dt = '2024-05-01'",
        "SELECT * FROM findings JOIN LATERAL f(events) ON true",
        "SELECT * FROM f(events)",
        "WITH x AS (SELECT * FROM TABLE(f(TABLE(events)))) SELECT * FROM x WHERE dt = '2024-05-01'",
        "SELECT (SELECT count(*) FROM TABLE(f(TABLE(events)))) FROM events WHERE dt = '2024-05-01'",
    ] {
        let Err(Unbounded::Unreadable(error)) = judge(sql) else { panic!("{sql}: {:?}", judge(sql)) };
        assert!(!error.is_empty(), "{sql}");
    }
    let told = judge("SELECT * FROM TABLE(f(TABLE(events)))");
    assert_eq!(told, Err(Unbounded::Unreadable("nobody knows what `TABLE(f(TABLE(events)))` reads".to_owned())));
}

#[test]
fn what_cannot_be_parsed_is_not_bound() {
    for sql in ["SELECT FROM WHERE", "SELECT * FROM events WHERE dt = '2024-05-01' GARBAGE HERE", "SELECT (((1)"] {
        let Err(Unbounded::Unreadable(error)) = judge(sql) else { panic!("{sql}") };
        assert!(!error.is_empty());
    }
}

#[test]
fn deep_queries_do_not_overflow() {
    let chain = " OR dt = '2024-05-01'".repeat(499);
    assert_eq!(judge(&format!("SELECT 1 FROM events WHERE dt = '2024-05-01'{chain}")), Ok(()));
    let unions = " UNION ALL SELECT 1 FROM events WHERE dt = '2024-05-01'".repeat(499);
    assert_eq!(judge(&format!("SELECT 1{unions}")), Ok(()));
    let nested = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(matches!(judge(&nested), Err(Unbounded::Unreadable(_))));
}
