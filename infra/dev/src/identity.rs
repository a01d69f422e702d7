//! As whom a function calls AWS: the emulator holds it to the policies of the role that the template gives it.
//!
//! Lambda gives a function the credentials of its role for some hours, and new ones in time. Here it gets those of a user with
//! the same policies, which do not expire.

use crate::aws::{Aws, percent_decoded, xml_texts};
use crate::deploy::{STACK_NAME, function_configuration};
use crate::error::Error;

/// What makes the emulator ask who calls; the credentials `test` may do everything.
pub(crate) const CHECKED: (&str, &str) = ("AUTH", "true");

/// The variables by which the SDK signs as a function.
pub(crate) fn credentials(aws: &Aws, function: &str) -> Result<[(String, String); 2], Error> {
    let role = function_configuration(aws, function)?["Role"].as_str().unwrap_or_default().to_owned();
    let role = role.rsplit('/').next().unwrap_or_default();
    let user = format!("{STACK_NAME}-{function}");
    aws.query("iam", &[("Action", "CreateUser"), ("UserName", &user)])?;
    let policies = aws.query("iam", &[("Action", "ListRolePolicies"), ("RoleName", role)])?;
    for name in xml_texts(&policies, "member") {
        let of_role = [("Action", "GetRolePolicy"), ("RoleName", role), ("PolicyName", &name)];
        let policy = percent_decoded(&one(&aws.query("iam", &of_role)?, "PolicyDocument")?);
        let to_user = [("UserName", user.as_str()), ("PolicyName", &name), ("PolicyDocument", &policy)];
        aws.query("iam", &[&[("Action", "PutUserPolicy")], to_user.as_slice()].concat())?;
    }
    let managed = aws.query("iam", &[("Action", "ListAttachedRolePolicies"), ("RoleName", role)])?;
    for policy in xml_texts(&managed, "PolicyArn") {
        aws.query("iam", &[("Action", "AttachUserPolicy"), ("UserName", &user), ("PolicyArn", &policy)])?;
    }
    let key = aws.query("iam", &[("Action", "CreateAccessKey"), ("UserName", &user)])?;
    Ok([
        ("AWS_ACCESS_KEY_ID".to_owned(), one(&key, "AccessKeyId")?),
        ("AWS_SECRET_ACCESS_KEY".to_owned(), one(&key, "SecretAccessKey")?),
    ])
}

fn one(xml: &str, name: &str) -> Result<String, Error> {
    xml_texts(xml, name).pop().ok_or_else(|| Error::Deploy(format!("the emulator tells no {name}: {xml}")))
}
