//! Faults: tests make a chosen call of a port fail.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::unavailable::{PortResult, Unavailable};

/// How a call fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The call has no effect, and returns an error.
    Refused,
    /// The call has its effect, and returns an error.
    AnswerLost,
}

impl Fault {
    /// Both faults.
    pub const ALL: [Self; 2] = [Self::Refused, Self::AnswerLost];
}

/// A plan for the calls of the ports that share it. The chosen call fails. After [`Faults::die_at`], all later calls are
/// refused until [`Faults::recover`], as if the process had crashed.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    calls: usize,
    plan: Option<(usize, Fault)>,
    /// Whether the calls after the chosen one succeed.
    is_brief: bool,
}

impl Faults {
    /// Plans a crash at this call, counted from 0 from now on.
    pub fn die_at(&self, call: usize, fault: Fault) {
        *self.state() = State { plan: Some((call, fault)), ..State::default() };
    }

    /// Plans the failure of this one call, counted from 0 from now on.
    pub fn fail_at(&self, call: usize, fault: Fault) {
        *self.state() = State { plan: Some((call, fault)), is_brief: true, ..State::default() };
    }

    /// Returns whether the planned fault has happened.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        let state = self.state();
        state.plan.is_some_and(|(call, _)| state.calls > call)
    }

    /// Returns the number of calls since the last plan.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.state().calls
    }

    /// Removes the plan; returns whether the planned fault has happened.
    #[must_use]
    pub fn recover(&self) -> bool {
        let died = self.is_dead();
        *self.state() = State::default();
        died
    }

    /// Runs one call of a port.
    ///
    /// # Errors
    /// If the plan makes the call fail.
    pub fn call<T>(&self, operation: &'static str, effect: impl FnOnce() -> T) -> PortResult<T> {
        let fault = {
            let mut state = self.state();
            let call = state.calls;
            state.calls += 1;
            match state.plan {
                Some((at, fault)) if call == at => Some(fault),
                Some((at, _)) if call > at && !state.is_brief => Some(Fault::Refused),
                _ => None,
            }
        };
        match fault {
            None => Ok(effect()),
            Some(Fault::Refused) => Err(Unavailable::new(operation, "refused by the test")),
            Some(Fault::AnswerLost) => {
                effect();
                Err(Unavailable::new(operation, "its answer was lost by the test"))
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
