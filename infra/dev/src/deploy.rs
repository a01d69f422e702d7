//! Deploys the project's `template.yaml` into the emulator.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::aws::{Aws, find_xml_texts};
use crate::environment;
use crate::error::{Error, IoContext as _};

/// The name of the `CloudFormation` stack. The names of functions and queues begin with it.
pub(crate) const STACK_NAME: &str = "triggers";

/// The S3 bucket that holds the template and the code.
const BUCKET: &str = "triggers-dev";

/// The name of the code in the bucket.
const CODE: &str = "code.zip";

/// The deployed code: an empty archive. The emulator forwards every invocation to the processes
/// that `cargo dev` starts.
const EMPTY_ZIP: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// How long the deployment may take (0.5 s on an idle machine).
const DEPLOY_TIMEOUT: Duration = Duration::from_mins(1);

/// The pause between two reads of the stack status.
const POLL_INTERVAL: Duration = Duration::from_millis(30);

/// The parameters that differ from the defaults of the template. The visibility timeouts are short,
/// so that the messages of a killed process return soon.
pub const PARAMETERS: [(&str, &str); 6] = [
    ("Signup", "open"),
    ("Environment", "local"),
    ("LogLevel", "debug"),
    ("ConsumerVisibilitySeconds", "6"),
    ("DeliveryVisibilitySeconds", "20"),
    ("ErasurePauseSeconds", "5"),
];

/// The outputs of the deployed template by name.
#[derive(Debug)]
pub(crate) struct Deployed {
    outputs: BTreeMap<String, String>,
}

impl Deployed {
    /// Deploys the template and waits until the deployment is complete. `deployed` is what the emulator has kept from
    /// an earlier start: nothing, an older template, which is updated, or this template. It becomes this template.
    pub(crate) fn create(aws: &Aws, strict_endpoints: bool, deployed: &mut String) -> Result<Self, Error> {
        let path = environment::root().join("template.yaml");
        let template = fs::read_to_string(&path).context(|| format!("read {}", path.display()))?;
        let wanted = format!("{template}\n{PARAMETERS:?} {strict_endpoints}");
        let exists = !deployed.is_empty() && describe_stack(aws).is_ok();
        if !exists || *deployed != wanted {
            aws.put(BUCKET, None, b"")?;
            let action = if exists { "UpdateStack" } else { "CreateStack" };
            send_stack(aws, action, &upload(aws, &template, CODE)?, &parameters(strict_endpoints))?;
        }
        let outputs = wait_until_complete(aws)?;
        *deployed = wanted;
        Ok(Self { outputs })
    }

    /// Returns an output of the template.
    pub(crate) fn output(&self, name: &str) -> Result<&str, Error> {
        let missing = || Error::Deploy(format!("the template has no output {name}"));
        self.outputs.get(name).map(String::as_str).ok_or_else(missing)
    }

    /// Returns the base URL of the REST API in the emulator at `endpoint`.
    pub(crate) fn url(&self, endpoint: &str) -> Result<String, Error> {
        let stage = self.output("ApiUrl")?.rsplit('/').next().unwrap_or_default();
        Ok(format!("{endpoint}/_aws/execute-api/{}/{stage}", self.output("ApiId")?))
    }

    /// Returns the deployed table names. The key is the output name without `Table`.
    pub(crate) fn tables(&self) -> BTreeMap<String, String> {
        let table =
            |(name, value): (&String, &String)| Some((name.strip_suffix("Table")?.to_owned(), value.clone()));
        self.outputs.iter().filter_map(table).collect()
    }

    /// Returns the queue URLs. The key is the queue name without the stack name.
    pub(crate) fn queues(&self) -> BTreeMap<String, String> {
        let queue = |(name, url): (&String, &String)| {
            let short_name = url.rsplit('/').next()?.strip_prefix(STACK_NAME)?.strip_prefix('-')?;
            let is_queue = name.ends_with("QueueUrl") || name.ends_with("DlqUrl");
            is_queue.then(|| (short_name.to_owned(), url.clone()))
        };
        self.outputs.iter().filter_map(queue).collect()
    }
}

