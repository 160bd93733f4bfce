//! What is shipped for operators fits the program: each number that a rule or a picture asks for is one that the program counts.

use std::collections::BTreeSet;

use server::telemetry::metrics::{ALL, Kind};

const RULES: &str = include_str!("../deploy/prometheus/alerts.yml");
const SCRAPE: &str = include_str!("../deploy/prometheus/prometheus.yml");
const PICTURES: &str = include_str!("../deploy/grafana/millrace.json");
const GUIDE: &str = include_str!("../docs/operating.md");

/// Names of numbers in a text: words of ours.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("millrace_") || word.starts_with("process_")).collect()
}

fn is_known(name: &str) -> bool {
    let histogram = |base: &str| ALL.iter().any(|(known, kind, _)| *known == base && *kind == Kind::Histogram);
    ALL.iter().any(|(known, kind, _)| *known == name && *kind != Kind::Histogram)
        || ["_bucket", "_sum", "_count"].iter().any(|end| name.strip_suffix(end).is_some_and(histogram))
}

#[test]
fn rules_and_pictures_ask_for_numbers_that_there_are() {
    for (file, text) in [("alerts.yml", RULES), ("millrace.json", PICTURES)] {
        let unknown: Vec<_> = names(text).into_iter().filter(|name| !is_known(name)).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
    let missing: Vec<_> = ALL.iter().filter(|(name, ..)| !GUIDE.contains(name)).map(|(name, ..)| name).collect();
    assert!(missing.is_empty(), "docs/operating.md does not name {missing:?}");
}

#[test]
fn the_pictures_are_whole() {
    let dashboard: serde_json::Value = serde_json::from_str(PICTURES).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
    assert!(ids.len() == panels.len() && panels.iter().all(|panel| panel["targets"][0]["expr"].is_string()));
}

/// The part of YAML that the files use: two blanks a level, `key: value`, `- ` for a list. Whatever else would be a slip.
#[test]
fn the_rules_are_whole() {
    for (file, text) in [("alerts.yml", RULES), ("prometheus.yml", SCRAPE)] {
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.is_empty()) {
            let indent = line.len() - line.trim_start().len();
            let rest = line.trim_start().trim_start_matches("- ");
            assert!(indent % 2 == 0 && !line.contains('\t') && !line.ends_with(' '), "{file}: {line}");
            let item = line.trim_start().starts_with("- ") && !rest.contains(": ") && !rest.ends_with(':');
            assert!(item || rest.contains(": ") || rest.ends_with(':'), "{file}: {line}");
            let value = rest.split_once(": ").map_or("", |(_, value)| value);
            // A text that would be something else in YAML stands in quotes.
            assert!(value.starts_with('"') == value.ends_with('"') || value.starts_with('['), "{file}: {line}");
            assert!(
                value.starts_with(['"', '[']) || !value.contains(": ") && !value.contains(" #") && !value.starts_with(['{', '&', '*', '%']),
                "{file}: {line}"
            );
        }
    }
    let rules: Vec<&str> = RULES.split("- alert: ").skip(1).collect();
    assert!(rules.len() >= 8);
    for rule in &rules {
        for part in ["\n        expr: ", "\n          severity: ", "\n          summary: ", "\n          what_to_do: "] {
            assert_eq!(rule.matches(part).count(), 1, "{part:?} in {rule}");
        }
        let expression = rule.split_once("expr: ").and_then(|(_, rest)| rest.lines().next()).expect("an expression");
        for (open, close) in [('(', ')'), ('{', '}'), ('[', ']')] {
            assert_eq!(expression.matches(open).count(), expression.matches(close).count(), "{expression}");
        }
    }
    let distinct: BTreeSet<_> = rules.iter().filter_map(|rule| rule.lines().next()).collect();
    assert_eq!(distinct.len(), rules.len());
}
