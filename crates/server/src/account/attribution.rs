//! Whose fetch it was: from the members that hold what was fetched, and what is known of the connection. Where that leaves
//! several groups, all of them may have got the records; nothing is guessed. Pure.

use std::sync::Arc;

use tallymq_broker::group::GroupId;
use tallymq_model::Timestamp;

use super::{doubt::Doubt, owners::Owner};

/// How long a connection reads what nobody holds until it is clear that it is no member's that was put out.
const ALONE_AFTER_MS: i64 = 5_000;

/// Whom a connection belongs to, as far as it has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Binding {
    /// Nobody knows.
    #[default]
    Free,
    /// It began with a fetch of what no member held that it could be, then. A member may do so for a moment, until it hears that
    /// it was put out.
    Strange(Timestamp),
    /// It went on like that: it reads without a group.
    Alone,
    /// It once fetched as a member, of what none that it could be holds any more.
    Loose,
    /// It fetched what only this group's member can have fetched: a consumer instance has one group.
    Fetches(GroupId),
    /// It spoke as a member of this group.
    Speaks(GroupId),
    /// It spoke for several groups: there is more than one consumer behind it.
    Many,
}

/// Whose the records are that a fetch got from one partition.
#[derive(Clone, Debug)]
pub enum ToWhom {
    /// This member's.
    Exact(Arc<Owner>),
    /// This member's, unless another connection that fetches as the same one is its.
    Doubtful(Arc<Owner>, Doubt),
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
            _ => *self = Binding::Speaks(group.into()),
        }
    }

    /// Whether nobody knows yet if it reads without a group.
    pub fn is_open(&self) -> bool {
        matches!(self, Binding::Free | Binding::Strange(_))
    }

    /// It asks for partitions; `held` if any is held by a member that it may belong to. A member's client asks for nothing
    /// before it holds something.
    pub fn asked(&mut self, held: bool, now: Timestamp) {
        match *self {
            Binding::Free if !held => *self = Binding::Strange(now),
            Binding::Strange(_) if held => *self = Binding::Loose,
            Binding::Strange(since) if now.0.saturating_sub(since.0) >= ALONE_AFTER_MS => {
                *self = Binding::Alone
            }
            _ => {}
        }
    }

    /// Whether it belongs to this group beyond doubt.
    pub fn is_certain(&self, group: &GroupId) -> bool {
        matches!(self, Binding::Speaks(known) if known == group)
    }
}

impl ToWhom {
    /// The same without members of groups that are gone. Who is left is no more certain by that: the fetch may have been a member's
    /// that is gone.
    pub fn without_gone(self, is_gone: impl Fn(&GroupId) -> bool) -> ToWhom {
        match self {
            ToWhom::Exact(owner) | ToWhom::Doubtful(owner, _) if is_gone(&owner.group) => ToWhom::Nobody,
            ToWhom::Possible(mut owners) => {
                owners.retain(|owner| !is_gone(&owner.group));
                if owners.is_empty() { ToWhom::Nobody } else { ToWhom::Possible(owners) }
            }
            ToWhom::Exact(_) | ToWhom::Doubtful(..) | ToWhom::Nobody => self,
        }
    }
}

/// Decides for all partitions of one fetch, given the holders that fit each (at most one of a group), and learns from it.
pub fn attribute(candidates: Vec<Vec<Arc<Owner>>>, binding: &mut Binding) -> Vec<ToWhom> {
    if let Binding::Fetches(group) = binding
        && !candidates.iter().flatten().any(|owner| owner.group == *group)
    {
        *binding = Binding::Loose;
    }
    if matches!(binding, Binding::Free | Binding::Strange(_) | Binding::Loose)
        && let Some([only]) = candidates.iter().map(Vec::as_slice).find(|fitting| fitting.len() == 1)
    {
        *binding = Binding::Fetches(only.group.clone());
    }
    candidates.into_iter().map(|fitting| one(fitting, binding)).collect()
}

/// Where who held what when the fetch came is not known any more: nobody's for certain.
pub fn uncertain(candidates: Vec<Vec<Arc<Owner>>>) -> Vec<ToWhom> {
    let one = |fitting: Vec<_>| if fitting.is_empty() { ToWhom::Nobody } else { ToWhom::Possible(fitting) };
    candidates.into_iter().map(one).collect()
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
        Binding::Alone => ToWhom::Possible(fitting),
        _ if fitting.len() == 1 => ToWhom::Exact(fitting.swap_remove(0)),
        _ => ToWhom::Possible(fitting),
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
        attribute(candidates.collect(), binding).iter().map(said).collect()
    }

    fn said(to_whom: &ToWhom) -> String {
        match to_whom {
            ToWhom::Exact(owner) => format!("={}", owner.group),
            ToWhom::Possible(owners) => owners.iter().map(|owner| format!("?{}", owner.group)).collect(),
            ToWhom::Doubtful(owner, _) => format!("!{}", owner.group),
            ToWhom::Nobody => "-".to_owned(),
        }
    }

    #[test]
    fn nothing_is_a_groups_that_is_gone_and_what_was_not_certain_does_not_become_so() {
        let doubtful = |group| ToWhom::Doubtful(owner(group), Doubt::new(Vec::new(), 0));
        let possible = |groups: &[&str]| ToWhom::Possible(groups.iter().map(|group| owner(group)).collect());
        let all = [
            ToWhom::Exact(owner("gone")),
            ToWhom::Exact(owner("g")),
            doubtful("gone"),
            doubtful("g"),
            possible(&["gone"]),
            possible(&["gone", "g"]),
            ToWhom::Nobody,
        ];
        let left = all.map(|one| said(&one.without_gone(|group| group.as_str() == "gone")));
        assert_eq!(left, ["-", "=g", "-", "!g", "-", "?g", "-"]);
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
        binding.asked(false, Timestamp(0));
        binding.asked(false, Timestamp(ALONE_AFTER_MS));
        assert_eq!(fetch(&[&["g"]], &mut binding), ["=g"], "it comes back: it was a consumer's before");
    }

    #[test]
    fn a_connection_that_read_before_anybody_held_anything_is_nobodys_for_certain() {
        let mut binding = Binding::Free;
        binding.asked(false, Timestamp(1));
        assert_eq!(fetch(&[&[]], &mut binding), ["-"]);
        binding.asked(false, Timestamp(1 + ALONE_AFTER_MS));
        assert_eq!(fetch(&[&["g"], &["g", "h"]], &mut binding), ["?g", "?g?h"]);
        binding.spoke("g");
        assert_eq!(fetch(&[&["g"]], &mut binding), ["=g"]);
        let mut members = Binding::Free;
        members.asked(true, Timestamp(1));
        members.asked(false, Timestamp(1 + ALONE_AFTER_MS));
        assert_eq!(fetch(&[&["g"]], &mut members), ["=g"]);
    }

    #[test]
    fn a_member_that_was_put_out_and_has_not_heard_of_it_is_no_reader_without_a_group() {
        let mut binding = Binding::Free;
        binding.asked(false, Timestamp(1));
        binding.asked(false, Timestamp(1_000));
        binding.asked(true, Timestamp(4_000));
        binding.asked(false, Timestamp(10_000));
        assert_eq!(fetch(&[&["g"]], &mut binding), ["=g"]);
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
