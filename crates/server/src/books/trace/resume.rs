//! Where a search has ended, as text that a later question brings back: which phase, whether something was found in it, and below
//! which offset each of its partitions is still to be looked at. Pure.
//!
//! ```text
//! 0:1742,-,88      phase 0, nothing found so far; partition by partition: below that offset, or done
//! 1+:5             phase 1, and something was found
//! ```

use std::fmt;
use std::str::FromStr;

use tallymq_model::Offset;

/// Partitions of a phase that a text is made for; a search over more does not go on where it has ended.
const PARTITIONS_MAX: usize = 4096;

/// Where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The phase.
    pub phase: usize,
    /// Something was found in it: the next phase does not begin.
    pub found: bool,
    /// Of each partition; None if it is done.
    pub below: Vec<Option<Offset>>,
}

impl Resume {
    /// None if it would be too long.
    pub fn text(&self) -> Option<String> {
        (self.below.len() <= PARTITIONS_MAX).then(|| self.to_string())
    }
}

impl fmt::Display for Resume {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}{}:", self.phase, if self.found { "+" } else { "" })?;
        for (at, below) in self.below.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            match below {
                Some(below) => write!(to, "{comma}{below}")?,
                None => write!(to, "{comma}-")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Resume {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Resume, Self::Err> {
        const BAD: &str = "not what an answer's `resume` says";
        let (phase, below) = text.split_once(':').ok_or(BAD)?;
        let found = phase.ends_with('+');
        let phase = phase.trim_end_matches('+').parse().map_err(|_| BAD)?;
        let parse = |one: &str| match one {
            "-" => Ok(None),
            number => {
                number.parse().ok().filter(|below| *below >= 0).map(|below| Some(Offset(below))).ok_or(BAD)
            }
        };
        let below: Vec<Option<Offset>> = below.split(',').map(parse).collect::<Result<_, _>>()?;
        if below.len() > PARTITIONS_MAX { Err(BAD) } else { Ok(Resume { phase, found, below }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_back() {
        for text in ["0:1742,-,88", "1+:5", "0:-"] {
            let resume: Resume = text.parse().unwrap();
            assert_eq!(resume.text().as_deref(), Some(text));
        }
        for bad in ["", "0", "x:1", "0:", "0:-1", "0:1;2", "-1:4"] {
            assert!(bad.parse::<Resume>().is_err(), "{bad}");
        }
        let many = Resume { phase: 0, found: false, below: vec![None; PARTITIONS_MAX + 1] };
        assert_eq!(many.text(), None);
    }
}
