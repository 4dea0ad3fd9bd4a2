//! `tallymq verify`
use crate::{arguments::VerifyArguments, failure::Failure};
/// x
pub fn run(_arguments: &VerifyArguments, _json: bool) -> Result<(), Failure> {
    Ok(())
}
