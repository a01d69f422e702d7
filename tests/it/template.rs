//! `template.yaml`: what would fail, hurt or cost in an account of AWS, where no test runs it.

use serde_json::{Value, json};

use crate::support::python::run;

/// Reads the template as `cfn-lint` does, so that the short forms of functions become objects.
const READ: &str = "
import json, sys
from cfnlint.decode import cfn_yaml
print(json.dumps(cfn_yaml.load(json.load(sys.stdin))))
";

/// Checks the template by the package `cfn-lint` from `PyPI`; prints what it finds.
const LINT: &str = "
import json, sys
from cfnlint.api import lint_file
from pathlib import Path
print(''.join(f'{match}\\n' for match in lint_file(Path(json.load(sys.stdin)))))
";

/// Transforms the template as AWS does, with an alias for each function, and two values of a parameter that reaches the variables of
/// functions; prints whether both have the same versions, then with another code.
const VERSIONS: &str = "
import copy, json, os, sys
from types import SimpleNamespace
os.environ['AWS_DEFAULT_REGION'] = 'us-east-1'
from cfnlint.decode import cfn_yaml
from samtranslator.translator.transform import transform
template = json.loads(json.dumps(cfn_yaml.load(json.load(sys.stdin))))
def versions(code, owner):
    this = copy.deepcopy(template)
    this['Globals']['Function'].update(CodeUri=code, AutoPublishAlias='live', AutoPublishAliasAllProperties=True)
    made = transform(this, {'OwnHosts': owner}, SimpleNamespace(load=lambda: {}))
    return sorted(name for name, one in made['Resources'].items() if one['Type'] == 'AWS::Lambda::Version')
first = versions('s3://bucket/one.zip', 'one.example.com')
print(first == versions('s3://bucket/one.zip', 'two.example.com'), first == versions('s3://bucket/two.zip', 'one.example.com'))
";

/// The concurrent executions of an account, unless AWS raised them.
const ACCOUNT_CONCURRENCY: u64 = 1000;

/// What AWS never lets a function reserve.
const UNRESERVED: u64 = 100;

fn path() -> String {
    format!("{}/../template.yaml", env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn template() -> Value {
    let text = run(READ, &json!(path())).unwrap_or_else(|error| panic!("{error}"));
    serde_json::from_str(&text).expect("JSON")
}

/// Returns the resources of a type, by name.
pub(crate) fn resources<'a>(template: &'a Value, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let all = template["Resources"].as_object().expect("resources").iter();
    let found: Vec<_> =
        all.filter(|(_, one)| one["Type"] == kind).map(|(name, one)| (name.as_str(), one)).collect();
    assert!(!found.is_empty(), "{kind}");
    found
}

/// Returns the SQS sources of a function, by name.
fn sources(function: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let events = function["Properties"]["Events"].as_object().expect("events").iter();
    events.filter(|(_, event)| event["Type"] == "SQS").map(|(name, event)| (name, &event["Properties"]))
}

#[test]
fn cfn_lint_finds_nothing() {
    assert_eq!(run(LINT, &json!(path())), Ok(String::new()));
}

/// The reason why functions have no alias (docs/decisions/0127). When this fails, SAM publishes a version for a changed parameter, and the
/// decision can be made again.
#[test]
fn with_an_alias_a_changed_parameter_would_reach_no_instance() {
    let printed = run(VERSIONS, &json!(path())).unwrap_or_else(|error| panic!("{error}"));
    let [after_parameter, after_code] = printed.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{printed}")
    };
    assert_eq!(after_parameter, "True", "a changed parameter publishes no version");
    assert_eq!(after_code, "False", "a changed code does");
    let template = template();
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        assert!(function["Properties"].get("AutoPublishAlias").is_none(), "{name}");
    }
}

#[test]
fn what_holds_data_or_keys_stays_when_the_stack_is_deleted_but_not_when_its_first_create_fails() {
    let template = template();
    let kept = ["AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::SecretsManager::Secret"];
    for (name, resource) in kept.into_iter().flat_map(|kind| resources(&template, kind)) {
        if name == "AdminTokenSecret" {
            continue; // a new stack gets another one, and loses nothing
        }
        assert_eq!(resource["DeletionPolicy"], "RetainExceptOnCreate", "{name}");
        assert_eq!(resource["UpdateReplacePolicy"], "Retain", "{name}");
    }
}

