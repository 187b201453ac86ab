//! What the settings name, files and URLs.

use crate::enrich::fetched::FetchedFile;
use crate::enrich::parts::Slot;
use crate::enrich::watched_file::WatchedFile;
use crate::settings::{Origin, Settings};

pub(super) type Origins = (Vec<(Slot, WatchedFile)>, Vec<(Slot, FetchedFile)>);

/// What the settings name, files and URLs.
pub(super) fn origins(settings: &Settings) -> Origins {
    let addresses = &settings.addresses;
    let named = [(Slot::Country, &addresses.country), (Slot::City, &addresses.city), (Slot::Asn, &addresses.asn)];
    let mut files: Vec<(Slot, WatchedFile)> =
        named.into_iter().filter_map(|(slot, path)| Some((slot, WatchedFile::new(path.clone()?)))).collect();
    for (at, list) in addresses.lists.iter().enumerate() {
        files.extend(list.file.clone().map(|path| (Slot::List(at), WatchedFile::new(path))));
    }
    let mut fetched = Vec::new();
    for (slot, text) in [(Slot::AwsRanges, &addresses.aws_ranges), (Slot::TorExits, &addresses.tor_exits)] {
        // What is neither was told when the settings were read.
        match text.as_deref().map(Origin::parse) {
            Some(Ok(Origin::File(path))) => files.push((slot, WatchedFile::new(path))),
            Some(Ok(Origin::Url(url))) => {
                fetched.push((slot, FetchedFile::new(url, &settings.data.folder, slot.file_name())));
            }
            _ => {}
        }
    }
    (files, fetched)
}
