//! Known paths from a policy to more rights than it grants: what its holder must be allowed to do, on any resource.
//!
//! Collected from Rhino Security Labs' "AWS IAM Privilege Escalation Methods", Bishop Fox's IAM Vulnerable, and the Service
//! Authorization Reference for what each action works on.

use super::grants::On;
use super::policy::Policy;

/// A path: its name, the actions it needs together, and the service that a role is passed to.
struct Path {
    name: &'static str,
    needs: &'static [(&'static str, On)],
    service: Option<&'static str>,
}

const fn alone(name: &'static str, needs: &'static [(&'static str, On)]) -> Path {
    Path { name, needs, service: None }
}

const fn passing(name: &'static str, service: &'static str, needs: &'static [(&'static str, On)]) -> Path {
    Path { name, needs, service: Some(service) }
}

const PATHS: &[Path] = &[
    alone("AddUserToGroup", &[("iam:addusertogroup", On::Group)]),
    alone("AssumeRole", &[("sts:assumerole", On::Role)]),
    alone("AttachGroupPolicy", &[("iam:attachgrouppolicy", On::Group)]),
    alone("AttachRolePolicy", &[("iam:attachrolepolicy", On::Role)]),
    alone("AttachUserPolicy", &[("iam:attachuserpolicy", On::User)]),
    alone(
        "CreateAccessEntry",
        &[("eks:createaccessentry", On::Named("cluster/")), ("eks:associateaccesspolicy", On::Named("cluster/"))],
    ),
    alone("CreateAccessKey", &[("iam:createaccesskey", On::User)]),
    alone("CreateAccountAssignment", &[("sso:createaccountassignment", On::Named("permissionSet/"))]),
    alone("CreateLoginProfile", &[("iam:createloginprofile", On::User)]),
    alone("CreatePolicyVersion", &[("iam:createpolicyversion", On::ManagedPolicy)]),
    alone("CreateProjectFromTemplate", &[("codestar:createprojectfromtemplate", On::Named("project/"))]),
    alone("PutGroupPolicy", &[("iam:putgrouppolicy", On::Group)]),
    alone("PutInlinePolicyToPermissionSet", &[("sso:putinlinepolicytopermissionset", On::Named("permissionSet/"))]),
    alone("PutRolePolicy", &[("iam:putrolepolicy", On::Role)]),
    alone("PutUserPolicy", &[("iam:putuserpolicy", On::User)]),
    alone("SetDefaultPolicyVersion", &[("iam:setdefaultpolicyversion", On::ManagedPolicy)]),
    alone("UpdateAssumeRolePolicy", &[("iam:updateassumerolepolicy", On::Role)]),
    alone("UpdateDevEndpoint", &[("glue:updatedevendpoint", On::Named("devEndpoint/"))]),
    alone("UpdateFunctionCode", &[("lambda:updatefunctioncode", On::Named("function:"))]),
    alone("UpdateFunctionConfiguration", &[("lambda:updatefunctionconfiguration", On::Named("function:"))]),
    alone("UpdateLoginProfile", &[("iam:updateloginprofile", On::User)]),
    alone("UpdateStack", &[("cloudformation:updatestack", On::Named("stack/"))]),
    passing(
        "PassRole+AssociateIamInstanceProfile",
        "ec2.amazonaws.com",
        &[("ec2:associateiaminstanceprofile", On::Named("instance/"))],
    ),
    passing(
        "PassRole+CreateAutoScalingGroup",
        "ec2.amazonaws.com",
        &[
            ("autoscaling:createautoscalinggroup", On::Named("autoScalingGroup:")),
            ("ec2:createlaunchtemplate", On::Named("launch-template/")),
        ],
    ),
    passing(
        "PassRole+CreateDevEndpoint",
        "glue.amazonaws.com",
        &[("glue:createdevendpoint", On::Named("devEndpoint/"))],
    ),
    passing(
        "PassRole+CreateFunction",
        "lambda.amazonaws.com",
        &[("lambda:createfunction", On::Named("function:")), ("lambda:invokefunction", On::Named("function:"))],
    ),
    passing(
        "PassRole+CreateFunction+AddPermission",
        "lambda.amazonaws.com",
        &[("lambda:createfunction", On::Named("function:")), ("lambda:addpermission", On::Named("function:"))],
    ),
    passing(
        "PassRole+CreateFunction+CreateEventSourceMapping",
        "lambda.amazonaws.com",
        &[
            ("lambda:createfunction", On::Named("function:")),
            ("lambda:createeventsourcemapping", On::Named("function:")),
        ],
    ),
    passing(
        "PassRole+CreateJob",
        "glue.amazonaws.com",
        &[("glue:createjob", On::Named("job/")), ("glue:startjobrun", On::Named("job/"))],
    ),
    passing(
        "PassRole+CreateNotebookInstance",
        "sagemaker.amazonaws.com",
        &[
            ("sagemaker:createnotebookinstance", On::Named("notebook-instance/")),
            ("sagemaker:createpresignednotebookinstanceurl", On::Named("notebook-instance/")),
        ],
    ),
    passing(
        "PassRole+CreatePipeline",
        "datapipeline.amazonaws.com",
        &[
            ("datapipeline:createpipeline", On::Named("pipeline/")),
            ("datapipeline:putpipelinedefinition", On::Named("pipeline/")),
        ],
    ),
    passing(
        "PassRole+CreateProcessingJob",
        "sagemaker.amazonaws.com",
        &[("sagemaker:createprocessingjob", On::Named("processing-job/"))],
    ),
    passing(
        "PassRole+CreateProject",
        "codebuild.amazonaws.com",
        &[("codebuild:createproject", On::Named("project/")), ("codebuild:startbuild", On::Named("project/"))],
    ),
    passing(
        "PassRole+CreateSchedule",
        "scheduler.amazonaws.com",
        &[("scheduler:createschedule", On::Named("schedule/"))],
    ),
    passing(
        "PassRole+CreateService",
        "ecs-tasks.amazonaws.com",
        &[("ecs:registertaskdefinition", On::Named("task-definition/")), ("ecs:createservice", On::Named("service/"))],
    ),
    passing(
        "PassRole+CreateStack",
        "cloudformation.amazonaws.com",
        &[("cloudformation:createstack", On::Named("stack/"))],
    ),
    passing(
        "PassRole+CreateStateMachine",
        "states.amazonaws.com",
        &[
            ("states:createstatemachine", On::Named("stateMachine:")),
            ("states:startexecution", On::Named("stateMachine:")),
        ],
    ),
    passing(
        "PassRole+CreateTrainingJob",
        "sagemaker.amazonaws.com",
        &[("sagemaker:createtrainingjob", On::Named("training-job/"))],
    ),
    passing("PassRole+RunInstances", "ec2.amazonaws.com", &[("ec2:runinstances", On::Named("instance/"))]),
    passing(
        "PassRole+RunJobFlow",
        "elasticmapreduce.amazonaws.com",
        &[("elasticmapreduce:runjobflow", On::Named("cluster/"))],
    ),
    passing(
        "PassRole+RunTask",
        "ecs-tasks.amazonaws.com",
        &[
            ("ecs:registertaskdefinition", On::Named("task-definition/")),
            ("ecs:runtask", On::Named("task-definition/")),
        ],
    ),
    passing(
        "PassRole+StartAutomationExecution",
        "ssm.amazonaws.com",
        &[("ssm:startautomationexecution", On::Named("automation-definition/"))],
    ),
    passing(
        "PassRole+SubmitJob",
        "ecs-tasks.amazonaws.com",
        &[
            ("batch:registerjobdefinition", On::Named("job-definition/")),
            ("batch:submitjob", On::Named("job-definition/")),
        ],
    ),
    passing(
        "PassRole+UpdateFunctionConfiguration",
        "lambda.amazonaws.com",
        &[
            ("lambda:updatefunctionconfiguration", On::Named("function:")),
            ("lambda:invokefunction", On::Named("function:")),
        ],
    ),
];

