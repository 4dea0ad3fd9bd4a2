//! What the lists of protocols of all members have in common. A client chooses how many it names, so no list is looked
//! through once for each name of another.

use std::collections::BTreeMap;

use crate::group::names::Text;
use crate::group::request::Protocol;

/// The names that are in every list, each with its first place in the first one; nothing, if there is no list.
pub(super) fn named_by_all<'a>(lists: impl IntoIterator<Item = &'a [Protocol]>) -> BTreeMap<&'a Text, usize> {
    let mut lists = lists.into_iter();
    let mut places = BTreeMap::new();
    for (place, protocol) in lists.next().unwrap_or_default().iter().enumerate() {
        places.entry(&protocol.name).or_insert(place);
    }
    for list in lists {
        // Taken out once, so that a name that is there twice stays there once.
        places = list.iter().filter_map(|protocol| places.remove_entry(&protocol.name)).collect();
    }
    places
}
