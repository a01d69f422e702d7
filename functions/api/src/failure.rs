//! A problem on its way to the client: the handler gives it, the outermost layer adds the request id.

use axum::response::{IntoResponse, Response};
use domain::problem::Problem;
use runtime::answer::Answer;

/// What every handler gives back.
pub(crate) type Outcome = Result<Answer, Failure>;

/// A problem that `?` carries out of a handler.
#[derive(Clone, Debug)]
pub(crate) struct Failure(pub(crate) Problem);

impl<E: Into<Problem>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    /// An empty answer that carries the problem for [`crate::router::answer`] to write out.
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(self);
        response
    }
}
