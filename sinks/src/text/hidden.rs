//! Characters that nobody sees, or that change how others are shown.

/// Whether nobody sees it, or it changes how others are shown: controls, Unicode's `Default_Ignorable_Code_Point`
/// (zero-width ones, fillers, tags, the controls of direction of Unicode Standard Annex 9), separators of lines and
/// paragraphs, interlinear annotations, private use.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}')
}

/// The text as one line without anything hidden: what breaks lines or indents is a space, and of the rest one `�` stands for
/// each run.
pub(super) fn visible(text: &str) -> Vec<char> {
    let mut shown: Vec<char> = Vec::with_capacity(text.len());
    for c in text.chars() {
        let c = match c {
            '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
            // The form of an emoji: nothing is lost with it.
            '\u{fe0e}' | '\u{fe0f}' => continue,
            c if is_hidden(c) => char::REPLACEMENT_CHARACTER,
            // Spaces of other widths, which make one word look like two.
            c if c.is_whitespace() => ' ',
            c => c,
        };
        if !(matches!(c, ' ' | char::REPLACEMENT_CHARACTER) && shown.last() == Some(&c)) {
            shown.push(c);
        }
    }
    while shown.last() == Some(&' ') {
        shown.pop();
    }
    if shown.first() == Some(&' ') {
        shown.remove(0);
    }
    shown
}
