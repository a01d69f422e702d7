//! The project's own `template.yaml`, deployed into the emulator.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::aws::{Aws, xml_texts};
use crate::environment;
use crate::error::{Doing as _, Error};

/// The stack's name, and with it the first part of every function's and queue's name.
pub(crate) const STACK_NAME: &str = "triggers";

/// Where the emulator finds template and code.
const BUCKET: &str = "triggers-dev";

/// The code that is deployed: an empty archive, since the emulator hands every invocation to the
/// functions' own processes.
const EMPTY_ZIP: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// How long the stack may take to come up (0.5 s on an idle machine).
const PATIENCE: Duration = Duration::from_mins(1);

/// How often the emulator is asked whether it is up.
const TICK: Duration = Duration::from_millis(30);

/// The parameters that differ from those in AWS; visibility is short, so that the messages of a
/// killed process come back soon.
const PARAMETERS: [(&str, &str); 6] = [
    ("Signup", "open"),
    ("Environment", "local"),
    ("LogLevel", "debug"),
    ("ConsumerVisibilitySeconds", "6"),
    ("DeliveryVisibilitySeconds", "20"),
    ("ErasurePauseSeconds", "5"),
];

/// A deployed stack: its outputs by name.
#[derive(Debug)]
pub(crate) struct Deployed {
    outputs: BTreeMap<String, String>,
}

impl Deployed {
    /// Deploys the template and waits until it is complete.
    pub(crate) fn create(aws: &Aws, strict_endpoints: bool) -> Result<Self, Error> {
        let path = environment::root().join("template.yaml");
        let template = fs::read_to_string(&path).doing(|| format!("read {}", path.display()))?;
        aws.put(BUCKET, None, b"")?;
        aws.put(BUCKET, Some("code.zip"), EMPTY_ZIP)?;
        let url = aws.put(BUCKET, Some("template.yaml"), with_deployed_code(&template).as_bytes())?;

        let loopback = if strict_endpoints { "refused" } else { "allowed" };
        let mut call: Vec<(String, &str)> = [
            ("Action", "CreateStack"),
            ("StackName", STACK_NAME),
            ("TemplateURL", &url),
            ("OnFailure", "DO_NOTHING"),
            ("Capabilities.member.1", "CAPABILITY_IAM"),
            ("Capabilities.member.2", "CAPABILITY_AUTO_EXPAND"),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        for (n, (key, value)) in PARAMETERS.iter().chain(&[("LoopbackEndpoints", loopback)]).enumerate() {
            let member = format!("Parameters.member.{}", n + 1);
            call.push((format!("{member}.ParameterKey"), key));
            call.push((format!("{member}.ParameterValue"), value));
        }
        let call: Vec<(&str, &str)> = call.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        aws.query("cloudformation", &call)?;
        wait_until_complete(aws).map(|outputs| Self { outputs })
    }

    /// The value of an output of the template.
    pub(crate) fn output(&self, name: &str) -> Result<&str, Error> {
        let missing = || Error::Deploy(format!("the template has no output {name}"));
        self.outputs.get(name).map(String::as_str).ok_or_else(missing)
    }

    /// Where the emulator at `endpoint` serves the REST API.
    pub(crate) fn url(&self, endpoint: &str) -> Result<String, Error> {
        let stage = self.output("ApiUrl")?.rsplit('/').next().unwrap_or_default();
        Ok(format!("{endpoint}/_aws/execute-api/{}/{stage}", self.output("ApiId")?))
    }

    /// Real table names by the name before `Table` in the template.
    pub(crate) fn tables(&self) -> BTreeMap<String, String> {
        let named =
            |(name, value): (&String, &String)| Some((name.strip_suffix("Table")?.to_owned(), value.clone()));
        self.outputs.iter().filter_map(named).collect()
    }

    /// Queue URLs by queue name, without the stack's name before it.
    pub(crate) fn queues(&self) -> BTreeMap<String, String> {
        let named = |(name, url): (&String, &String)| {
            let queue = url.rsplit('/').next()?.strip_prefix(STACK_NAME)?.strip_prefix('-')?;
            (name.ends_with("QueueUrl") || name.ends_with("DlqUrl")).then(|| (queue.to_owned(), url.clone()))
        };
        self.outputs.iter().filter_map(named).collect()
    }
}

/// What Lambda knows of a function.
pub(crate) fn function_configuration(aws: &Aws, function: &str) -> Result<Value, Error> {
    aws.lambda("GET", &format!("functions/{STACK_NAME}-{function}/configuration"), &Value::Null)
}

/// The environment variables the template gives a function, references resolved.
pub(crate) fn function_variables(aws: &Aws, function: &str) -> Result<BTreeMap<String, String>, Error> {
    let variables = function_configuration(aws, function)?["Environment"]["Variables"].take();
    Ok(serde_json::from_value(variables).unwrap_or_default())
}

/// Limits every queue to `batches` under way at a time, as a number: the emulator fails on the text
/// that a template's parameter gives it, and far more than there are processes would wait at the
/// Runtime API while their visibility runs out (it locks up for good at a hundred).
pub(crate) fn limit_queues(aws: &Aws, batches: usize) -> Result<(), Error> {
    let answer = aws.lambda("GET", "event-source-mappings/", &Value::Null)?;
    for mapping in answer["EventSourceMappings"].as_array().into_iter().flatten() {
        let path = format!("event-source-mappings/{}", mapping["UUID"].as_str().unwrap_or_default());
        aws.lambda("PUT", &path, &json!({"ScalingConfig": {"MaximumConcurrency": batches}}))?;
    }
    Ok(())
}

/// The template with every `CodeUri` pointing at the uploaded code.
fn with_deployed_code(template: &str) -> String {
    let rewrite = |line: &str| match line.split_once("CodeUri:") {
        Some((indent, _)) if indent.trim().is_empty() => {
            format!("{indent}CodeUri: s3://{BUCKET}/code.zip\n")
        }
        _ => format!("{line}\n"),
    };
    template.lines().map(rewrite).collect()
}

fn wait_until_complete(aws: &Aws) -> Result<BTreeMap<String, String>, Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer =
            aws.query("cloudformation", &[("Action", "DescribeStacks"), ("StackName", STACK_NAME)])?;
        let status = xml_texts(&answer, "StackStatus").pop().unwrap_or_default();
        match status.as_str() {
            "CREATE_COMPLETE" => {
                let names = xml_texts(&answer, "OutputKey");
                return Ok(names.into_iter().zip(xml_texts(&answer, "OutputValue")).collect());
            }
            "CREATE_IN_PROGRESS" if Instant::now() < deadline => thread::sleep(TICK),
            _ => return Err(Error::Deploy(reasons(aws).unwrap_or(status))),
        }
    }
}

