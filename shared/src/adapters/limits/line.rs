//! The line before an endpoint, and the places of those whose turn it is.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::super::item::{Unreadable, item, n, number, s};
use super::{KEEP_SECONDS, LimitsTable};
use crate::endpoint::EndpointId;
use crate::keys;
use crate::pace::Span;
use crate::ports::{PortResult, Unavailable};
use crate::tenant::TenantId;

impl LimitsTable {
    /// Takes the next part of an endpoint's line: from now where nobody stands in it, behind the others else.
    pub(super) async fn take_turns(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        span: Span,
    ) -> PortResult<u64> {
        let idle = "attribute_not_exists(busy_until) OR busy_until < :earliest";
        if let Some(end) =
            self.lengthen(tenant, endpoint, "SET busy_until = :end, #ttl = :ttl", Some(idle), span).await?
        {
            return Ok(end - span.length);
        }
        let end =
            self.lengthen(tenant, endpoint, "ADD busy_until :length SET #ttl = :ttl", None, span).await?;
        Ok(end.unwrap_or_default().saturating_sub(span.length).max(span.earliest))
    }

    /// The end of an endpoint's line after this update; `None` where the condition is not met.
    async fn lengthen(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        update: &str,
        condition: Option<&str>,
        span: Span,
    ) -> PortResult<Option<u64>> {
        let mut values = item([(":ttl", n((span.earliest + span.length) / 1_000_000 + KEEP_SECONDS))]);
        let used = if condition.is_some() {
            item([(":end", n(span.earliest + span.length)), (":earliest", n(span.earliest))])
        } else {
            item([(":length", n(span.length))])
        };
        values.extend(used);
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", s(keys::pace(tenant, endpoint)))
            .key("sk", s(keys::ONLY))
            .update_expression(update)
            .set_condition_expression(condition.map(str::to_owned))
            .expression_attribute_names("#ttl", "ttl")
            .set_expression_attribute_values(Some(values))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await;
        match update {
            Ok(answer) => {
                let end =
                    answer.attributes().ok_or(Unreadable("item")).and_then(|item| number(item, "busy_until"));
                end.map(Some).map_err(|error| Unavailable::new("queueing up", error))
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(None)
            }
            Err(error) => Err(Unavailable::new("queueing up", error)),
        }
    }

    /// Takes places, as many as there are left of `most`.
    pub(super) async fn take_places(
        &self,
        pk: String,
        minute: u64,
        wanted: u32,
        most: u32,
    ) -> PortResult<u32> {
        let mut ours = wanted.min(most);
        for _ in 0..2 {
            if ours == 0 {
                break;
            }
            let update = self
                .client
                .update_item()
                .table_name(&self.table)
                .key("pk", s(pk.clone()))
                .key("sk", s(keys::ONLY))
                .update_expression("ADD held :ours SET #ttl = :ttl")
                .condition_expression("attribute_not_exists(held) OR held <= :room")
                .expression_attribute_names("#ttl", "ttl")
                .expression_attribute_values(":ours", n(ours.into()))
                .expression_attribute_values(":room", n((most - ours).into()))
                .expression_attribute_values(":ttl", n((minute + 1) * 60 + KEEP_SECONDS))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .send()
                .await;
            let Err(error) = update else { return Ok(ours) };
            let Some(UpdateItemError::ConditionalCheckFailedException(failed)) = error.as_service_error()
            else {
                return Err(Unavailable::new("taking places", error));
            };
            let held = failed.item().and_then(|item| number(item, "held").ok()).unwrap_or_default();
            ours = most.saturating_sub(u32::try_from(held).unwrap_or(most)); // the rest, unless others take it too
        }
        Ok(0)
    }

    /// Gives places back.
    pub(super) async fn give_places_back(&self, pk: String, count: u32) -> PortResult<()> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", s(pk))
            .key("sk", s(keys::ONLY))
            .update_expression("ADD held :fewer")
            .expression_attribute_values(":fewer", AttributeValue::N(format!("-{count}")))
            .send()
            .await;
        update.map(drop).map_err(|error| Unavailable::new("giving places back", error))
    }
}
