//! What a match costs in a window of 1,000, 10,000 and 100,000: the time for each must stay the same.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use dial_rules::correlation::{CorrelationMatch, GroupKey, bucket_of, evaluate};
use dial_rules::ruleset::{RuleFile, RuleSet};

const BASES: &str = "title: A\nid: a\nlogsource: {product: aws}\ndetection: {s: {eventName: A}, condition: s}\n---\n\
                     title: B\nid: b\nlogsource: {product: aws}\ndetection: {s: {eventName: B}, condition: s}\n---\n";

/// A correlation over a day.
fn rules(section: &str) -> RuleSet {
    let text = format!("{BASES}title: C\nid: c\ncorrelation: {{rules: [a, b], timespan: 1d, {section}}}\n");
    let loaded = RuleSet::load(&[RuleFile { name: "c.yml".into(), text }]);
    assert_eq!(loaded.problems, []);
    loaded.rules
}

/// So many matches within one window and one bucket, both rules by turns, four a second.
fn burst(count: usize, same_event: bool) -> Vec<CorrelationMatch> {
    let one = |at: usize| CorrelationMatch {
        event_time: 1_767_225_600_000 + (at as i64 / 4) * 1000,
        event_id: format!("{:08}-0000-4000-8000-000000000000", if same_event { at / 2 } else { at }),
        event_name: "GetObject".into(),
        event_source: "s3.amazonaws.com".into(),
        rule_id: if at.is_multiple_of(2) { "a".into() } else { "b".into() },
        values: [format!("v{}", at % 50)].into(),
        ..CorrelationMatch::default()
    };
    (0..count).map(one).collect()
}

fn bench(c: &mut Criterion) {
    let kinds = [
        ("event_count", "type: event_count, condition: {gte: 100}", false),
        ("value_count", "type: value_count, condition: {gte: 20, field: x}", false),
        ("temporal", "type: temporal", false),
        ("temporal_ordered", "type: temporal_ordered", false),
        // Each event satisfies both rules, and may stand once in a chain.
        ("temporal_ordered, events used twice", "type: temporal_ordered", true),
    ];
    for (name, section, same_event) in kinds {
        let rules = rules(section);
        let correlation = rules.correlations().get("c").expect("it is there");
        let mut group = c.benchmark_group(format!("correlation of a burst/{name}"));
        for count in [1_000, 10_000, 100_000] {
            let matches = burst(count, same_event);
            let bucket = bucket_of(matches[0].event_time, correlation.timespan);
            group.throughput(Throughput::Elements(count as u64)).sample_size(10);
            group.bench_function(count.to_string(), |b| {
                let evaluate = |matches: &Vec<CorrelationMatch>| {
                    let evaluated = evaluate(correlation, &GroupKey::default(), matches, [bucket]);
                    assert_eq!(evaluated.len(), 1);
                    black_box(evaluated[0].finding.event_count)
                };
                b.iter_batched_ref(|| matches.clone(), |matches| evaluate(matches), BatchSize::LargeInput);
            });
        }
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
