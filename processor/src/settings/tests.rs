use std::fs;

use super::*;

fn read(text: &str) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dial.toml");
    fs::write(&path, text).unwrap();
    Settings::read(Some(&path))
}

#[test]
fn what_is_printed_reads_back() {
    let settings = read("[stream]\nname = 'trail'\n[rules]\npaths = ['a']").unwrap();
    assert_eq!(settings.stream.name.as_deref(), Some("trail"));
    let printed = settings.to_toml().unwrap();
    assert_eq!(read(&printed).unwrap().to_toml().unwrap(), printed);
    assert_eq!(read("").unwrap().to_toml(), Settings::default().to_toml());
}

#[test]
fn a_missing_file_is_an_error_only_when_it_was_named() {
    let error = Settings::read(Some(Path::new("no/such.toml"))).unwrap_err();
    assert!(error.contains("no/such.toml"), "{error}");
}

#[test]
fn where_a_key_was_set_is_known_later() {
    let settings = read("\n[stream]\nname = 'trail'\n").unwrap();
    assert!(settings.place("stream.name").ends_with("dial.toml: line 3"), "{}", settings.place("stream.name"));
    assert!(settings.place("stream.read").ends_with("dial.toml: line 2"));
    assert!(settings.place("worker.id").ends_with("dial.toml"));
}

/// Small numbers that look random and are the same in every run.
fn numbers(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap_or_default() % below
    }
}

#[test]
fn whatever_stands_in_a_file_is_read_or_told() {
    let whole = include_str!("../../../docs/POLICY.md").split("```toml\n").skip(1);
    let whole: String = whole.filter_map(|rest| rest.split("```").next()).collect();
    assert!(Reader::read::<Settings>(String::new(), whole.clone(), []).told().is_none());
    let mut below = numbers(7);
    for _ in 0..150 {
        let mut text: Vec<char> = whole.chars().collect();
        for _ in 0..=below(3) {
            let (at, length) = (below(text.len()), below(12));
            let odd = ['"', '\'', '[', ']', '{', '=', '\n', '#', '.', '\u{0}', 'é'][below(11)];
            text.splice(at..(at + length).min(whole.len()).min(text.len()), [odd]);
        }
        let text: String = text.into_iter().collect();
        let mut reader = Reader::read::<Settings>("f".to_owned(), text.clone(), []);
        let settings: Settings = reader.value();
        reader.add(settings.faults());
        let is_toml = text.parse::<toml_edit::DocumentMut>().is_ok();
        assert!(is_toml || reader.told().is_some(), "{text}");
        let lines = text.lines().count() + 1;
        for said in reader.told().iter().flat_map(|told| told.lines()) {
            let line = said.split("line ").nth(1).and_then(|rest| rest.split(':').next()?.parse::<usize>().ok());
            assert!(line.is_none_or(|line| (1..=lines).contains(&line)), "{said}");
        }
    }
}
