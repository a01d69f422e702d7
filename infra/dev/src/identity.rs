//! The AWS credentials of a function. They make the emulator enforce the policies of the function's
//! role in `template.yaml`.
//!
//! Lambda gives a function temporary credentials of its role and renews them. Here a function gets
//! the credentials of an IAM user with the same policies. They do not expire.

use crate::aws::{Aws, find_xml_texts, percent_decode};
use crate::deploy::{STACK_NAME, get_function_configuration};
use crate::error::Error;

/// The environment variable that makes the emulator enforce IAM policies. The access key `test`
/// keeps all permissions.
pub(crate) const ENFORCE_IAM: (&str, &str) = ("AUTH", "true");

/// Creates an IAM user with the policies of a function's role, and returns the environment
/// variables with its access key.
pub(crate) fn create_credentials(aws: &Aws, function: &str) -> Result<[(String, String); 2], Error> {
    let configuration = get_function_configuration(aws, function)?;
    let role_arn = configuration["Role"].as_str().unwrap_or_default();
    let role = role_arn.rsplit('/').next().unwrap_or_default();
    let user = format!("{STACK_NAME}-{function}");
    let _exists = aws.query("iam", &[("Action", "CreateUser"), ("UserName", &user)]); // kept from the last start
    delete_access_keys(aws, &user)?;
    copy_inline_policies(aws, role, &user)?;
    copy_managed_policies(aws, role, &user)?;
    let key = aws.query("iam", &[("Action", "CreateAccessKey"), ("UserName", &user)])?;
    Ok([
        ("AWS_ACCESS_KEY_ID".to_owned(), find_xml_text(&key, "AccessKeyId")?),
        ("AWS_SECRET_ACCESS_KEY".to_owned(), find_xml_text(&key, "SecretAccessKey")?),
    ])
}

/// Deletes the access keys of the last start.
fn delete_access_keys(aws: &Aws, user: &str) -> Result<(), Error> {
    let keys = aws.query("iam", &[("Action", "ListAccessKeys"), ("UserName", user)])?;
    for key in find_xml_texts(&keys, "AccessKeyId") {
        aws.query("iam", &[("Action", "DeleteAccessKey"), ("UserName", user), ("AccessKeyId", &key)])?;
    }
    Ok(())
}

fn copy_inline_policies(aws: &Aws, role: &str, user: &str) -> Result<(), Error> {
    let policies = aws.query("iam", &[("Action", "ListRolePolicies"), ("RoleName", role)])?;
    for name in find_xml_texts(&policies, "member") {
        let get = [("Action", "GetRolePolicy"), ("RoleName", role), ("PolicyName", &name)];
        let document = percent_decode(&find_xml_text(&aws.query("iam", &get)?, "PolicyDocument")?);
        let put = [
            ("Action", "PutUserPolicy"),
            ("UserName", user),
            ("PolicyName", &name),
            ("PolicyDocument", &document),
        ];
        aws.query("iam", &put)?;
    }
    Ok(())
}

fn copy_managed_policies(aws: &Aws, role: &str, user: &str) -> Result<(), Error> {
    let policies = aws.query("iam", &[("Action", "ListAttachedRolePolicies"), ("RoleName", role)])?;
    for arn in find_xml_texts(&policies, "PolicyArn") {
        aws.query("iam", &[("Action", "AttachUserPolicy"), ("UserName", user), ("PolicyArn", &arn)])?;
    }
    Ok(())
}

fn find_xml_text(xml: &str, name: &str) -> Result<String, Error> {
    let missing = || Error::Deploy(format!("the response of IAM has no {name}: {xml}"));
    find_xml_texts(xml, name).pop().ok_or_else(missing)
}
