//! Endpoints in the table `Control`: `pk` the tenant's, `sk` `endpoint#<id>`.

use aws_sdk_dynamodb::types::ReturnValue;

use super::super::item::{Item, Unreadable, item, n, number, s, text};
use super::{ControlTable, health_item};
use crate::breaker::Change;
use crate::endpoint::{DEFAULT_RATE_PER_SECOND, Endpoint, EndpointId, EndpointState, EndpointUrl, Secret};
use crate::keys;
use crate::ports::{PortResult, Unavailable, Updated};
use crate::tenant::TenantId;

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
        let unseen = if seen.health.rev == 0 { "attribute_not_exists(health_rev) OR " } else { "" };
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", s(keys::tenant(tenant)))
            .key("sk", s(keys::endpoint(&seen.id)))
            .update_expression(format!("SET health = :health, health_rev = :rev{disable}"))
            .condition_expression(format!("#url = :url AND ({unseen}health_rev = :seen)"))
            .expression_attribute_names("#url", "url")
            .set_expression_attribute_values(Some(values.into_iter().chain(disabled).collect()));
        let update =
            if change.disables { update.expression_attribute_names("#state", "state") } else { update };
        match update.send().await {
            Ok(_) => Ok(Updated::Done),
            Err(error) if error.as_service_error().is_some_and(is_condition) => Ok(Updated::Raced),
            Err(error) => Err(Unavailable::new("noting an endpoint's health", error)),
        }
    }

    /// Points the tenant's default endpoint at `url` and makes it active; creates it with `secret` where there is
    /// none. `Some(secret)` is returned by the call that created it, and by that one alone.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn set_default_endpoint(
        &self,
        tenant: &TenantId,
        url: &EndpointUrl,
        secret: Secret,
    ) -> PortResult<Option<Secret>> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", s(keys::tenant(tenant)))
            .key("sk", s(keys::endpoint(&EndpointId::default_of(tenant))))
            .update_expression(
                "SET #url = :url, #state = :active, secret = if_not_exists(secret, :secret) REMOVE health ADD health_rev :one",
            )
            .expression_attribute_values(":one", n(1)) // whoever read the health of another URL must not write it
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#url", "url")
            .expression_attribute_values(":url", s(url.as_str()))
            .expression_attribute_values(":active", s(ACTIVE))
            .expression_attribute_values(":secret", s(secret.expose()))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        let answer = update.map_err(|error| Unavailable::new("configuring an endpoint", error))?;
        let kept = answer.attributes().ok_or(Unreadable("item")).and_then(|item| text(item, "secret"));
        let ours = kept.map_err(unreadable)? == secret.expose();
        Ok(ours.then_some(secret))
    }
}

const ACTIVE: &str = "active";
const DISABLED: &str = "disabled";

fn is_condition(error: &aws_sdk_dynamodb::operation::update_item::UpdateItemError) -> bool {
    error.is_conditional_check_failed_exception()
}

fn unreadable(error: Unreadable) -> Unavailable {
    Unavailable::new("reading an endpoint", error)
}

fn read(item: &Item) -> Result<Endpoint, Unreadable> {
    let id = text(item, "sk")?.strip_prefix(keys::ENDPOINTS).ok_or(Unreadable("sk"))?;
    Ok(Endpoint {
        id: EndpointId::from_trusted(id),
        url: text(item, "url")?.to_owned(),
        secret: Secret::parse(text(item, "secret")?).ok_or(Unreadable("secret"))?,
        state: match text(item, "state")? {
            ACTIVE => EndpointState::Active,
            DISABLED => EndpointState::Disabled,
            _ => return Err(Unreadable("state")),
        },
        is_paused: item.get("paused").and_then(|value| value.as_bool().ok()).copied().unwrap_or_default(),
        rate_per_second: number(item, "rate")
            .ok()
            .and_then(|rate| rate.try_into().ok())
            .unwrap_or(DEFAULT_RATE_PER_SECOND),
        health: health_item::read(item)?,
    })
}
