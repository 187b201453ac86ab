//! The text of a settings file, as people's editors leave it.

use std::fs;
use std::path::Path;

/// The text of a file; `None` when there is none and it need not be there.
///
/// # Errors
/// Names the file, and what it is instead of text.
pub(super) fn read(path: &Path, must_exist: bool) -> Result<Option<String>, String> {
    let wrong = |why: &str| Err(format!("the settings file {} cannot be read: {why}", path.display()));
    if path.is_dir() {
        return wrong("it is a folder; name the file in it");
    }
    match fs::read(path) {
        Ok(bytes) => text(bytes).map(Some).or_else(|why| wrong(&why)),
        Err(error) if !must_exist && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => wrong(&error.to_string()),
    }
}

/// The bytes as text, or why they are none. A byte order mark is kept: TOML has a place for it.
fn text(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err("it is UTF-16: save it as UTF-8".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let line = 1 + bytes[..good].iter().filter(|byte| **byte == b'\n').count();
        format!("line {line}: the byte 0x{:02x} is not UTF-8: save the file as UTF-8", bytes[good])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_named_by_what_it_is() {
        assert_eq!(text(b"\xef\xbb\xbfa = 1\r\n".to_vec()).unwrap(), "\u{feff}a = 1\r\n");
        assert!(text(b"\xff\xfea\0".to_vec()).unwrap_err().contains("UTF-16"));
        assert_eq!(
            text(b"a = 1\n\nb = 'caf\xe9'\n".to_vec()).unwrap_err(),
            "line 3: the byte 0xe9 is not UTF-8: save the file as UTF-8"
        );
        assert!(text(b"\x1f\x8b\x08".to_vec()).unwrap_err().contains("line 1: the byte 0x8b"));
    }
}