#[test]
fn tables_are_encrypted_without_a_charge_backed_up_and_can_be_protected() {
    let template = template();
    for (name, table) in resources(&template, "AWS::DynamoDB::Table") {
        let properties = &table["Properties"];
        assert!(properties.get("SSESpecification").is_none(), "{name}: KMS charges each call of this key");
        assert_eq!(properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
        assert!(properties.get("DeletionProtectionEnabled").is_some(), "{name}");
    }
}

#[test]
fn no_queue_starts_so_many_instances_that_others_have_none() {
    let template = template();
    let mut total = 0;
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        for (source, properties) in sources(function) {
            let most = properties["ScalingConfig"]["MaximumConcurrency"].as_u64();
            total += most.unwrap_or_else(|| panic!("{name}.{source} has no maximum"));
        }
    }
    let reserved: u64 = include_str!("../../samconfig.toml")
        .lines()
        .filter_map(|line| line.trim().trim_matches([',', '"']).split_once("ReservedConcurrency="))
        .map(|(_, number)| number.parse::<u64>().expect("a number"))
        .sum();
    assert!(reserved > 0 && total + reserved + UNRESERVED <= ACCOUNT_CONCURRENCY, "{total} and {reserved}");
}

#[test]
fn a_message_stays_invisible_for_six_timeouts_of_its_function() {
    let template = template();
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        let timeout = function["Properties"]["Timeout"].as_u64().expect("a timeout");
        for (source, properties) in sources(function) {
            let queue = properties["Queue"]["Fn::GetAtt"][0].as_str().expect("a queue");
            if queue == "DrainsQueue" {
                continue; // its messages are valid for one minute, and do nothing when they come back
            }
            let parameter = &template["Resources"][queue]["Properties"]["VisibilityTimeout"]["Ref"];
            let parameter = parameter.as_str().expect("a parameter");
            let seconds = template["Parameters"][parameter]["Default"].as_u64();
            assert_eq!(seconds, Some(6 * timeout), "{name}.{source}");
            let rule = template["Rules"]["VisibilityIsSixTimeouts"].to_string();
            assert!(rule.contains(parameter) && rule.contains(&format!("\"{}\"", 6 * timeout)), "{rule}");
        }
    }
}

#[test]
fn the_blocks_that_make_secrets_are_never_edited() {
    let template = template();
    for (name, secret) in resources(&template, "AWS::SecretsManager::Secret") {
        let block = &secret["Properties"]["GenerateSecretString"];
        let expected = json!({
            "PasswordLength": 43,
            "ExcludePunctuation": true,
            "ExcludeCharacters": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
        });
        assert_eq!(*block, expected, "{name}: a deploy of another block makes another secret");
    }
}

#[test]
fn an_account_whose_role_of_api_gateway_is_set_keeps_it() {
    let template = template();
    assert_eq!(template["Parameters"]["AccessLogs"]["Default"], "none");
    for name in ["ApiGatewayAccount", "ApiGatewayLogsRole"] {
        assert_eq!(template["Resources"][name]["Condition"], "OwnsGatewayRole", "{name}");
    }
    let own = json!({"Fn::Equals": [{"Ref": "AccessLogs"}, "own"]});
    assert_eq!(template["Conditions"]["OwnsGatewayRole"], own);
}

#[test]
fn throttled_visits_of_the_scheduler_do_not_come_in_a_burst() {
    let template = template();
    let config = &template["Resources"]["SchedulerFunction"]["Properties"]["EventInvokeConfig"];
    assert_eq!(*config, json!({"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}));
}

#[test]
fn the_longest_name_of_a_function_leaves_54_characters_to_the_stack() {
    const MAX_FUNCTION_NAME: usize = 64;
    let template = template();
    let suffix = |function: &Value| {
        let name = function["Properties"]["FunctionName"]["Fn::Sub"].as_str().expect("a name").to_owned();
        name.strip_prefix("${AWS::StackName}").expect("the stack's name").len()
    };
    let functions = resources(&template, "AWS::Serverless::Function");
    let longest = functions.iter().map(|(_, function)| suffix(function)).max().expect("a function");
    assert_eq!(MAX_FUNCTION_NAME - longest, 54, "docs/deploying.md says 54");
}

#[test]
fn traces_are_sent_to_x_ray_only_by_the_parameter_and_then_every_role_may_send_them() {
    let template = template();
    assert_eq!(template["Parameters"]["XRay"]["Default"], "off");
    let mode = json!({"Fn::If": ["SendTraces", "Active", "PassThrough"]});
    assert_eq!(template["Globals"]["Function"]["Tracing"], mode);
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        let role = function["Properties"]["Role"]["Fn::GetAtt"][0].as_str().expect(name);
        let statements =
            &template["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"];
        let grant = json!({"Effect": "Allow", "Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "Resource": "*"});
        let conditional = json!({"Fn::If": ["SendTraces", grant, {"Ref": "AWS::NoValue"}]});
        assert!(statements.as_array().expect(role).contains(&conditional), "{role}");
    }
}
