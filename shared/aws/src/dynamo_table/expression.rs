//! Conditions, filters and updates as expressions of `DynamoDB`, with a placeholder for every name and every value.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use store::item::{Name, Value};
use store::table::condition::{Comparison, Condition};
use store::table::query::{Query, Range};
use store::table::write::Update;

use crate::value::{Attributes, attribute};

/// The most values that one `IN` takes.
const MAX_IN_VALUES: usize = 100;

/// The names and values that the expressions of one call use. All expressions of a call share one of these.
#[derive(Debug, Default)]
pub(super) struct Expressions {
    names: Vec<String>,
    values: Vec<AttributeValue>,
}

impl Expressions {
    /// Returns the placeholder of each name (`ExpressionAttributeNames`); `None` where there is none, as the call wants it.
    pub(super) fn names(&self) -> Option<HashMap<String, String>> {
        let numbered = self.names.iter().enumerate();
        let names: HashMap<_, _> = numbered.map(|(n, name)| (format!("#{n}"), name.clone())).collect();
        (!names.is_empty()).then_some(names)
    }

    /// Returns the placeholder of each value (`ExpressionAttributeValues`); `None` where there is none, as the call wants it.
    pub(super) fn into_values(self) -> Option<Attributes> {
        let numbered = self.values.into_iter().enumerate();
        let values: Attributes = numbered.map(|(n, value)| (format!(":{n}"), value)).collect();
        (!values.is_empty()).then_some(values)
    }

    /// Returns a condition or filter.
    pub(super) fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Exists(name) => format!("attribute_exists({})", self.name(name)),
            Condition::Absent(name) => format!("attribute_not_exists({})", self.name(name)),
            // An absent attribute differs for DynamoDB, but does not compare in `Condition`.
            Condition::Compare(name, Comparison::Differs, value) => {
                let (name, value) = (self.name(name), self.value(value));
                format!("(attribute_exists({name}) AND {name} <> {value})")
            }
            Condition::Compare(name, comparison, value) => {
                format!("{} {} {}", self.name(name), operator(*comparison), self.value(value))
            }
            Condition::IsIn(name, values) => {
                let lists = values.chunks(MAX_IN_VALUES).map(|values| self.is_in(name, values)).collect();
                self.joined(lists, "OR")
            }
            Condition::All(all) => {
                let all = all.iter().map(|condition| self.condition(condition)).collect();
                self.joined(all, "AND")
            }
            Condition::Any(any) => {
                let any = any.iter().map(|condition| self.condition(condition)).collect();
                self.joined(any, "OR")
            }
        }
    }

    /// Returns the key condition of a query: its partition, and its range of sort keys.
    pub(super) fn key_condition(&mut self, query: &Query) -> String {
        let partition =
            format!("{} = {}", self.name(query.partition_name()), self.text(query.partition.as_str()));
        let sort = query.sort_name();
        let range = match &query.range {
            Range::All => return partition,
            Range::Prefix(prefix) => format!("begins_with({}, {})", self.name(sort), self.text(prefix)),
            Range::Between(from, to) => {
                format!("{} BETWEEN {} AND {}", self.name(sort), self.text(from), self.text(to))
            }
            Range::Before(end) => format!("{} < {}", self.name(sort), self.text(end)),
            Range::After(begin) => format!("{} > {}", self.name(sort), self.text(begin)),
        };
        format!("{partition} AND {range}")
    }

    /// Returns what an update does; `None` where it changes nothing but creates the item.
    pub(super) fn update(&mut self, update: &Update) -> Option<String> {
        let mut clauses = Vec::new();
        let mut add_clause = |keyword: &str, parts: Vec<String>| {
            if !parts.is_empty() {
                clauses.push(format!("{keyword} {}", parts.join(", ")));
            }
        };
        let set = |(name, value): &(Name, Value)| format!("{} = {}", self.name(name), self.value(value));
        add_clause("SET", update.sets.iter().map(set).collect());
        let add = |(name, sum): &(Name, i128)| format!("{} {}", self.name(name), self.value(&Value::N(*sum)));
        add_clause("ADD", update.adds.iter().map(add).collect());
        add_clause("REMOVE", update.removes.iter().map(|name| self.name(name)).collect());
        (!clauses.is_empty()).then(|| clauses.join(" "))
    }

    /// Returns these attributes (`ProjectionExpression`).
    pub(super) fn projection(&mut self, names: &[&str]) -> String {
        names.iter().map(|name| self.name(name)).collect::<Vec<_>>().join(", ")
    }

    fn is_in(&mut self, name: &Name, values: &[Value]) -> String {
        let name = self.name(name);
        let values: Vec<String> = values.iter().map(|value| self.value(value)).collect();
        format!("{name} IN ({})", values.join(", "))
    }

    /// Joins conditions. None at all is what `DynamoDB` cannot say: all of none holds, one of none does not.
    fn joined(&mut self, mut conditions: Vec<String>, operator: &str) -> String {
        match conditions.len() {
            0 => {
                let name = self.name("none"); // any name but a key's, which a filter must not name
                let joiner = if operator == "AND" { "OR" } else { "AND" };
                format!("(attribute_exists({name}) {joiner} attribute_not_exists({name}))")
            }
            1 => conditions.remove(0), // parentheses around parentheses are refused as redundant
            _ => format!("({})", conditions.join(&format!(" {operator} "))),
        }
    }

    fn name(&mut self, name: &str) -> String {
        let known = self.names.iter().position(|known| known == name);
        let number = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        format!("#{number}")
    }

    fn value(&mut self, value: &Value) -> String {
        self.placeholder(attribute(value))
    }

    fn text(&mut self, text: &str) -> String {
        self.placeholder(AttributeValue::S(text.to_owned()))
    }

    fn placeholder(&mut self, value: AttributeValue) -> String {
        self.values.push(value);
        format!(":{}", self.values.len() - 1)
    }
}

