//! Updates that take effect once, though the SDK tries again where an answer was lost.
//!
//! Each leaves a mark of its own on the item. A repeat that finds its mark there has had its effect, and is answered with
//! what it left. Where another update came between both, the repeat is a new update: an item keeps one mark.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use rand::RngExt;

use crate::adapters::item::{Item, b, n, s};
use crate::adapters::limits::LimitsTable;
use crate::unavailable::{PortResult, Unavailable};

/// An update of one item. An attribute `x` is `#x` in expressions, its new value or what is added to it `:x`.
pub(super) struct Once {
    request: UpdateItemFluentBuilder,
    mark: AttributeValue,
    sets: Vec<String>,
    adds: Vec<String>,
    conditions: Vec<String>,
}

/// What became of an update, and the item.
pub(super) enum Outcome {
    /// It took effect; what it changed, at least.
    Done(Item),
    /// Its condition is not met; the item as it is, empty where there is none.
    Refused(Item),
}

impl LimitsTable {
    /// An update of the item of this key.
    pub(super) fn once(&self, pk: impl Into<String>, sk: impl Into<String>) -> Once {
        let mark = b(rand::rng().random::<[u8; 8]>().to_vec());
        let request = self.client.update_item().table_name(&self.table).key("pk", s(pk)).key("sk", s(sk));
        let once =
            Once { request, mark: mark.clone(), sets: Vec::new(), adds: Vec::new(), conditions: Vec::new() };
        once.set("mark", mark).only_if("attribute_not_exists(#mark) OR #mark <> :mark")
    }
}

impl Once {
    /// Gives an attribute this value.
    pub(super) fn set(mut self, name: &str, value: AttributeValue) -> Self {
        self.sets.push(format!("#{name} = :{name}"));
        self.naming(name, value)
    }

    /// Adds to an attribute, which is zero where it is absent.
    pub(super) fn add(mut self, name: &str, value: impl Into<i128>) -> Self {
        self.adds.push(format!("#{name} :{name}"));
        self.naming(name, AttributeValue::N(value.into().to_string()))
    }

    /// Only where an attribute is absent, or is as large as `most` at most.
    pub(super) fn up_to(mut self, name: &str, most: u64) -> Self {
        self.request = self.request.expression_attribute_values(":most", n(most));
        self.only_if(&format!("attribute_not_exists(#{name}) OR #{name} <= :most"))
    }

    fn only_if(mut self, condition: &str) -> Self {
        self.conditions.push(format!("({condition})"));
        self
    }

    /// Makes the update.
    pub(super) async fn send(self, what: &'static str) -> PortResult<Outcome> {
        let expression =
            [("SET", self.sets), ("ADD", self.adds)].map(|(clause, terms)| match terms.as_slice() {
                [] => String::new(),
                terms => format!("{clause} {} ", terms.join(", ")),
            });
        let answer = self
            .request
            .update_expression(expression.concat())
            .condition_expression(self.conditions.join(" AND "))
            .return_values(ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match answer {
            Ok(answer) => return Ok(Outcome::Done(answer.attributes.unwrap_or_default())),
            Err(error) => error,
        };
        let Some(UpdateItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
            return Err(Unavailable::new(what, error));
        };
        let found = failed.item().cloned().unwrap_or_default();
        let is_ours = found.get("mark") == Some(&self.mark);
        Ok(if is_ours { Outcome::Done(found) } else { Outcome::Refused(found) })
    }

    fn naming(mut self, name: &str, value: AttributeValue) -> Self {
        self.request = self
            .request
            .expression_attribute_names(format!("#{name}"), name) // "stored" and "ttl" are reserved words
            .expression_attribute_values(format!(":{name}"), value);
        self
    }
}