/// Why each resource that failed did so.
fn reasons(aws: &Aws) -> Option<String> {
    let events = [("Action", "DescribeStackEvents"), ("StackName", STACK_NAME)];
    let events = xml_texts(&aws.query("cloudformation", &events).ok()?, "member");
    let reason = |event: &String| {
        let text = |name| xml_texts(event, name).pop().unwrap_or_default();
        let of_resource = text("LogicalResourceId") != STACK_NAME;
        (of_resource && text("ResourceStatus").ends_with("_FAILED"))
            .then(|| format!("{}: {}", text("LogicalResourceId"), text("ResourceStatusReason")))
    };
    let reasons: Vec<String> = events.iter().filter_map(reason).collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_place_of_the_code_is_rewritten() {
        let template = "Globals:\n  Function:\n    CodeUri: .\n    Runtime: provided.al2023 # CodeUri: .\n";
        let expected = "Globals:\n  Function:\n    CodeUri: s3://triggers-dev/code.zip\n    Runtime: provided.al2023 # CodeUri: .\n";
        assert_eq!(with_deployed_code(template), expected);
    }

    #[test]
    fn outputs_tell_url_tables_and_queues() {
        let outputs = [
            ("ApiId", "abc123"),
            ("ApiUrl", "https://abc123.execute-api.us-east-1.amazonaws.com/v1"),
            ("ControlTable", "triggers-ControlTable-X"),
            ("EventsDlqUrl", "http://127.0.0.1:4566/000000000000/triggers-events-dlq"),
        ];
        let outputs = outputs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let deployed = Deployed { outputs };
        let url = deployed.url("http://127.0.0.1:4566").unwrap();
        assert_eq!(url, "http://127.0.0.1:4566/_aws/execute-api/abc123/v1");
        assert_eq!(deployed.tables()["Control"], "triggers-ControlTable-X");
        assert_eq!(deployed.queues().into_keys().collect::<Vec<_>>(), ["events-dlq"]);
    }
}
