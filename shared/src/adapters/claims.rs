//! The table `Claims`: clients' own names for events, each claimed by one conditional put.
//!
//! ```text
//!    first post            repeat, same content         repeat after 24 h
//!    put: free             put refused, ALL_OLD         put: expires_at < now
//!  --|---------------------|----------------------------|------------------->
//!    First                 Repeat(first id), send again First
//! ```

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use super::aws::Clients;
use super::item::{Item, Unreadable, b, bytes, item, n, number, s, text};
use crate::claim::{Claim, ClaimName, Claimed, Fingerprint};
use crate::event::EventId;
use crate::keys;
use crate::ports::{Claims, PortResult, Unavailable};
use crate::tenant::TenantId;
use crate::timestamp::Timestamp;

/// The table `Claims`.
#[derive(Clone, Debug)]
pub struct ClaimsTable {
    client: Client,
    table: String,
}

impl ClaimsTable {
    /// The table of this name.
    #[must_use]
    pub fn new(clients: &Clients, table: String) -> Self {
        Self { client: clients.dynamodb.clone(), table }
    }
}

impl Claims for ClaimsTable {
    async fn claim(
        &self,
        tenant: &TenantId,
        name: &ClaimName,
        ours: &Claim,
        now: Timestamp,
    ) -> PortResult<Claimed> {
        let attributes = item([
            ("pk", s(keys::claim(tenant, name))),
            ("event_id", s(ours.id.to_string())),
            ("fingerprint", b(ours.fingerprint.0.to_vec())),
            ("expires_at", n(ours.expires_at.seconds())),
        ]);
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(attributes))
            .condition_expression("attribute_not_exists(pk) OR expires_at < :now")
            .expression_attribute_values(":now", n(now.seconds()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = put else { return Ok(Claimed::First) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                let held = failed.item().ok_or(Unreadable("item")).and_then(read);
                let held = held.map_err(|error| Unavailable::new("reading a claim", error))?;
                Ok(Claimed::decide(&held, ours))
            }
            _ => Err(Unavailable::new("claiming", error)),
        }
    }
}

fn read(item: &Item) -> Result<Claim, Unreadable> {
    let fingerprint = bytes(item, "fingerprint").and_then(|bytes| bytes.try_into().ok());
    Ok(Claim {
        id: EventId::parse(text(item, "event_id")?).ok_or(Unreadable("event_id"))?,
        fingerprint: Fingerprint(fingerprint.ok_or(Unreadable("fingerprint"))?),
        expires_at: Timestamp::from_seconds(number(item, "expires_at")?),
    })
}
