//! Records of audit trails as items.

use domain::tenant::audit::{AUDIT_RETENTION, AuditId, AuditRecord, Author};
use domain::tenant::id::TenantId;

use crate::item::{Item, Key, Unreadable};
use crate::keys;

/// Returns the key of a record.
pub(crate) fn key(tenant: &TenantId, id: &AuditId) -> Key {
    Key::new(keys::audit(tenant), keys::audit_record(id))
}

/// Returns the item of a record.
pub(crate) fn write(record: &AuditRecord) -> Item {
    let last4 = match &record.author {
        Author::Key { last4, .. } => Some(last4.as_str()),
        Author::Operator | Author::Signup => None,
    };
    Item::from([
        ("action", record.action.as_str().into()),
        ("at", record.at.into()),
        ("by", record.author.as_str().into()),
        ("request_id", record.request_id.as_str().into()),
        ("ttl", record.at.after(AUDIT_RETENTION).seconds().into()),
    ])
    .with_some("last4", last4)
    .with_some("subject", record.subject.as_deref())
    .with_some("status", record.status)
    .with_some("created", record.created.as_deref())
    .at(key(&record.tenant, &record.id))
}

/// Reads a record of a tenant.
pub(crate) fn read(tenant: &TenantId, item: &Item) -> Result<AuditRecord, Unreadable> {
    let optional = |name| item.text(name).ok().map(str::to_owned);
    Ok(AuditRecord {
        id: AuditId::parse(item.text("sk")?).ok_or(Unreadable("sk"))?,
        tenant: tenant.clone(),
        at: item.timestamp("at")?,
        author: match (item.text("by")?, optional("last4")) {
            ("operator", None) => Author::Operator,
            ("signup", None) => Author::Signup,
            (id, last4) => Author::Key { id: id.to_owned(), last4: last4.ok_or(Unreadable("last4"))? },
        },
        action: item.text("action")?.to_owned(),
        subject: optional("subject"),
        request_id: item.text("request_id")?.to_owned(),
        status: item.number("status").ok(),
        created: optional("created"),
    })
}

/// Reads a record; logs an unreadable one and returns `None`.
pub(crate) fn readable(tenant: &TenantId, item: &Item) -> Option<AuditRecord> {
    let report = |error: &Unreadable| {
        tracing::error!(cause = %error, "a record of an audit trail is unreadable; it is left out");
    };
    read(tenant, item).inspect_err(report).ok()
}

#[cfg(test)]
mod tests {
    use domain::testing::{START, tenant};

    use super::*;

    /// The largest size of a record.
    const MAX_BYTES: usize = 400;

    fn record(author: Author) -> AuditRecord {
        AuditRecord {
            id: AuditId::generate(START, &mut rand::rng()),
            tenant: tenant(),
            at: START,
            author,
            action: "endpoint.rotate_secret".to_owned(), // the longest name
            subject: Some(format!("evt_{:032x}", 1)),
            request_id: "01234567-89ab-cdef-0123-456789abcdef".to_owned(),
            status: Some(201),
            created: Some(format!("rpl_{:032x}", 1)),
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_is_small() {
        let key = Author::Key { id: format!("key_{:032x}", 1), last4: "abcd".to_owned() };
        for author in [key, Author::Operator, Author::Signup] {
            let record = record(author);
            let item = write(&record);
            assert_eq!(read(&record.tenant, &item), Ok(record));
            assert!(item.size() <= MAX_BYTES, "{}", item.size());
        }
    }

    #[test]
    fn a_record_without_an_outcome_is_read() {
        let record = AuditRecord { status: None, created: None, subject: None, ..record(Author::Operator) };
        assert_eq!(read(&record.tenant, &write(&record)), Ok(record));
    }
}
