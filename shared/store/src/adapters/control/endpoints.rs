//! Endpoints in the table `Control`: `pk` the tenant's, `sk` `endpoint#<id>`. An endpoint's owner changes it under its
//! `rev`, its attempts change its health under a `rev` of that; neither overwrites the other.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};

use crate::adapters::cancellation::{CONDITION, reasons};
use crate::adapters::control::{ControlTable, health_item};
use crate::adapters::item::{Item, Unreadable, b, bytes, item, n, number, s, text};
use crate::items::Updated;
use crate::keys;
use crate::unavailable::{PortResult, Unavailable};
use domain::endpoint::health::Change;
use domain::endpoint::id::EndpointId;
use domain::endpoint::pattern::Pattern;
use domain::endpoint::{Endpoint, EndpointState, MAX_ENDPOINTS, Signing};
use domain::sealed::Sealed;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

/// How adding an endpoint ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Added {
    /// It is there.
    Done,
    /// An endpoint of this id is there already.
    Exists,
    /// The tenant has as many as it may have.
    TooMany,
}

impl ControlTable {
    pub(super) async fn read_endpoints(&self, tenant: &TenantId) -> PortResult<Vec<Endpoint>> {
        let items = self.list(tenant, keys::ENDPOINTS).await?;
        items.iter().map(read).collect::<Result<_, _>>().map_err(unreadable)
    }

    pub(super) async fn read_endpoint(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
    ) -> PortResult<Option<Endpoint>> {
        let item = self.get(keys::tenant(tenant), keys::endpoint(id)).await?;
        item.as_ref().map(read).transpose().map_err(unreadable)
    }

    /// The health and, where it disables, the state: only where both URL and health are as they were read.
    pub(super) async fn change_health_of_endpoint(
        &self,
        tenant: &TenantId,
        seen: &Endpoint,
        change: &Change,
    ) -> PortResult<Updated> {
        let disable = if change.disables { ", #state = :disabled" } else { "" };
        let disabled = change.disables.then(|| (":disabled".to_owned(), s(DISABLED)));
        let values = item([
            (":health", health_item::write(&change.health)),
            (":rev", n(change.health.rev)),
            (":seen", n(seen.health.rev)),
            (":url", s(&seen.url)),
        ]);
        let update = self
            .update_endpoint(tenant, &seen.id)
            .update_expression(format!("SET health = :health, health_rev = :rev{disable}"))
            .condition_expression("#url = :url AND health_rev = :seen")
            .expression_attribute_names("#url", "url")
            .set_expression_attribute_values(Some(values.into_iter().chain(disabled).collect()));
        let update =
            if change.disables { update.expression_attribute_names("#state", "state") } else { update };
        updated(update.send().await)
    }

    /// Adds an endpoint.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn add_endpoint(&self, tenant: &TenantId, endpoint: &Endpoint) -> PortResult<Added> {
        let mut attributes = write(endpoint);
        attributes.extend(item([
            ("pk", s(keys::tenant(tenant))),
            ("sk", s(keys::endpoint(&endpoint.id))),
            ("created_at", n(endpoint.created_at.millis())),
            ("health_rev", n(endpoint.health.rev)),
        ]));
        let put = Put::builder().table_name(&self.table).set_item(Some(attributes));
        let put = put.condition_expression("attribute_not_exists(sk)").build();
        let most = u64::try_from(MAX_ENDPOINTS).unwrap_or(u64::MAX);
        let count = self
            .count_endpoints(tenant, 1)
            .condition_expression("attribute_not_exists(held) OR held < :most");
        let count = count.expression_attribute_values(":most", n(most)).build();
        let failed = |error| Unavailable::new("adding an endpoint", error);
        let items = [
            TransactWriteItem::builder().put(put.map_err(failed)?).build(),
            TransactWriteItem::builder().update(count.map_err(failed)?).build(),
        ];
        let call = self.client.transact_write_items().set_transact_items(Some(items.to_vec())).send().await;
        match call {
            Ok(_) => Ok(Added::Done),
            Err(error) => match broken_conditions(error.as_service_error())[..] {
                [true, ..] => Ok(Added::Exists),
                [false, true] => Ok(Added::TooMany),
                _ => Err(Unavailable::new("adding an endpoint", error)),
            },
        }
    }

    /// Writes what an endpoint's owner changed, only where nobody changed it since `seen` was read. Another URL begins with a
    /// good health, and so does an endpoint that is enabled again.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn change_endpoint(
        &self,
        tenant: &TenantId,
        seen: &Endpoint,
        next: &Endpoint,
    ) -> PortResult<Updated> {
        let attributes = write(&Endpoint { rev: seen.rev + 1, ..next.clone() });
        let names = attributes.keys().map(|name| (format!("#{name}"), name.clone())).collect();
        let sets: Vec<String> = attributes.keys().map(|name| format!("#{name} = :{name}")).collect();
        let begins_anew = seen.url != next.url
            || (seen.state, next.state) == (EndpointState::Disabled, EndpointState::Active);
        let health = if begins_anew { " REMOVE health ADD health_rev :one" } else { "" };
        let one = begins_anew.then(|| (":one".to_owned(), n(1))); // whoever read the old health must not write it
        let values = attributes.into_iter().map(|(name, value)| (format!(":{name}"), value));
        let values = values.chain([(":seen".to_owned(), n(seen.rev))]).chain(one);
        let update = self
            .update_endpoint(tenant, &seen.id)
            .update_expression(format!("SET {}{health}", sets.join(", ")))
            .condition_expression("#rev = :seen")
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values.collect()));
        updated(update.send().await)
    }

    /// Deletes an endpoint; deleting it twice changes nothing.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn delete_endpoint(&self, tenant: &TenantId, id: &EndpointId) -> PortResult<()> {
        let delete = Delete::builder().table_name(&self.table).key("pk", s(keys::tenant(tenant)));
        let delete =
            delete.key("sk", s(keys::endpoint(id))).condition_expression("attribute_exists(sk)").build();
        let failed = |error| Unavailable::new("deleting an endpoint", error);
        let items = [
            TransactWriteItem::builder().delete(delete.map_err(failed)?).build(),
            TransactWriteItem::builder()
                .update(self.count_endpoints(tenant, -1).build().map_err(failed)?)
                .build(),
        ];
        let call = self.client.transact_write_items().set_transact_items(Some(items.to_vec())).send().await;
        match call {
            Ok(_) => Ok(()),
            Err(error) if broken_conditions(error.as_service_error()).first() == Some(&true) => Ok(()), // it was gone
            Err(error) => Err(Unavailable::new("deleting an endpoint", error)),
        }
    }

    fn update_endpoint(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
    ) -> aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder {
        let update = self.client.update_item().table_name(&self.table);
        update.key("pk", s(keys::tenant(tenant))).key("sk", s(keys::endpoint(id)))
    }

    fn count_endpoints(
        &self,
        tenant: &TenantId,
        change: i64,
    ) -> aws_sdk_dynamodb::types::builders::UpdateBuilder {
        Update::builder()
            .table_name(&self.table)
            .key("pk", s(keys::tenant(tenant)))
            .key("sk", s(keys::ENDPOINT_COUNT))
            .update_expression("ADD held :change")
            .expression_attribute_values(":change", AttributeValue::N(change.to_string()))
    }
}

