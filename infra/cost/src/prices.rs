//! The list prices of us-east-1, in one table, each with its page and the date of which it is. Where third parties quote the
//! page, the date is theirs; AWS's own pages were not read by a machine. Check a price before you rely on it. Free tiers, volume
//! discounts and taxes are left out.

/// The currency of the meter: millionths of a millionth of a dollar, so that the price of every unit is a whole number.
pub type Picodollars = u128;

const PICODOLLARS: Picodollars = 1_000_000_000_000;

/// The price of one unit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Price {
    /// What one unit is.
    pub unit: &'static str,
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

const fn price(unit: &'static str, picodollars: Picodollars, source: Source) -> Price {
    Price { unit, picodollars, source }
}

/// $0.625 per million.
pub const WRITE_UNIT: Price = price("write request unit", 625_000, DYNAMODB);
/// $0.125 per million units, so half of that for half a unit.
pub const HALF_READ_UNIT: Price = price("half a read request unit", 62_500, DYNAMODB);
/// $0.25 per GB and month.
pub const STORED_BYTE: Price = price("byte-month in a table", 250, DYNAMODB);
/// $0.20 per GB and month: every table has point-in-time recovery.
pub const RECOVERABLE_BYTE: Price = price("byte-month of point-in-time recovery", 200, DYNAMODB);
/// $0.40 per million.
pub const QUEUE_REQUEST: Price = price("request of SQS, of 64 KB", 400_000, SQS);
/// $0.10 per million on top, for a request that sends messages with a message group. Third parties report it
/// (<https://cloudburn.io/blog/amazon-sqs-pricing>, 2026-03); that receives and deletes are free of it is an assumption.
pub const FAIR_SEND: Price = price("send to a fair queue, on top", 100_000, SQS);
/// $0.20 per million.
pub const INVOCATION: Price = price("invocation", 200_000, LAMBDA);
/// $0.0000133334 per GB-second on arm64.
pub const GB_SECOND: Price = price("GB-second on arm64", 13_333_400, LAMBDA);
/// $3.50 per million requests of a REST API.
pub const REQUEST: Price = price("request of a REST API", 3_500_000, API_GATEWAY);
/// $0.03 per 10,000.
pub const KMS_REQUEST: Price = price("request of KMS", 3_000_000, KMS);
/// $1 per month.
pub const KMS_KEY: Price = price("KMS key and month", PICODOLLARS, KMS);
/// $0.50 per GB.
pub const LOG_BYTE: Price = price("byte of logs, ingested", 500, CLOUDWATCH);
/// $0.03 per GB and month. Logs are kept for 30 days.
pub const KEPT_LOG_BYTE: Price = price("byte-month of logs", 30, CLOUDWATCH);
/// $0.30 per month.
pub const METRIC: Price = price("custom metric and month", 300_000_000_000, CLOUDWATCH);
/// $0.10 per month.
pub const ALARM: Price = price("alarm and month", 100_000_000_000, CLOUDWATCH);
/// $0.40 per month.
pub const SECRET: Price = price("secret and month", 400_000_000_000, SECRETS);
/// $0.09 per GB to the internet: webhooks and answers.
pub const BYTE_OUT: Price = price("byte to the internet", 90, TRANSFER);

/// All prices.
pub const ALL: [Price; 17] = [
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
        assert_eq!(dollars(WRITE_UNIT.of(1_000_000), 3), "0.625");
        assert_eq!(dollars(HALF_READ_UNIT.of(2_000_000), 3), "0.125");
        assert_eq!(dollars(KMS_REQUEST.of(10_000), 2), "0.03");
        assert_eq!(dollars(LOG_BYTE.of(1_000_000_000), 2), "0.50");
        assert_eq!(dollars(GB_SECOND.of(1), 10), "0.0000133334");
        assert_eq!(dollars(REQUEST.of(1_000_000), 0), "4", "3.50, rounded");
        assert!(ALL.iter().all(|price| price.picodollars > 0 && price.source.page.starts_with("https://")));
    }
}
