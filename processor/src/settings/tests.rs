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
