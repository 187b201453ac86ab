//! Bytes as people look at them: in hexadecimal, with what of them is plain ASCII beside it. Pure.

use std::fmt::Write as _;

/// How many bytes a line has.
const LINE: usize = 16;

/// Where the window around a byte lies among `length` bytes: whole lines, `lines` of them before that of the byte and as
/// many behind it.
pub(super) fn window(length: usize, fault: usize, lines: usize) -> std::ops::Range<usize> {
    let line = fault.min(length) / LINE;
    let from = line.saturating_sub(lines) * LINE;
    let to = line.saturating_add(lines + 1).saturating_mul(LINE);
    from..to.min(length)
}

/// The bytes of a window line by line, the one at `fault` in brackets; with `fault` behind the last byte, what is missing
/// is. Lines are numbered from `offset`, the number of the first of all bytes. Nothing but ASCII comes out.
pub(super) fn view(bytes: &[u8], window: std::ops::Range<usize>, fault: usize, offset: u64) -> Vec<String> {
    let fault = fault.min(bytes.len());
    let mut starts: Vec<usize> = window.clone().step_by(LINE).collect();
    // What is missing behind a line that is full, or behind nothing.
    if fault == window.end && fault.is_multiple_of(LINE) {
        starts.push(fault);
    }
    starts.into_iter().map(|start| line(bytes, start..(start + LINE).min(window.end), fault, offset)).collect()
}

fn line(bytes: &[u8], range: std::ops::Range<usize>, fault: usize, offset: u64) -> String {
    let (mut hex, mut text) = (String::new(), String::new());
    for at in range.start..range.start + LINE {
        let mark = if at == fault {
            '['
        } else if at > range.start && at - 1 == fault {
            ']'
        } else {
            ' '
        };
        hex.push(mark);
        match bytes.get(at).filter(|_| range.contains(&at)) {
            Some(byte) => {
                // Writing to a string cannot fail.
                let _ = write!(hex, "{byte:02x}");
                text.push(if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' });
            }
            None => hex.push_str("  "),
        }
    }
    hex.push(if fault == range.start + LINE - 1 { ']' } else { ' ' });
    let number = offset.saturating_add(range.start as u64);
    let pointer = if (range.start..range.start + LINE).contains(&fault) { '>' } else { ' ' };
    format!("{pointer} {number:08x} {hex} |{text}|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_fault_is_marked_where_it_is() {
        let bytes = b"{\"eventID\":\"a\x1b[31m\",}\n".as_slice();
        let shown = view(bytes, window(bytes.len(), 20, 8), 20, 0x100);
        assert_eq!(
            shown,
            [
                "  00000100  7b 22 65 76 65 6e 74 49 44 22 3a 22 61 1b 5b 33  |{\"eventID\":\"a.[3|",
                "> 00000110  31 6d 22 2c[7d]0a                                |1m\",}.|",
            ]
        );
        // In the last column, and behind the last byte, where something is missing.
        assert!(view(bytes, 0..16, 15, 0)[0].contains(" 5b[33] |"));
        assert!(view(b"{\"a\":", 0..5, 5, 0)[0].contains(" 3a[  ]"), "{:?}", view(b"{\"a\":", 0..5, 5, 0));
        assert_eq!(view(&[b'a'; 16], 0..16, 16, 0).len(), 2);
        assert_eq!(view(b"", 0..0, 0, 0).len(), 1);
    }

    #[test]
    fn a_window_is_bounded_and_has_its_fault() {
        assert_eq!(window(1_000_000, 500_000, 8), 499_872..500_144);
        assert_eq!(window(40, 3, 8), 0..40);
        assert_eq!(window(40, usize::MAX, 8), 0..40);
        assert_eq!(window(0, 0, 8), 0..0);
    }

    proptest! {
        #[test]
        fn nothing_but_ascii_comes_out_and_one_byte_is_marked(
            bytes in proptest::collection::vec(any::<u8>(), 0..700), fault in 0usize..800, lines in 0usize..10, offset: u64,
        ) {
            let shown = view(&bytes, window(bytes.len(), fault, lines), fault, offset);
            prop_assert!(shown.len() <= 2 * lines + 2);
            prop_assert!(shown.iter().all(|line| line.chars().all(|c| c == ' ' || c.is_ascii_graphic())));
            prop_assert_eq!(shown.iter().filter(|line| line.starts_with('>')).count(), 1);
            let hex = |line: &String| line.split('|').next().unwrap().matches('[').count();
            prop_assert_eq!(shown.iter().map(hex).sum::<usize>(), 1);
        }
    }
}
