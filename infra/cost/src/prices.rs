//! The list prices of us-east-1, in one table, each with its page and the date of which it is. Where third parties quote the
//! page, the date is theirs; AWS's own pages were not read by a machine. Check a price before you rely on it. Volume discounts
//! and taxes are left out, and so are free tiers, except for the first idle stack of an account.

/// The currency of the meter: millionths of a millionth of a dollar, so that the price of every unit is a whole number.
pub type Picodollars = u128;

const PICODOLLARS: Picodollars = 1_000_000_000_000;

/// The price of one unit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Price {
    /// The quantity for which the price is listed.
    pub listed: &'static str,
    /// The units of that quantity.
    pub units: u64,
    /// The price of a unit.
    pub picodollars: Picodollars,
    /// Where the price is published.
    pub source: Source,
}

/// Where a price is published.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Source {
    /// The page of AWS.
    pub page: &'static str,
    /// When the price was that.
    pub as_of: &'static str,
}

const fn source(page: &'static str, as_of: &'static str) -> Source {
    Source { page, as_of }
}

/// The price of throughput fell by half on 2024-11-01.
const DYNAMODB: Source = source("https://aws.amazon.com/dynamodb/pricing/on-demand/", "2025-08");
const SQS: Source = source("https://aws.amazon.com/sqs/pricing/", "2026-03");
const LAMBDA: Source = source("https://aws.amazon.com/lambda/pricing/", "2026-05");
const API_GATEWAY: Source = source("https://aws.amazon.com/api-gateway/pricing/", "2025, not checked since");
const KMS: Source = source("https://aws.amazon.com/kms/pricing/", "2025, not checked since");
const CLOUDWATCH: Source = source("https://aws.amazon.com/cloudwatch/pricing/", "2025, not checked since");
const SECRETS: Source = source("https://aws.amazon.com/secrets-manager/pricing/", "2025, not checked since");
const TRANSFER: Source = source("https://aws.amazon.com/ec2/pricing/on-demand/", "2025, not checked since");

