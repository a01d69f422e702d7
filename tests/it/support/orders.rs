//! Runs futures step by step, in every order of their steps. A step ends where a future waits: in memory, before each call of a
//! port. Calls that a future makes at the same time are one step.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::runtime::{Builder, Runtime};

/// More steps than a story makes.
const MAX_STEPS: usize = 10_000;

/// More orders than a story has.
const MAX_ORDERS: usize = 100_000;

/// One order of steps.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// The choice at each step, and the number of futures among which it was made.
    choices: Vec<(usize, usize)>,
    /// The number of steps that were made.
    steps: usize,
}

/// A future of a story.
pub(crate) type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

impl Order {
    /// Runs these futures to their ends, in this order.
    pub(crate) fn run(&mut self, runtime: &Runtime, mut tasks: Vec<Task<'_>>) {
        let _context = runtime.enter(); // for timers; no time passes
        while !tasks.is_empty() {
            assert!(self.steps < MAX_STEPS, "a future waits for something else than a port");
            let chosen = self.choose(tasks.len());
            let mut waker = Context::from_waker(Waker::noop());
            if let Poll::Ready(()) = tasks[chosen].as_mut().poll(&mut waker) {
                drop(tasks.remove(chosen));
            }
        }
    }

    fn choose(&mut self, options: usize) -> usize {
        if self.choices.get(self.steps).is_none_or(|(_, of)| *of != options) {
            self.choices.truncate(self.steps); // what a process decides at random can make it longer or shorter
            self.choices.push((0, options));
        }
        let (chosen, _) = self.choices[self.steps];
        self.steps += 1;
        chosen
    }

    /// Moves on to the next order; returns `false` after the last one.
    fn advance(&mut self) -> bool {
        self.choices.truncate(self.steps);
        self.steps = 0;
        while let Some((chosen, options)) = self.choices.pop() {
            if chosen + 1 < options {
                self.choices.push((chosen + 1, options));
                return true;
            }
        }
        false
    }
}

/// Calls the story with every order, and returns the number of orders.
pub(crate) fn in_every_order(mut story: impl FnMut(&Runtime, &mut Order)) -> usize {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let (mut order, mut count) = (Order::default(), 0);
    loop {
        story(&runtime, &mut order);
        count += 1;
        assert!(count < MAX_ORDERS, "too many orders");
        if !order.advance() {
            return count;
        }
    }
}
