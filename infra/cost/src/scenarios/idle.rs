//! A month without any event.

use std::time::Duration;

use tokio::time::sleep;

use crate::bill::Bill;
use crate::clock::in_simulated_time;
use crate::counts::Counts;
use crate::measured::Measurement;
use crate::prices::{
    ALARM, COMPOSITE_ALARM, DASHBOARD, FREE_ALARM_METRICS, FREE_DASHBOARDS, FREE_QUEUE_REQUESTS, KMS_KEY,
    METRIC, Picodollars, QUEUE_REQUEST, SECRET,
};
use crate::system::System;
use crate::template::Stack;

/// A month of 30 days, in minutes: the scheduler runs in each.
const MINUTES: u64 = 30 * 24 * 60;

/// Lambda polls an idle queue with five requests at a time, each of which waits 20 s for a message
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>).
const POLLS_PER_MINUTE: u64 = 5 * 3;

/// What a month costs before the first event.
#[derive(Clone, Debug)]
pub struct Month {
    /// The stack.
    pub stack: Stack,
    /// What one visit of the scheduler does.
    pub visit: Counts,
    /// The empty receives of Lambda.
    pub polls: u64,
    /// Each cost, by what it is for.
    pub costs: Vec<(&'static str, Picodollars)>,
    /// What of it is free for the first stack of an account.
    free: Picodollars,
}

/// Measures the visit of the scheduler, and adds what is billed by the month.
///
/// # Panics
/// If the runtime does not start.
#[must_use]
pub fn measure(stack: Stack) -> Month {
    let visit = in_simulated_time(async {
        let system = System::start(1, 1);
        system.visit().await;
        sleep(Duration::from_mins(1)).await;
        let measurement = Measurement::begin(&system);
        system.visit().await;
        measurement.end(&system, 1).counts
    });
    let polls = stack.count_queue_mappings() * POLLS_PER_MINUTE * MINUTES;
    let of_visit = Bill::of(&visit, 0);
    let in_month = |amount: Picodollars| amount * Picodollars::from(MINUTES);
    let metrics = visit.metrics.len() as u64;
    let alarms = stack.count_alarm_metrics();
    let dashboards = stack.count_resources("AWS::CloudWatch::Dashboard");
    let costs = vec![
        ("polling of idle queues", QUEUE_REQUEST.of(polls)),
        ("scheduler: reads", in_month(of_visit.dynamodb)),
        ("scheduler: Lambda", in_month(of_visit.lambda)),
        ("scheduler: logs", in_month(of_visit.logs)),
        ("alarms", ALARM.of(alarms)),
        ("composite alarm", COMPOSITE_ALARM.of(stack.count_resources("AWS::CloudWatch::CompositeAlarm"))),
        ("dashboard", DASHBOARD.of(dashboards)),
        ("secrets", SECRET.of(stack.count_resources("AWS::SecretsManager::Secret"))),
        ("KMS key", KMS_KEY.of(stack.count_resources("AWS::KMS::Key"))),
        ("metrics of the scheduler", METRIC.of(metrics)),
    ];
    let free = QUEUE_REQUEST.of(polls.min(FREE_QUEUE_REQUESTS))
        + ALARM.of(alarms.min(FREE_ALARM_METRICS))
        + DASHBOARD.of(dashboards.min(FREE_DASHBOARDS));
    Month { stack, visit, polls, costs, free }
}

impl Month {
    /// Returns the sum of the costs.
    #[must_use]
    pub fn total(&self) -> Picodollars {
        self.costs.iter().map(|(_, amount)| amount).sum()
    }

    /// Returns what is left of it for the first stack of an account, which uses the free tiers alone.
    #[must_use]
    pub fn of_first_stack(&self) -> Picodollars {
        self.total() - self.free
    }
}
