//! The rules of the template: parameters that would hurt are refused before anything is created.

use serde_json::json;

use crate::deployed::support::stack::shared;
use crate::support::python::run;

/// Creates a stack from the template with these parameters, and prints why it was refused.
const CREATE: &str = "
import boto3, json, sys
from botocore.exceptions import ClientError
call = json.load(sys.stdin)
client = boto3.client('cloudformation', endpoint_url=call['endpoint'], region_name='us-east-1',
                      aws_access_key_id='test', aws_secret_access_key='test')
parameters = [{'ParameterKey': name, 'ParameterValue': value} for name, value in call['parameters'].items()]
try:
    client.create_stack(StackName=call['name'], TemplateBody=open(call['template']).read(), Parameters=parameters,
                        Capabilities=['CAPABILITY_IAM', 'CAPABILITY_AUTO_EXPAND'])
    print('created')
except ClientError as error:
    print(error)
";

#[test]
fn parameters_that_would_hurt_are_refused_before_anything_is_created() {
    let template = format!("{}/../template.yaml", env!("CARGO_MANIFEST_DIR"));
    for (parameters, reason) in [
        (json!({"AlarmsRequired": "yes"}), "No alarm would reach anybody"),
        (json!({"LoopbackEndpoints": "allowed"}), "needs Environment=local"),
        (json!({"ConsumerVisibilitySeconds": "30"}), "must be 180 in AWS"),
        (json!({"DeliveryVisibilitySeconds": "60"}), "must be 360 in AWS"),
        (json!({"RequestsPerAddress": "9"}), "must be 0 or at least 10"),
    ] {
        let call = json!({
            "endpoint": shared().summary().emulator,
            "name": "refused",
            "template": template,
            "parameters": parameters,
        });
        let said = run(CREATE, &call).unwrap_or_else(|error| panic!("{parameters}: {error}"));
        assert!(said.contains(reason), "{parameters}: {said}");
    }
}