/// Returns the description of the `CloudFormation` stack. It is an error if there is none.
fn describe_stack(aws: &Aws) -> Result<String, Error> {
    aws.query("cloudformation", &[("Action", "DescribeStacks"), ("StackName", STACK_NAME)])
}

/// Updates the stack to the template with the code under this name, and these parameters besides [`PARAMETERS`]. Waits until the
/// update is complete.
pub(crate) fn update(aws: &Aws, code: &str, changes: &[(&str, &str)]) -> Result<(), Error> {
    let path = environment::root().join("template.yaml");
    let template = fs::read_to_string(&path).context(|| format!("read {}", path.display()))?;
    let url = upload(aws, &template, code)?;
    send_stack(aws, "UpdateStack", &url, &[&parameters(false), changes].concat())?;
    wait_until_complete(aws).map(drop)
}

/// Deletes the stack, and waits until it is gone.
pub(crate) fn delete(aws: &Aws) -> Result<(), Error> {
    aws.query("cloudformation", &[("Action", "DeleteStack"), ("StackName", STACK_NAME)])?;
    let deadline = Instant::now() + DEPLOY_TIMEOUT;
    while let Ok(response) = describe_stack(aws) {
        let status = find_xml_texts(&response, "StackStatus").pop().unwrap_or_default();
        match status.as_str() {
            "DELETE_COMPLETE" => break,
            "DELETE_IN_PROGRESS" if Instant::now() < deadline => thread::sleep(POLL_INTERVAL),
            _ => return Err(Error::Deploy(read_failures(aws).unwrap_or(status))),
        }
    }
    Ok(())
}

/// Uploads the code and the template that names it. Returns the URL of the template.
fn upload(aws: &Aws, template: &str, code: &str) -> Result<String, Error> {
    aws.put(BUCKET, Some(code), EMPTY_ZIP)?;
    aws.put(BUCKET, Some("template.yaml"), rewrite_code_uri(template, code).as_bytes())
}

/// Returns the parameters of the local stack.
fn parameters(strict_endpoints: bool) -> Vec<(&'static str, &'static str)> {
    let loopback_endpoints = if strict_endpoints { "refused" } else { "allowed" };
    PARAMETERS.into_iter().chain([("LoopbackEndpoints", loopback_endpoints)]).collect()
}

