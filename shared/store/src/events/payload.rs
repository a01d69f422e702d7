//! Payloads. A payload is compressed and encrypted with the data key of its tenant. A small one is stored in the head,
//! a large one as a separate item in its own partition.

use domain::event::Event;
use domain::event::id::EventId;
use domain::inbox::Head;
use domain::sealed::Sealed;
use domain::tenant::id::TenantId;

use super::Events;
use super::head_item::Found;
use crate::compression::{compress, decompress};
use crate::item::{Item, Key};
use crate::keys;
use crate::ports::Ports;
use crate::unavailable::{PortResult, Unavailable};

/// The maximum size of an encrypted payload in the head. The head stays under 1 KB: one write unit.
const MAX_INLINE_BYTES: usize = 700;

/// Returns whether a payload is stored in the head.
pub(crate) fn fits_into_head(payload: &Sealed) -> bool {
    payload.bytes().len() <= MAX_INLINE_BYTES
}

/// Returns the key of a payload that is a separate item.
pub(crate) fn key(tenant: &TenantId, event: EventId) -> Key {
    Key::new(keys::payload(tenant, event), keys::ONLY)
}

impl<P: Ports> Events<P> {
    /// Returns the payload of an event, byte for byte as it was sent; `None` if it has expired, or the data key of its
    /// tenant is deleted.
    ///
    /// # Errors
    /// When the table or KMS does not answer, or the payload is damaged.
    pub async fn payload(&self, tenant: &TenantId, found: &Found) -> PortResult<Option<String>> {
        let sealed = match &found.inline_payload {
            Some(sealed) => sealed.clone(),
            None => match self.items.get(key(tenant, found.head.id)).await? {
                Some(item) => Sealed::from_bytes(item.bytes("payload")?.to_vec()),
                None => return Ok(None),
            },
        };
        let Some(key) = self.keys.key(tenant).await? else { return Ok(None) };
        let opened = key.open(tenant, &found.head.id.to_string(), &sealed);
        let compressed = opened.map_err(|error| Unavailable::new("decrypting a payload", error))?;
        let payload = decompress(&compressed);
        payload.map(Some).map_err(|error| Unavailable::new("decompressing a payload", error))
    }

    /// Returns a head with its payload; `None` if the payload no longer exists.
    pub(crate) async fn with_payload(
        &self,
        tenant: &TenantId,
        found: Found,
    ) -> PortResult<Option<(Head, String)>> {
        let payload = self.payload(tenant, &found).await?;
        Ok(payload.map(|payload| (found.head, payload)))
    }

    /// Compresses and encrypts the payload of an event. It can be decrypted only for the same tenant and event.
    pub(crate) async fn seal(&self, event: &Event) -> PortResult<Sealed> {
        let key = self.keys.key_or_new(&event.tenant).await?;
        let compressed =
            compress(&event.payload).map_err(|error| Unavailable::new("compressing a payload", error))?;
        let sealed = key.seal(&event.tenant, &event.id.to_string(), &compressed, rand::random());
        sealed.map_err(|error| Unavailable::new("encrypting a payload", error))
    }

    /// Puts a payload as a separate item.
    pub(crate) async fn put_payload(&self, event: &Event, head: &Head, payload: Sealed) -> PortResult<()> {
        let item =
            Item::from([("payload", payload.into_bytes().into()), ("ttl", head.expires_at.seconds().into())]);
        self.items.put(item.at(key(&event.tenant, event.id))).await
    }

    /// Deletes a payload that is a separate item.
    pub(crate) async fn delete_payload(&self, tenant: &TenantId, event: EventId) -> PortResult<()> {
        self.items.delete_all(vec![key(tenant, event)]).await
    }
}
