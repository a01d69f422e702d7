//! The scheduler and drain of a pipeline.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};

use super::Pipeline;

impl Pipeline {
    /// Lets the scheduler come once, and drain handle what it shares out. A share whose process dies does not come back: when it
    /// is visible again, its minute is over.
    pub(crate) async fn schedule(&self) {
        let mut shares = self.share_out().await;
        while !shares.records.is_empty() && !self.faults.is_dead() {
            self.drain(shares).await;
            shares = self.take_shares();
        }
    }

    /// Lets the scheduler come once; returns the shares, which drain has not handled.
    pub(crate) async fn share_out(&self) -> SqsEvent {
        self.scheduler.handle(self.in_a_minute()).await;
        self.take_shares()
    }

    fn take_shares(&self) -> SqsEvent {
        let batch = self.drains.take();
        self.drains.settle(&batch, &SqsBatchResponse::default());
        batch
    }

    /// Lets drain handle these shares.
    pub(crate) async fn drain(&self, shares: SqsEvent) {
        self.drain.handle(shares, self.in_a_minute()).await;
    }
}