/// Starts the creation or the update of the `CloudFormation` stack from the template at `url`.
fn send_stack(aws: &Aws, action: &str, url: &str, parameters: &[(&str, &str)]) -> Result<(), Error> {
    let mut request: Vec<(String, &str)> = [
        ("Action", action),
        ("StackName", STACK_NAME),
        ("TemplateURL", url),
        ("OnFailure", "DO_NOTHING"),
        ("Capabilities.member.1", "CAPABILITY_IAM"),
        ("Capabilities.member.2", "CAPABILITY_AUTO_EXPAND"),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for (n, (key, value)) in parameters.iter().enumerate() {
        let member = format!("Parameters.member.{}", n + 1);
        request.push((format!("{member}.ParameterKey"), key));
        request.push((format!("{member}.ParameterValue"), value));
    }
    let pairs: Vec<(&str, &str)> = request.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    aws.query("cloudformation", &pairs)?;
    Ok(())
}

/// Returns the configuration of a function: the response of `GetFunctionConfiguration`.
pub(crate) fn get_function_configuration(aws: &Aws, function: &str) -> Result<Value, Error> {
    aws.lambda("GET", &format!("functions/{STACK_NAME}-{function}/configuration"), &Value::Null)
}

/// Returns the environment variables that the template sets for a function, with all references
/// resolved.
pub(crate) fn get_function_variables(aws: &Aws, function: &str) -> Result<BTreeMap<String, String>, Error> {
    let variables = get_function_configuration(aws, function)?["Environment"]["Variables"].take();
    Ok(serde_json::from_value(variables).unwrap_or_default())
}

/// Sets the maximum concurrency of every event source mapping to `batches` of its function.
///
/// It must not be much higher than the number of processes. More batches would wait at the Runtime
/// API while their visibility timeout runs out, and at 100 waiting batches the Runtime API locks up.
/// It is a number here because the emulator fails on a template parameter, which is text.
pub(crate) fn limit_queues(aws: &Aws, batches: impl Fn(&str) -> usize) -> Result<(), Error> {
    let response = aws.lambda("GET", "event-source-mappings/", &Value::Null)?;
    for mapping in response["EventSourceMappings"].as_array().into_iter().flatten() {
        let path = format!("event-source-mappings/{}", mapping["UUID"].as_str().unwrap_or_default());
        let function =
            mapping["FunctionArn"].as_str().unwrap_or_default().rsplit(':').next().unwrap_or_default();
        let function = function.strip_prefix(STACK_NAME).unwrap_or_default().trim_start_matches('-');
        let maximum = json!({"ScalingConfig": {"MaximumConcurrency": batches(function)}});
        aws.lambda("PUT", &path, &maximum)?;
    }
    Ok(())
}

/// Replaces every `CodeUri` of the template with the URI of the uploaded code.
fn rewrite_code_uri(template: &str, code: &str) -> String {
    let rewrite_line = |line: &str| match line.split_once("CodeUri:") {
        Some((indent, _)) if indent.trim().is_empty() => {
            format!("{indent}CodeUri: s3://{BUCKET}/{code}\n")
        }
        _ => format!("{line}\n"),
    };
    template.lines().map(rewrite_line).collect()
}

/// Waits until the stack is created. Returns its outputs.
fn wait_until_complete(aws: &Aws) -> Result<BTreeMap<String, String>, Error> {
    let deadline = Instant::now() + DEPLOY_TIMEOUT;
    loop {
        let response = describe_stack(aws)?;
        let status = find_xml_texts(&response, "StackStatus").pop().unwrap_or_default();
        match status.as_str() {
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" => {
                let names = find_xml_texts(&response, "OutputKey");
                return Ok(names.into_iter().zip(find_xml_texts(&response, "OutputValue")).collect());
            }
            "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS" | "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
                if Instant::now() < deadline =>
            {
                thread::sleep(POLL_INTERVAL);
            }
            _ => return Err(Error::Deploy(read_failures(aws).unwrap_or(status))),
        }
    }
}

/// Returns the failed resources with their reasons. Returns `None` if there are none.
fn read_failures(aws: &Aws) -> Option<String> {
    let request = [("Action", "DescribeStackEvents"), ("StackName", STACK_NAME)];
    let events = find_xml_texts(&aws.query("cloudformation", &request).ok()?, "member");
    let describe_failure = |event: &String| {
        let text = |name| find_xml_texts(event, name).pop().unwrap_or_default();
        let is_resource = text("LogicalResourceId") != STACK_NAME;
        (is_resource && text("ResourceStatus").ends_with("_FAILED"))
            .then(|| format!("{}: {}", text("LogicalResourceId"), text("ResourceStatusReason")))
    };
    let failures: Vec<String> = events.iter().filter_map(describe_failure).collect();
    (!failures.is_empty()).then(|| failures.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_code_uri_is_rewritten() {
        let template = "Globals:\n  Function:\n    CodeUri: .\n    Runtime: provided.al2023 # CodeUri: .\n";
        let expected = "Globals:\n  Function:\n    CodeUri: s3://triggers-dev/code.zip\n    Runtime: provided.al2023 # CodeUri: .\n";
        assert_eq!(rewrite_code_uri(template, CODE), expected);
    }

    #[test]
    fn url_tables_and_queues_come_from_the_outputs() {
        let outputs = [
            ("ApiId", "abc123"),
            ("ApiUrl", "https://abc123.execute-api.us-east-1.amazonaws.com/v1"),
            ("ControlTable", "triggers-ControlTable-X"),
            ("EventsDlqUrl", "http://127.0.0.1:4566/000000000000/triggers-events-dlq"),
        ];
        let owned = outputs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let deployed = Deployed { outputs: owned.into() };
        let url = deployed.url("http://127.0.0.1:4566").unwrap();
        assert_eq!(url, "http://127.0.0.1:4566/_aws/execute-api/abc123/v1");
        assert_eq!(deployed.tables()["Control"], "triggers-ControlTable-X");
        assert_eq!(deployed.queues().into_keys().collect::<Vec<_>>(), ["events-dlq"]);
    }
}