/// The names of all paths.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    PATHS.iter().map(|path| path.name)
}

/// The paths that a document opens.
pub(crate) fn open(policy: &Policy) -> Vec<String> {
    let open = |path: &&Path| {
        path.needs.iter().all(|(action, on)| policy.allows(action, *on, None))
            && path.service.is_none_or(|service| policy.allows("iam:passrole", On::Role, Some(service)))
    };
    PATHS.iter().filter(open).map(|path| path.name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_open_to_administrators_and_closed_to_readers() {
        let all = Policy::parse(br#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#);
        assert_eq!(open(&all), names().collect::<Vec<_>>());
        let readers = br#"{"Statement":{"Effect":"Allow","Action":["iam:Get*","iam:List*","ec2:Describe*","s3:*"],"Resource":"*"}}"#;
        assert!(open(&Policy::parse(readers)).is_empty());
    }

    #[test]
    fn every_path_is_open_to_exactly_its_needs() {
        for path in PATHS {
            let mut actions: Vec<String> = path.needs.iter().map(|(action, _)| format!("\"{action}\"")).collect();
            actions.extend(path.service.map(|_| "\"iam:PassRole\"".to_owned()));
            let parse = |actions: &[String]| {
                let text = format!(
                    r#"{{"Statement":[{{"Effect":"Allow","Action":[{}],"Resource":"*"}}]}}"#,
                    actions.join(",")
                );
                open(&Policy::parse(text.as_bytes()))
            };
            assert!(parse(&actions).contains(&path.name.to_owned()), "{}", path.name);
            for left_out in 0..actions.len() {
                let mut fewer = actions.clone();
                fewer.remove(left_out);
                assert!(!parse(&fewer).contains(&path.name.to_owned()), "{} without {left_out}", path.name);
            }
        }
    }
}
