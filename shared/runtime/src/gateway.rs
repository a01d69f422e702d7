//! The edge to API Gateway: reads the event of an HTTP request, and runs a handler of HTTP requests in Lambda.
//!
//! `lambda_http` ends the process at an event from which it can make no URL: its conversion unwraps. What a client sends
//! must not do that, so an event is made safe, or refused with 400, before `lambda_http` converts it.

use std::collections::HashMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::problem::{Kind, Problem};
use http::header::{HOST, HeaderMap};
use http::{StatusCode, Uri};
use lambda_http::lambda_runtime::{self, LambdaEvent, Service, service_fn};
use lambda_http::request::{LambdaRequest, RequestContext};
use lambda_http::{Adapter, Error, IntoResponse, Request, RequestExt};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use crate::answer;
use crate::request::SourceAddress;

/// The event of a request as it arrives; without a request if `lambda_http` knows no event of this form.
pub struct Event(Option<LambdaRequest>);

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let request: Option<LambdaRequest> = serde_json::from_str(raw.get()).ok();
        Ok(Self(request.filter(|request| !(has_query(request) && has_empty_list(raw.get())))))
    }
}

/// Returns whether an event of version 1 has a query. Most posts have none, and are not read a second time.
fn has_query(request: &LambdaRequest) -> bool {
    let LambdaRequest::ApiGatewayV1(event) = request else { return false };
    !event.multi_value_query_string_parameters.is_empty() || !event.query_string_parameters.is_empty()
}

/// The query of an event in version 1.
#[derive(Deserialize)]
struct Query {
    #[serde(default, rename = "multiValueQueryStringParameters")]
    lists: Value,
    #[serde(default, rename = "queryStringParameters")]
    values: Value,
}

/// Returns whether a parameter of the query has a list without a value, at which `lambda_http` ends the process. It reads a
/// text as a list of one value, so both members can have lists.
fn has_empty_list(event: &str) -> bool {
    let Ok(Query { lists, values }) = serde_json::from_str(event) else { return false };
    let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    [lists, values].iter().filter_map(Value::as_object).any(|member| member.values().any(is_empty))
}

impl Event {
    /// Returns the request, which `lambda_http` can convert. It takes neither scheme nor host from the client.
    ///
    /// # Errors
    /// 400 for a request that has no valid form.
    fn into_request(self) -> Result<LambdaRequest, Problem> {
        let mut request = self.0.ok_or_else(|| malformed("the method or a header"))?;
        let (is_uri, is_body) = match &mut request {
            LambdaRequest::ApiGatewayV1(event) => {
                remove_origin(&mut event.headers, &mut event.request_context.domain_name);
                let query = match &event.multi_value_query_string_parameters {
                    many if many.is_empty() => event.query_string_parameters.to_query_string(),
                    many => many.to_query_string(),
                };
                let stage = event.request_context.stage.as_deref();
                let is_uri = is_uri(stage, event.path.as_deref(), &query);
                (is_uri, is_body(event.is_base64_encoded, event.body.as_deref()))
            }
            LambdaRequest::ApiGatewayV2(event) => {
                remove_origin(&mut event.headers, &mut event.request_context.domain_name);
                let query = event.raw_query_string.as_deref().unwrap_or_default();
                let stage = event.request_context.stage.as_deref();
                let is_uri = is_uri(stage, event.raw_path.as_deref(), query);
                (is_uri, is_body(event.is_base64_encoded, event.body.as_deref()))
            }
            _ => (false, false),
        };
        if !is_uri {
            return Err(malformed("the path or the query"));
        }
        if !is_body {
            return Err(malformed("the body"));
        }
        Ok(request)
    }
}

fn malformed(part: &str) -> Problem {
    let detail = format!("{part} of the request has no valid form of HTTP; correct it");
    Problem::new(Kind::Malformed, detail)
}

/// Removes the scheme and the host, of which `lambda_http` makes a URL that nothing here reads. In version 1 the headers of the
/// request come from `multiValueHeaders`, which keep the host for the check of own hosts.
fn remove_origin(headers: &mut HeaderMap, domain_name: &mut Option<String>) {
    headers.remove("x-forwarded-proto");
    headers.remove(HOST);
    *domain_name = None;
}

