//! An ordinary day: what the organisation does whether or not anybody attacks it.

use serde_json::json;

use super::organisation::ACCOUNTS;
use super::timeline::Timeline;
use super::{machines, monitoring, people, pipelines};

/// Tells the whole ordinary day.
pub(crate) fn tell(day: &mut Timeline) {
    monitoring::rounds(day);
    machines::roles_for_workloads(day);
    machines::keys(day);
    machines::workloads(day);
    machines::service_roles(day);
    machines::backups(day);
    pipelines::deployments(day);
    pipelines::infrastructure(day);
    people::sessions(day);
    people::slips(day);
    port_probes(day);
}

/// The internet's background noise, as GuardDuty reports it.
fn port_probes(day: &mut Timeline) {
    for _ in 0..4 {
        let time = day.any_time();
        let account = *day.random.pick(&ACCOUNTS);
        let instance = format!("i-0{}", day.random.hex(16));
        let finding = json!({
            "type": "Recon:EC2/PortProbeUnprotectedPort",
            "severity": 2,
            "title": format!("An unprotected port on EC2 instance {instance} is being probed."),
            "description": format!("EC2 instance {instance} has an unprotected port that a known malicious host probes."),
            "resource": {
                "resourceType": "Instance",
                "instanceDetails": { "instanceId": instance, "instanceType": "t3.medium", "instanceState": "running" },
            },
            "action": {
                "actionType": "PORT_PROBE",
                "portProbeAction": { "blocked": false, "portProbeDetails": [{
                    "localPortDetails": { "port": 443, "portName": "HTTPS" },
                    "remoteIpDetails": { "ipAddressV4": "198.51.100.200", "country": { "countryName": "Example" } },
                }] },
            },
        });
        day.guardduty(time, account.id, account.region, finding);
    }
}
