//! The deployed template in the local emulator, shared by the tests of this process.

use std::sync::LazyLock;

use dev::options::Options;
use dev::stack::Stack;

static SHARED: LazyLock<Stack> = LazyLock::new(|| {
    Stack::start(&Options::isolated("web")).unwrap_or_else(|error| panic!("no local stack: {error}"))
});

/// Returns the stack. It starts at its first use and ends with this process.
pub(crate) fn shared() -> &'static Stack {
    &SHARED
}
