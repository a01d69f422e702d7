//! Errors of handlers. A handler returns a problem, and the router adds the request id and writes the response.

use axum::response::{IntoResponse, Response};
use domain::problem::Problem;
use runtime::answer::Answer;

/// The result of every handler.
pub(crate) type Outcome = Result<Answer, Failure>;

/// The error of a handler. `?` converts each error with a problem into it.
#[derive(Clone, Debug)]
pub(crate) struct Failure(pub(crate) Problem);

impl<E: Into<Problem>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    /// Returns an empty response with the problem as an extension. [`crate::router::answer`] writes its body.
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(self);
        response
    }
}
