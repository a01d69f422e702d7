//! The id of an erasure as the API shows it: the id of its job, and a tag that only this stack can make. An invented id is
//! refused without a call of AWS.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use domain::job::id::JobId;
use domain::tenant::api_key::Peppers;

const PURPOSE: &str = "erasure";

/// The number of characters of a job's id.
const JOB_ID_LENGTH: usize = 36;

/// An id that a client sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ReceiptId {
    /// This stack issued the id.
    Tagged(JobId),
    /// The id has no tag. Versions before 2026-11-29 issued such ids, and anyone can invent one.
    Untagged(JobId),
}

impl ReceiptId {
    /// Reads an id. Returns `None` for one that was never issued.
    pub(crate) fn parse(text: &str, peppers: &Peppers) -> Option<Self> {
        let (job, tag) = text.split_at_checked(JOB_ID_LENGTH)?;
        let job = JobId::parse_erasure(job)?;
        if tag.is_empty() {
            return Some(Self::Untagged(job));
        }
        let tag = BASE64.decode(tag).ok()?;
        peppers.verify(PURPOSE, job.as_str().as_bytes(), &tag).then_some(Self::Tagged(job))
    }
}

/// Returns the id of an erasure with its tag.
pub(crate) fn write(job: &JobId, peppers: &Peppers) -> String {
    let tag = peppers.current().tag(PURPOSE, job.as_str().as_bytes());
    format!("{job}{}", BASE64.encode(tag))
}

#[cfg(test)]
mod tests {
    use domain::tenant::api_key::{KeyHash, Pepper};

    use super::*;

    #[test]
    fn only_this_stack_can_make_a_tag() {
        let job = JobId::derive_erasure(&KeyHash::from_stored("1:hash"));
        let other = JobId::derive_erasure(&KeyHash::from_stored("1:other"));
        let (ours, later) = (Pepper::new("ours").into(), Peppers::parse("2:new,1:ours").unwrap());
        let id = write(&job, &ours);
        let parse = |text: &str| ReceiptId::parse(text, &ours);
        assert_eq!(parse(&id), Some(ReceiptId::Tagged(job.clone())));
        assert_eq!(ReceiptId::parse(&id, &later), Some(ReceiptId::Tagged(job.clone())), "after a rotation");
        assert_eq!(parse(job.as_str()), Some(ReceiptId::Untagged(job.clone())));
        let tag = &id[JOB_ID_LENGTH..];
        for invented in [
            write(&job, &Pepper::new("theirs").into()),
            format!("{other}{tag}"),
            id[..id.len() - 1].to_owned(),
            format!("{id}A"),
            format!("{job}{}", "A".repeat(43)),
            tag.to_owned(),
            String::new(),
        ] {
            assert_eq!(parse(&invented), None, "{invented}");
        }
    }
}
