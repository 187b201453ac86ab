//! [`Place`]: what TheHive calls the alert or the case.

use crate::sink::Handle;

/// What TheHive calls the alert or the case, and how severe it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) severity: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Alert,
    Case,
}

impl Kind {
    /// Its word, in paths too.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::Alert => "alert",
            Kind::Case => "case",
        }
    }
}

impl Place {
    pub(super) fn of(handle: &Handle) -> Option<Place> {
        let mut parts = handle.0.splitn(3, '/');
        let kind = match parts.next()? {
            "alert" => Kind::Alert,
            "case" => Kind::Case,
            _ => return None,
        };
        let severity = parts.next()?.parse().ok()?;
        Some(Place { kind, id: parts.next().filter(|id| is_id(id))?.to_owned(), severity })
    }

    /// Whether it is this one.
    pub(super) fn is(&self, kind: Kind, id: &str) -> bool {
        self.kind == kind && self.id == id
    }

    /// The same place, of which it is known that it is as severe as this.
    pub(super) fn at_least(self, severity: u8) -> Place {
        Place { severity: self.severity.max(severity), ..self }
    }

    pub(super) fn handle(&self) -> Handle {
        Handle(format!("{}/{}/{}", self.kind.as_str(), self.severity, self.id))
    }
}

/// Whether it can be an id of TheHive's, such as `~40964304`: it becomes a part of a path.
pub(super) fn is_id(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '~' | '-' | '_');
    (1..=128).contains(&text.len()) && text.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_its_handle() {
        for kind in [Kind::Alert, Kind::Case] {
            let place = Place { kind, id: "~40964304".to_owned(), severity: 3 };
            assert_eq!(Place::of(&place.handle()), Some(place));
        }
        for odd in ["", "alert", "alert/3", "alert/3/", "alert/x/~1", "alert/3/../../user", "user/3/~1", "alert/3/a?b"]
        {
            assert_eq!(Place::of(&Handle(odd.to_owned())), None, "{odd}");
        }
    }
}
