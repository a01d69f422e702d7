//! Endpoints in the table `Control`: `pk` the tenant's, `sk` `endpoint#<id>`.

use aws_sdk_dynamodb::types::ReturnValue;

use super::super::item::{Item, Unreadable, s, text};
use super::ControlTable;
use crate::endpoint::{Endpoint, EndpointId, EndpointState, EndpointUrl, Secret};
use crate::keys;
use crate::ports::{PortResult, Unavailable};
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

    pub(super) async fn disable_endpoint(&self, tenant: &TenantId, seen: &Endpoint) -> PortResult<()> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", s(keys::tenant(tenant)))
            .key("sk", s(keys::endpoint(&seen.id)))
            .update_expression("SET #state = :disabled")
            .condition_expression("#url = :seen")
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#url", "url")
            .expression_attribute_values(":disabled", s(DISABLED))
            .expression_attribute_values(":seen", s(&seen.url))
            .send()
            .await;
        match update {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(is_condition) => Ok(()),
            Err(error) => Err(Unavailable::new("disabling an endpoint", error)),
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
            .update_expression("SET #url = :url, #state = :active, secret = if_not_exists(secret, :secret)")
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
    })
}
