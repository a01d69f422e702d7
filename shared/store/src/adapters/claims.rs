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

use crate::adapters::aws::Clients;
use crate::adapters::claim_item;
use crate::adapters::item::{Item, Unreadable, item, n, s, text};
use crate::keys;
use crate::ports::Claims;
use crate::unavailable::{PortResult, Unavailable};
use domain::event::claim::{Claim, ClaimName, Claimed};
use domain::event::id::EventId;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

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
        let mut attributes = claim_item::write(ours);
        attributes.extend(item([("pk", s(keys::claim(tenant, name))), ("event_id", s(ours.id.to_string()))]));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(attributes))
            .condition_expression(claim_item::FREE)
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
    claim_item::read(item, EventId::parse(text(item, "event_id")?).ok_or(Unreadable("event_id"))?)
}