const ACTIVE: &str = "active";
const DISABLED: &str = "disabled";

/// Which conditions of a transaction were broken, in the order of its items.
fn broken_conditions(error: Option<&TransactWriteItemsError>) -> Vec<bool> {
    match error {
        Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
            reasons(canceled).into_iter().map(|reason| reason == Some(CONDITION)).collect()
        }
        _ => Vec::new(),
    }
}

fn updated<T, R: std::fmt::Debug + Send + Sync + 'static>(
    result: Result<T, aws_sdk_dynamodb::error::SdkError<UpdateItemError, R>>,
) -> PortResult<Updated> {
    match result {
        Ok(_) => Ok(Updated::Done),
        Err(error) => match error.as_service_error() {
            Some(service) if service.is_conditional_check_failed_exception() => Ok(Updated::Raced),
            _ => Err(Unavailable::new("changing an endpoint", error)),
        },
    }
}

fn unreadable(error: Unreadable) -> Unavailable {
    Unavailable::new("reading an endpoint", error)
}

/// What an endpoint's owner can change.
fn write(endpoint: &Endpoint) -> Item {
    let patterns = endpoint.event_types.iter().map(|pattern| s(pattern.as_str()));
    item([
        ("url", s(&endpoint.url)),
        ("description", s(&endpoint.description)),
        ("event_types", AttributeValue::L(patterns.collect())),
        ("signing", s(endpoint.signing.as_str())),
        ("sealed", b(endpoint.sealed.bytes().to_vec())),
        ("rev", n(endpoint.rev)),
        ("state", s(if endpoint.state == EndpointState::Active { ACTIVE } else { DISABLED })),
        ("paused", AttributeValue::Bool(endpoint.is_paused)),
        ("rate", n(endpoint.rate_per_second.into())),
    ])
}

/// Whether an item of a tenant's is an endpoint.
pub(super) fn is_endpoint(item: &Item) -> bool {
    text(item, "sk").is_ok_and(|sk| sk.starts_with(keys::ENDPOINTS))
}

pub(super) fn read(item: &Item) -> Result<Endpoint, Unreadable> {
    let id = text(item, "sk")?.strip_prefix(keys::ENDPOINTS).ok_or(Unreadable("sk"))?;
    let patterns =
        item.get("event_types").and_then(|value| value.as_l().ok()).ok_or(Unreadable("event_types"))?;
    let pattern = |value: &AttributeValue| {
        value.as_s().map(|text| Pattern::from_stored(text.as_str())).map_err(|_| Unreadable("event_types"))
    };
    Ok(Endpoint {
        id: EndpointId::from_stored(id),
        url: text(item, "url")?.to_owned(),
        description: text(item, "description")?.to_owned(),
        event_types: patterns.iter().map(pattern).collect::<Result<_, _>>()?,
        signing: Signing::parse(text(item, "signing")?).ok_or(Unreadable("signing"))?,
        sealed: Sealed::from_bytes(bytes(item, "sealed").ok_or(Unreadable("sealed"))?),
        created_at: Timestamp::from_millis(number(item, "created_at")?),
        rev: number(item, "rev")?,
        state: match text(item, "state")? {
            ACTIVE => EndpointState::Active,
            DISABLED => EndpointState::Disabled,
            _ => return Err(Unreadable("state")),
        },
        is_paused: item.get("paused").and_then(|value| value.as_bool().ok()).copied().unwrap_or_default(),
        rate_per_second: number(item, "rate")?.try_into().map_err(|_| Unreadable("rate"))?,
        health: health_item::read(item)?,
    })
}
