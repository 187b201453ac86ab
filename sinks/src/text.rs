//! Texts from events, made inert: whatever shows them shows the text, and nothing else comes of it. Pure.
//!
//! An event's texts are chosen by whoever made the call, so any of them may be an attack on whoever reads the alert: a
//! mention that wakes a channel, a link that claims to lead to the console, a name that runs from right to left, a line
//! break that starts a line of log.
//!
//! What nobody can see is the same everywhere: it becomes `�`, so that a reader knows that something was there. What steers
//! is different in each [`Medium`]. Lengths are counted in UTF-16 units, which is the most that any destination counts for a
//! character, and of what comes out, escapes included.

mod address;
mod hidden;
mod medium;

pub use self::address::https_address;
pub use self::hidden::is_hidden;
pub use self::medium::Medium;

/// Stands for what was cut off.
const MORE: &str = "…";

/// A text as one line, at most `most` units long.
pub fn inert(text: &str, medium: Medium, most: usize) -> String {
    let clean: Vec<char> = hidden::visible(text);
    let mut out = Cut::new(medium, most);
    out.push_all(&clean);
    out.finish()
}

/// Whether nothing of a text is left in any medium: it has only blanks, and what is dropped without a trace.
pub fn is_blank(text: &str) -> bool {
    hidden::visible(text).is_empty()
}

/// A text with its paragraphs, at most `most` units long. Lines without anything in them are left out.
pub fn paragraphs(text: &str, medium: Medium, most: usize) -> String {
    let mut out = String::new();
    let mut left = most;
    for line in text.lines().filter(|line| !is_blank(line)) {
        let between = if out.is_empty() { "" } else { medium.line_break() };
        let Some(room) = left.checked_sub(units(between)).filter(|room| *room > 0) else { break };
        let shown = inert(line.trim(), medium, room);
        if shown.is_empty() {
            break;
        }
        left = room - units(&shown).min(room);
        out.push_str(between);
        out.push_str(&shown);
    }
    out
}

/// How long a text is, in UTF-16 units.
pub fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Escaped text that stops before it is too long, and never within an escape.
struct Cut {
    medium: Medium,
    out: String,
    left: usize,
    /// Where `out` ended when there was still room for [`MORE`].
    fits: Option<usize>,
    is_cut: bool,
}

impl Cut {
    fn new(medium: Medium, most: usize) -> Cut {
        let (before, after) = medium.fence();
        let left = most.saturating_sub(units(before) + units(after));
        let fits = (left >= units(MORE)).then_some(0);
        Cut { medium, out: String::new(), left, fits, is_cut: false }
    }

    fn push_all(&mut self, chars: &[char]) {
        let room_for_more = units(MORE);
        for at in 0..chars.len() {
            let piece = self.medium.piece(chars, at);
            let Some(left) = self.left.checked_sub(units(&piece)) else {
                self.out.truncate(self.fits.unwrap_or_default());
                while self.out.ends_with(|c| self.medium.needs_next(c)) {
                    self.out.pop();
                }
                self.is_cut = true;
                return;
            };
            self.out.push_str(&piece);
            self.left = left;
            if left >= room_for_more {
                self.fits = Some(self.out.len());
            }
        }
    }

    fn finish(self) -> String {
        let (before, after) = self.medium.fence();
        // Without room for anything nothing is said, not even that there was something.
        let more = if self.is_cut && self.fits.is_some() { MORE } else { "" };
        if self.out.is_empty() && more.is_empty() {
            return String::new();
        }
        format!("{before}{}{more}{after}", self.out)
    }
}

#[cfg(test)]
mod tests;
