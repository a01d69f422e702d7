//! The local stack that the stories of this process share, and the turns of what needs all processors.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use dev::options::Options;
use dev::stack::Stack;

static STACK: LazyLock<Stack> = LazyLock::new(|| {
    Stack::start(&Options::isolated("web")).unwrap_or_else(|error| panic!("no local stack: {error}"))
});

static TURN: Mutex<()> = Mutex::new(());

/// Returns the stack, and starts it if this is the first call. Stories keep apart by tenants.
pub(crate) fn shared() -> &'static Stack {
    &STACK
}

/// Waits until no other test compiles or drives a browser. The turn lasts as long as the guard.
pub(crate) fn take_turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