const fn price((listed, units): (&'static str, u64), picodollars: Picodollars, source: Source) -> Price {
    Price { listed, units, picodollars, source }
}

const MILLION: u64 = 1_000_000;
const GB: u64 = 1_000_000_000;

/// A write request unit.
pub const WRITE_UNIT: Price = price(("million write request units", MILLION), 625_000, DYNAMODB);
/// Half a read request unit.
pub const HALF_READ_UNIT: Price = price(("million read request units", 2 * MILLION), 62_500, DYNAMODB);
/// A byte of a table for a month.
pub const STORED_BYTE: Price = price(("GB-month in a table", GB), 250, DYNAMODB);
/// A byte of point-in-time recovery for a month. Every table has it.
pub const RECOVERABLE_BYTE: Price = price(("GB-month of point-in-time recovery", GB), 200, DYNAMODB);
/// A request to SQS, of up to 64 KB.
pub const QUEUE_REQUEST: Price = price(("million requests to SQS, of 64 KB", MILLION), 400_000, SQS);
/// What a request costs more that sends messages with a message group. Third parties report it
/// (<https://cloudburn.io/blog/amazon-sqs-pricing>, 2026-03); that receives and deletes are free of it is an assumption.
pub const FAIR_SEND: Price = price(("million sends to a fair queue, on top", MILLION), 100_000, SQS);
/// An invocation of a function.
pub const INVOCATION: Price = price(("million invocations", MILLION), 200_000, LAMBDA);
/// A GB-second of a function on arm64.
pub const GB_SECOND: Price = price(("million GB-seconds on arm64", MILLION), 13_333_400, LAMBDA);
/// A request of a REST API.
pub const REQUEST: Price = price(("million requests of a REST API", MILLION), 3_500_000, API_GATEWAY);
/// A request to KMS.
pub const KMS_REQUEST: Price = price(("10,000 requests to KMS", 10_000), 3_000_000, KMS);
/// A key of KMS for a month.
pub const KMS_KEY: Price = price(("month of a KMS key", 1), PICODOLLARS, KMS);
/// A byte of logs that is ingested.
pub const LOG_BYTE: Price = price(("GB of logs, ingested", GB), 500, CLOUDWATCH);
/// A byte of logs that is kept for a month. Log groups keep it for 30 days.
pub const KEPT_LOG_BYTE: Price = price(("GB-month of logs", GB), 30, CLOUDWATCH);
/// A custom metric for a month.
pub const METRIC: Price = price(("month of a custom metric", 1), 300_000_000_000, CLOUDWATCH);
/// A metric in an alarm for a month.
pub const ALARM: Price = price(("month of a metric in an alarm", 1), 100_000_000_000, CLOUDWATCH);
/// A composite alarm for a month.
pub const COMPOSITE_ALARM: Price = price(("month of a composite alarm", 1), 500_000_000_000, CLOUDWATCH);
/// A dashboard for a month. The first three of an account are free.
pub const DASHBOARD: Price = price(("month of a dashboard", 1), 3_000_000_000_000, CLOUDWATCH);
/// A secret for a month.
pub const SECRET: Price = price(("month of a secret", 1), 400_000_000_000, SECRETS);
/// A byte to the internet, of a webhook or an answer.
pub const BYTE_OUT: Price = price(("GB to the internet", GB), 90, TRANSFER);

/// The metrics in alarms that an account has free, always. Composite alarms are not among them (the page of
/// CloudWatch, 2025, not checked since).
pub const FREE_ALARM_METRICS: u64 = 10;
/// The dashboards that an account has free, always, of up to [`FREE_DASHBOARD_METRICS`] each (the same page).
pub const FREE_DASHBOARDS: u64 = 3;
/// The most metrics of a free dashboard.
pub const FREE_DASHBOARD_METRICS: usize = 50;
/// The requests to SQS that an account has free each month, always (<https://cloudburn.io/blog/amazon-sqs-pricing>, 2026-03).
pub const FREE_QUEUE_REQUESTS: u64 = 1_000_000;

/// All prices.
pub const ALL: [Price; 19] = [
    WRITE_UNIT,
    HALF_READ_UNIT,
    STORED_BYTE,
    RECOVERABLE_BYTE,
    QUEUE_REQUEST,
    FAIR_SEND,
    INVOCATION,
    GB_SECOND,
    REQUEST,
    KMS_REQUEST,
    KMS_KEY,
    LOG_BYTE,
    KEPT_LOG_BYTE,
    METRIC,
    ALARM,
    COMPOSITE_ALARM,
    DASHBOARD,
    SECRET,
    BYTE_OUT,
];

impl Price {
    /// Returns the price of this many units.
    #[must_use]
    pub fn of(&self, units: u64) -> Picodollars {
        self.picodollars * Picodollars::from(units)
    }
}

/// Returns the amount in dollars with this many decimals, rounded.
#[must_use]
pub fn dollars(amount: Picodollars, decimals: u32) -> String {
    let unit = PICODOLLARS / 10_u128.pow(decimals);
    let rounded = (amount + unit / 2) / unit;
    let scale = 10_u128.pow(decimals);
    if decimals == 0 {
        return rounded.to_string();
    }
    format!("{}.{:0width$}", rounded / scale, rounded % scale, width = decimals as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_those_of_the_price_lists() {
        let listed = ALL.map(|price| dollars(price.of(price.units), 4));
        let expected = [
            "0.6250", "0.1250", "0.2500", "0.2000", "0.4000", "0.1000", "0.2000", "13.3334", "3.5000",
            "0.0300", "1.0000", "0.5000", "0.0300", "0.3000", "0.1000", "0.5000", "3.0000", "0.4000",
            "0.0900",
        ];
        assert_eq!(listed, expected);
        assert_eq!(dollars(REQUEST.of(1_000_000), 0), "4", "3.50, rounded");
        assert!(ALL.iter().all(|price| price.source.page.starts_with("https://")));
    }
}