const fn operator(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::Differs => "<>",
        Comparison::Less => "<",
        Comparison::AtMost => "<=",
        Comparison::Greater => ">",
    }
}

#[cfg(test)]
mod tests {
    use store::item::Key;
    use store::table::condition::{absent, at_most, differs, equals, exists, greater, is_in, less};
    use store::table::query::Index;

    use super::*;

    /// Returns an expression with the names and values in the place of their placeholders.
    fn spelled(expression: &str, used: Expressions) -> String {
        let names = used.names().unwrap_or_default();
        let values = used.into_values().unwrap_or_default();
        let names = names.into_iter().collect::<Vec<_>>();
        let values = values.into_iter().map(|(placeholder, value)| (placeholder, text_of(&value)));
        let mut all: Vec<(String, String)> = names.into_iter().chain(values).collect();
        all.sort_by_key(|(placeholder, _)| std::cmp::Reverse(placeholder.len())); // #10 before #1
        let spell =
            |text: String, (placeholder, meaning): &(String, String)| text.replace(placeholder, meaning);
        all.iter().fold(expression.to_owned(), spell)
    }

    fn text_of(value: &AttributeValue) -> String {
        match value {
            AttributeValue::S(text) => format!("'{text}'"),
            AttributeValue::N(digits) => digits.clone(),
            other => format!("{other:?}"),
        }
    }

    fn condition(condition: &Condition) -> String {
        let mut used = Expressions::default();
        let expression = used.condition(condition);
        spelled(&expression, used)
    }

    fn key_condition(query: &Query) -> String {
        let mut used = Expressions::default();
        let expression = used.key_condition(query);
        spelled(&expression, used)
    }

