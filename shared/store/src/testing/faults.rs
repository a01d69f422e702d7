//! Bad luck on demand: a fault at any chosen call of any port.

use std::sync::{Arc, Mutex, PoisonError};

use crate::unavailable::{PortResult, Unavailable};

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// It has no effect, and the caller sees an error.
    Refused,
    /// It has its effect, and the caller sees an error.
    AnswerLost,
}

impl Fault {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Refused, Self::AnswerLost];
}

/// Counts the calls of all ports that share it, and spoils the one that was chosen; all later ones are refused too
/// until [`Faults::recover`], as if the process had died there.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    calls: usize,
    plan: Option<(usize, Fault)>,
}

impl Faults {
    /// Lets the process die at this call, counted from 0 from now on.
    pub fn die_at(&self, call: usize, fault: Fault) {
        *self.state() = State { calls: 0, plan: Some((call, fault)) };
    }

    /// Whether the process is dead by now: the planned fault has happened.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        let state = self.state();
        state.plan.is_some_and(|(call, _)| state.calls > call)
    }

    /// Lets every call succeed again, and tells whether the planned fault happened.
    #[must_use]
    pub fn recover(&self) -> bool {
        let died = self.is_dead();
        *self.state() = State::default();
        died
    }

    /// Runs one call of a port through the plan.
    ///
    /// # Errors
    /// Where the plan says so.
    pub fn call<T>(&self, operation: &'static str, effect: impl FnOnce() -> T) -> PortResult<T> {
        let fault = {
            let mut state = self.state();
            let call = state.calls;
            state.calls += 1;
            match state.plan {
                Some((at, fault)) if call == at => Some(fault),
                Some((at, _)) if call > at => Some(Fault::Refused),
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

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
