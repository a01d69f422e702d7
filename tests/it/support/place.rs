//! Where a story runs: the deployed template in the emulator, or the memory stack. Both are read and changed in the same
//! way, with items as `DynamoDB` JSON.

use dev::stack::Stack;
use serde_json::{Value, json};
use store::item::Key;

use super::aws::dynamodb;
use super::configs::ADMIN_TOKEN;
use super::memory_stack::{MemoryStack, memory_stack};

/// A running stack.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// The deployed template.
    Deployed(&'static Stack),
    /// The functions over memory.
    Memory(&'static MemoryStack),
}

impl Place {
    /// Returns the memory stack that stories share.
    pub(crate) fn memory() -> Self {
        Self::Memory(memory_stack())
    }

    /// Returns the URL of the API.
    pub(crate) fn url(self) -> &'static str {
        match self {
            Self::Deployed(stack) => &stack.summary().url,
            Self::Memory(stack) => stack.url(),
        }
    }

    /// Returns the admin token.
    pub(crate) fn admin_token(self) -> &'static str {
        match self {
            Self::Deployed(stack) => &stack.summary().admin_token,
            Self::Memory(_) => ADMIN_TOKEN,
        }
    }

    /// Lets the scheduler come once, and waits until it is done.
    pub(crate) fn run_scheduler(self) {
        match self {
            Self::Deployed(stack) => stack.call_function("scheduler", &json!({})).expect("a visit"),
            Self::Memory(stack) => stack.run_scheduler(),
        }
    }

    /// Reads an item of a table.
    pub(crate) fn item(self, table: &str, pk: &str, sk: &str) -> Option<Value> {
        match self {
            Self::Deployed(stack) => {
                let key = json!({"pk": {"S": pk}, "sk": {"S": sk}});
                let input = json!({"Key": key, "ConsistentRead": true});
                let item = call(stack, "GetItem", table, input)["Item"].take();
                (!item.is_null()).then_some(item)
            }
            Self::Memory(stack) => stack.item(table, &Key::new(pk, sk)),
        }
    }

    /// Reads every item of a partition, in the order of the keys.
    pub(crate) fn partition(self, table: &str, pk: &str) -> Vec<Value> {
        match self {
            Self::Deployed(stack) => {
                let values = json!({":pk": {"S": pk}});
                let input = json!({"ConsistentRead": true, "KeyConditionExpression": "pk = :pk",
                    "ExpressionAttributeValues": values});
                pages(stack, "Query", table, &input)
            }
            Self::Memory(stack) => stack.partition(table, pk),
        }
    }

    /// Reads every item of a table.
    pub(crate) fn items(self, table: &str) -> Vec<Value> {
        match self {
            Self::Deployed(stack) => pages(stack, "Scan", table, &json!({"ConsistentRead": true})),
            Self::Memory(stack) => stack.items(table),
        }
    }

    /// Puts an item into a table, as it is.
    pub(crate) fn put(self, table: &str, item: &Value) {
        match self {
            Self::Deployed(stack) => drop(call(stack, "PutItem", table, json!({"Item": item}))),
            Self::Memory(stack) => stack.put(table, item),
        }
    }
}

/// Reads every page of a query or scan.
fn pages(stack: &Stack, action: &str, table: &str, input: &Value) -> Vec<Value> {
    let (mut items, mut input) = (Vec::new(), input.clone());
    loop {
        let mut page = call(stack, action, table, input.clone());
        items.extend(page["Items"].as_array_mut().map(std::mem::take).expect("items"));
        if page["LastEvaluatedKey"].is_null() {
            return items;
        }
        input["ExclusiveStartKey"] = page["LastEvaluatedKey"].take();
    }
}

fn call(stack: &Stack, action: &str, table: &str, mut input: Value) -> Value {
    let summary = stack.summary();
    input["TableName"] = json!(summary.tables[table]);
    dynamodb(&summary.emulator, action, &input).expect(200).json()
}
