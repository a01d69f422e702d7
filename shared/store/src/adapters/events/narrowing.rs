//! What a query leaves out beside its keys: events of other types, or of another status.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;

use crate::adapters::item::s;
use domain::event::event_type::EventType;
use domain::inbox::Status;

/// The query, of events of this type and this status alone, where they are named, and where `others` hold.
pub(super) fn narrowed(
    mut query: QueryFluentBuilder,
    others: &[&'static str],
    event_type: Option<&EventType>,
    status: Option<Status>,
) -> QueryFluentBuilder {
    let mut filters = others.to_vec();
    if let Some(event_type) = event_type {
        filters.push("#type = :type");
        query = query
            .expression_attribute_names("#type", "type")
            .expression_attribute_values(":type", s(event_type.as_str()));
    }
    if let Some(status) = status {
        filters.push("#status = :status");
        query = query
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", s(status.as_str()));
    }
    query.set_filter_expression((!filters.is_empty()).then(|| filters.join(" AND ")))
}
