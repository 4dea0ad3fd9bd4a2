//! Whose fetch it was: from the members that hold what was fetched, and what is known of the connection. Where that leaves
//! several groups, all of them may have got the records; nothing is guessed. Pure.

use std::sync::Arc;

use tallymq_broker::group::GroupId;

use super::owners::Owner;

/// Whom a connection belongs to, as far as it has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Binding {
    /// Nobody knows.
    #[default]
    Free,
    /// It fetched what only this group's member can have fetched: a consumer instance has one group.
    Fetches(GroupId),
    /// It spoke as a member of this group.
    Speaks(GroupId),
    /// It spoke for several groups: there is more than one consumer behind it.
    Many,
}

/// Whose the records are that a fetch got from one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToWhom {
    /// This member's.
    Exact(Arc<Owner>),
    /// One of these got them, but which is not known. Never empty.
    Possible(Vec<Arc<Owner>>),
    /// No member's that holds the partition.
    Nobody,
}

impl Binding {
    /// The connection spoke as a member of a group.
    pub fn spoke(&mut self, group: &str) {
        match self {
            Binding::Speaks(known) if known.as_str() != group => *self = Binding::Many,
            Binding::Speaks(_) | Binding::Many => {}
            Binding::Free | Binding::Fetches(_) => *self = Binding::Speaks(group.into()),
        }
    }
}

/// Decides for all partitions of one fetch, given the holders that fit each (at most one of a group), and learns from it.
pub fn attribute(candidates: Vec<Vec<Arc<Owner>>>, binding: &mut Binding) -> Vec<ToWhom> {
    if let Binding::Fetches(group) = binding
        && !candidates.iter().flatten().any(|owner| owner.group == *group)
    {
        *binding = Binding::Free;
    }
    if *binding == Binding::Free
        && let Some([only]) = candidates.iter().map(Vec::as_slice).find(|fitting| fitting.len() == 1)
    {
        *binding = Binding::Fetches(only.group.clone());
    }
    candidates.into_iter().map(|fitting| one(fitting, binding)).collect()
}

fn one(mut fitting: Vec<Arc<Owner>>, binding: &Binding) -> ToWhom {
    if fitting.is_empty() {
        return ToWhom::Nobody;
    }
    let of = |group: &GroupId| fitting.iter().position(|owner| owner.group == *group);
    match binding {
        Binding::Speaks(group) => match of(group) {
            Some(at) => ToWhom::Exact(fitting.swap_remove(at)),
            None => ToWhom::Nobody,
        },
        Binding::Fetches(group) => match of(group) {
            Some(at) => ToWhom::Exact(fitting.swap_remove(at)),
            None => ToWhom::Possible(fitting),
        },
        Binding::Free | Binding::Many if fitting.len() == 1 => ToWhom::Exact(fitting.swap_remove(0)),
        Binding::Free | Binding::Many => ToWhom::Possible(fitting),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(group: &str) -> Arc<Owner> {
        Arc::new(Owner { group: group.into(), member: "m".into(), client_id: "c".into(), host: None })
    }

    fn fetch(partitions: &[&[&str]], binding: &mut Binding) -> Vec<String> {
        let candidates = partitions.iter().map(|groups| groups.iter().map(|group| owner(group)).collect());
        let said = attribute(candidates.collect(), binding);
        said.iter()
            .map(|to_whom| match to_whom {
                ToWhom::Exact(owner) => format!("={}", owner.group),
                ToWhom::Possible(owners) => {
                    owners.iter().map(|owner| format!("?{}", owner.group)).collect::<String>()
                }
                ToWhom::Nobody => "-".to_owned(),
            })
            .collect()
    }

    #[test]
    fn one_group_that_fits_is_it_and_two_may_be_it() {
        let mut binding = Binding::Free;
        assert_eq!(fetch(&[&["g", "h"], &[]], &mut binding), ["?g?h", "-"]);
        assert_eq!(binding, Binding::Free);
        assert_eq!(fetch(&[&["g"]], &mut binding), ["=g"]);
        assert_eq!(fetch(&[&["g", "h"]], &mut binding), ["=g"], "a consumer has one group");
    }

    #[test]
    fn one_partition_that_only_one_group_has_tells_whose_the_others_are() {
        let mut binding = Binding::Free;
        assert_eq!(fetch(&[&["g", "h"], &["g"]], &mut binding), ["=g", "=g"]);
        assert_eq!(
            fetch(&[&["g", "h"], &["h"]], &mut binding),
            ["=g", "?h"],
            "h's record is g's only by mistake"
        );
    }

    #[test]
    fn a_binding_ends_with_the_last_partition_of_its_group() {
        let mut binding = Binding::Fetches("g".into());
        assert_eq!(fetch(&[&["h"]], &mut binding), ["=h"]);
        assert_eq!(binding, Binding::Fetches("h".into()));
        assert_eq!(fetch(&[&[]], &mut binding), ["-"]);
        assert_eq!(binding, Binding::Free);
    }

    #[test]
    fn a_connection_that_speaks_for_a_group_fetches_for_no_other() {
        let mut binding = Binding::Fetches("h".into());
        binding.spoke("g");
        assert_eq!(fetch(&[&["g", "h"], &["h"]], &mut binding), ["=g", "-"]);
        binding.spoke("h");
        assert_eq!(binding, Binding::Many);
        assert_eq!(fetch(&[&["g", "h"], &["h"]], &mut binding), ["?g?h", "=h"]);
    }
}