    #[test]
    fn every_name_and_every_value_has_a_placeholder() {
        let mut used = Expressions::default();
        let all = equals("status", "pending").and(less("ttl", 7_u8)).and(exists("status"));
        assert_eq!(used.condition(&all), "(#0 = :0 AND #1 < :1 AND attribute_exists(#0))");
        let names =
            HashMap::from([("#0".to_owned(), "status".to_owned()), ("#1".to_owned(), "ttl".to_owned())]);
        assert_eq!(used.names(), Some(names));
        let values = Attributes::from([
            (":0".to_owned(), AttributeValue::S("pending".to_owned())),
            (":1".to_owned(), AttributeValue::N("7".to_owned())),
        ]);
        assert_eq!(used.into_values(), Some(values));
        assert_eq!(Expressions::default().names(), None);
        assert_eq!(Expressions::default().into_values(), None);
    }

    #[test]
    fn conditions_nest_without_redundant_parentheses() {
        assert_eq!(condition(&absent("pk").or(less("ttl", 5_u8))), "(attribute_not_exists(pk) OR ttl < 5)");
        let nested = equals("rev", 1_u8).and(at_most("a", 2_u8).or(greater("b", 3_u8)));
        assert_eq!(condition(&nested), "(rev = 1 AND (a <= 2 OR b > 3))");
        let single = Condition::All(vec![Condition::Any(vec![exists("a").and(exists("b"))])]);
        assert_eq!(condition(&single), "(attribute_exists(a) AND attribute_exists(b))");
        assert_eq!(
            condition(&differs("a", "x")),
            "(attribute_not_exists(a) OR (attribute_exists(a) AND a <> 'x'))"
        );
    }

    #[test]
    fn a_choice_of_many_values_is_split_and_one_of_none_never_holds() {
        assert_eq!(condition(&is_in("a", ["x", "y"])), "a IN ('x', 'y')");
        let many = condition(&is_in("a", 0..=100_u8));
        assert!(many.starts_with("(a IN (0, 1, ") && many.ends_with(", 99) OR a IN (100))"), "{many}");
        let never = "(attribute_exists(none) AND attribute_not_exists(none))";
        assert_eq!(condition(&is_in::<u8>("a", [])), never);
        assert_eq!(condition(&Condition::Any(Vec::new())), never);
        assert_eq!(
            condition(&Condition::All(Vec::new())),
            "(attribute_exists(none) OR attribute_not_exists(none))"
        );
    }

    #[test]
    fn a_query_names_the_keys_of_what_it_reads() {
        let query = Query::consistent("t#1");
        assert_eq!(key_condition(&query), "pk = 't#1'");
        let range = |range| key_condition(&query.clone().range(range));
        let text = |text: &str| text.to_owned();
        assert_eq!(range(Range::Prefix(text("a"))), "pk = 't#1' AND begins_with(sk, 'a')");
        assert_eq!(range(Range::Between(text("a"), text("b"))), "pk = 't#1' AND sk BETWEEN 'a' AND 'b'");
        assert_eq!(range(Range::Before(text("a"))), "pk = 't#1' AND sk < 'a'");
        assert_eq!(range(Range::After(text("a"))), "pk = 't#1' AND sk > 'a'");
        let pending = Query::of_index(Index::Pending, "p").range(Range::After(text("a")));
        assert_eq!(key_condition(&pending), "pending_pk = 'p' AND sk > 'a'");
        assert_eq!(key_condition(&Query::of_index(Index::Attempts, "e")), "attempts_pk = 'e'");
    }

    #[test]
    fn an_update_sets_adds_and_removes() {
        let update = |update: &Update| {
            let mut used = Expressions::default();
            let expression = used.update(update)?;
            Some(spelled(&expression, used))
        };
        let key = Key::new("a", "b");
        assert_eq!(update(&Update::new(key.clone())), None);
        let all = Update::new(key.clone()).set("x", "1").set("y", 2_u8).add("n", -1).add("m", 5).remove("z");
        assert_eq!(update(&all).as_deref(), Some("SET x = '1', y = 2 ADD n -1, m 5 REMOVE z"));
        assert_eq!(update(&Update::new(key).remove("z").remove("q")).as_deref(), Some("REMOVE z, q"));
    }

    #[test]
    fn a_projection_lists_names() {
        let mut used = Expressions::default();
        assert_eq!(used.projection(&["pk", "sk"]), "#0, #1");
    }
}