/// Returns whether `lambda_http` can make a URI of these parts. It puts the name of a stage before most paths.
fn is_uri(stage: Option<&str>, path: Option<&str>, query: &str) -> bool {
    let path = path.unwrap_or_default();
    let staged = stage.map(|stage| format!("/{stage}{path}"));
    let mut paths = [Some(path), staged.as_deref()].into_iter().flatten();
    paths.all(|path| {
        let url = Url::parse(&format!("http://localhost{path}"));
        url.is_ok_and(|url| Uri::try_from(format!("{}?{query}", url.path())).is_ok())
    })
}

fn is_body(is_base64_encoded: bool, body: Option<&str>) -> bool {
    !is_base64_encoded || body.is_none_or(|body| BASE64_STANDARD.decode(body).is_ok())
}

/// What the function returns to API Gateway.
#[derive(Serialize)]
#[serde(untagged)]
enum Outcome<R> {
    Answered(R),
    Refused(Refusal),
}

/// An answer in the form that both versions of the events have.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refusal {
    status_code: u16,
    headers: HashMap<String, String>,
    body: String,
    is_base64_encoded: bool,
}

impl Refusal {
    fn new(problem: &Problem, request_id: &str) -> Self {
        let mut answer = answer::problem(problem, request_id);
        answer::add_header(&mut answer, "x-request-id", request_id);
        answer::protect(answer.headers_mut());
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = answer.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Self {
            status_code: answer.status().as_u16(),
            headers,
            body: answer.into_body(),
            is_base64_encoded: false,
        }
    }
}

/// Makes a service of events from a handler of requests.
pub fn service<'a, S, R>(
    handler: S,
) -> impl Service<LambdaEvent<Event>, Response = impl Serialize, Error = Error, Future: Send>
where
    S: Service<Request, Response = R, Error = Error>,
    S::Future: Send + 'a,
    R: IntoResponse + 'a,
{
    let mut adapter = Adapter::from(handler);
    service_fn(move |event: LambdaEvent<Event>| {
        let LambdaEvent { payload, context } = event;
        let request_id = context.request_id.clone();
        let answer = payload.into_request().map(|request| adapter.call(LambdaEvent::new(request, context)));
        async move {
            match answer {
                Ok(answer) => answer.await.map(Outcome::Answered),
                Err(problem) => {
                    tracing::info!(status = StatusCode::BAD_REQUEST.as_u16(), request_id, "refused");
                    Ok(Outcome::Refused(Refusal::new(&problem, &request_id)))
                }
            }
        }
    })
}

/// Returns the address of the client from the context that API Gateway adds to a request; `None` if it has none.
#[must_use]
pub fn source_address(request: &Request) -> Option<SourceAddress> {
    let address = match request.request_context_ref()? {
        RequestContext::ApiGatewayV1(context) => context.identity.source_ip.as_deref(),
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.as_deref(),
        _ => None,
    };
    address?.parse().ok().map(SourceAddress)
}

/// Returns the URL of the API as the client called it, without a slash at its end: the host, and the stage or the base path
/// of a custom domain. Returns `None` for a request that did not come through API Gateway.
#[must_use]
pub fn base_url<B>(request: &http::Request<B>) -> Option<String> {
    let RequestContext::ApiGatewayV1(context) = request.request_context_ref()? else { return None };
    let prefix = context.path.as_deref()?.strip_suffix(request.raw_http_path())?;
    let host = request.headers().get(HOST)?.to_str().ok()?;
    Some(format!("https://{host}{prefix}"))
}

/// Answers the requests of API Gateway with this handler until Lambda ends the process.
///
/// # Errors
/// The runtime interface of Lambda cannot be reached.
pub async fn run<'a, S, R>(handler: S) -> Result<(), Error>
where
    S: Service<Request, Response = R, Error = Error>,
    S::Future: Send + 'a,
    R: IntoResponse + 'a,
{
    lambda_runtime::run(service(handler)).await
}
