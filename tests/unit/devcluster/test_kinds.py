"""Defaults, what the API server prepares, and what it refuses, kind by kind (figures of Kubernetes 1.36)."""

import pytest

CONTAINER = {"name": "c", "image": "i"}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [CONTAINER]}}
SELECTED = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
JOB_TEMPLATE = {"template": {"spec": {"restartPolicy": "Never", "containers": [CONTAINER]}}}
PLACES = {
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ConfigMap": "/api/v1/namespaces/default/configmaps",
    "CronJob": "/apis/batch/v1/namespaces/default/cronjobs",
    "DaemonSet": "/apis/apps/v1/namespaces/default/daemonsets",
    "Deployment": "/apis/apps/v1/namespaces/default/deployments",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
    "Job": "/apis/batch/v1/namespaces/default/jobs",
    "Lease": "/apis/coordination.k8s.io/v1/namespaces/default/leases",
    "LimitRange": "/api/v1/namespaces/default/limitranges",
    "Namespace": "/api/v1/namespaces",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
    "PersistentVolumeClaim": "/api/v1/namespaces/default/persistentvolumeclaims",
    "Pod": "/api/v1/namespaces/default/pods",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
    "Secret": "/api/v1/namespaces/default/secrets",
    "Service": "/api/v1/namespaces/default/services",
    "StatefulSet": "/apis/apps/v1/namespaces/default/statefulsets",
    "StorageClass": "/apis/storage.k8s.io/v1/storageclasses",
    "ValidatingWebhookConfiguration": "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
}


def manifest(kind, **more):
    place = PLACES[kind].split("/")
    version = place[2] if place[1] == "api" else "/".join(place[2:4])
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, **more}


def at(obj, path):
    for key in path.split("."):
        obj = obj[int(key)] if key.isdigit() else obj[key]
    return obj


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        (
            "Deployment",
            {"spec": SELECTED},
            {
                "spec.replicas": 1,
                "spec.revisionHistoryLimit": 10,
                "spec.progressDeadlineSeconds": 600,
                "spec.strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
                },
                "spec.template.spec.restartPolicy": "Always",
                "spec.template.spec.containers.0.imagePullPolicy": "Always",
                "spec.template.spec.containers.0.terminationMessagePath": "/dev/termination-log",
                "status": {},
            },
        ),
        (
            "StatefulSet",
            {"spec": {**SELECTED, "volumeClaimTemplates": [{"metadata": {"name": "v"}, "spec": {}}]}},
            {
                "spec.podManagementPolicy": "OrderedReady",
                "spec.updateStrategy.rollingUpdate.partition": 0,
                "spec.volumeClaimTemplates.0.spec.volumeMode": "Filesystem",
                "spec.persistentVolumeClaimRetentionPolicy.whenDeleted": "Retain",
            },
        ),
        (
            "DaemonSet",
            {"spec": SELECTED},
            {
                "spec.updateStrategy.rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0},
                "metadata.annotations": {"deprecated.daemonset.template.generation": "1"},
            },
        ),
        (
            "Job",
            {"spec": JOB_TEMPLATE},
            {
                "spec.backoffLimit": 6,
                "spec.completions": 1,
                "spec.parallelism": 1,
                "spec.suspend": False,
                "spec.template.metadata.labels.job-name": "x",
                "metadata.labels.job-name": "x",
            },
        ),
        (
            "CronJob",
            {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": JOB_TEMPLATE}}},
            {
                "spec.concurrencyPolicy": "Allow",
                "spec.successfulJobsHistoryLimit": 3,
                "spec.jobTemplate.spec.template.spec.dnsPolicy": "ClusterFirst",
            },
        ),
        (
            "Service",
            {"spec": {"ports": [{"port": 80}]}},
            {
                "spec.type": "ClusterIP",
                "spec.ports.0": {"port": 80, "protocol": "TCP", "targetPort": 80},
                "spec.sessionAffinity": "None",
                "spec.ipFamilies": ["IPv4"],
                "status": {"loadBalancer": {}},
            },
        ),
        (
            "Service",
            {"spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]}},
            {
                "spec.ports.0.nodePort": 30000,
                "spec.healthCheckNodePort": 30001,
                "spec.allocateLoadBalancerNodePorts": True,
            },
        ),
        (
            "Service",
            {"spec": {"clusterIP": "None", "sessionAffinity": "ClientIP"}},
            {
                "spec.clusterIPs": ["None"],
                "spec.ipFamilyPolicy": "RequireDualStack",
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds": 10800,
            },
        ),
        (
            "HorizontalPodAutoscaler",
            {"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "maxReplicas": 3, "behavior": {}}},
            {
                "spec.minReplicas": 1,
                "spec.metrics.0.resource.target.averageUtilization": 80,
                "spec.behavior.scaleUp.stabilizationWindowSeconds": 0,
                "spec.behavior.scaleDown.selectPolicy": "Max",
            },
        ),
        (
            "PersistentVolumeClaim",
            {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}},
            {
                "spec.volumeMode": "Filesystem",
                "status.phase": "Pending",
                "spec.resources.requests.storage": "1Gi",
                "metadata.finalizers": ["kubernetes.io/pvc-protection"],
            },
        ),
        (
            "Pod",
            {"spec": {"containers": [{**CONTAINER, "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}]}},
            {
                "spec.containers.0.resources.requests": {"cpu": "1", "memory": "1Gi"},
                "status.qosClass": "Guaranteed",
                "spec.tolerations.0.key": "node.kubernetes.io/not-ready",
            },
        ),
        (
            "Pod",
            {
                "spec": {
                    "containers": [{**CONTAINER, "image": "i:latest@sha256:ab"}],
                    "serviceAccountName": "s",
                    "volumes": [
                        {"name": "a"},
                        {"name": "b", "secret": {"secretName": "s"}},
                        {"name": "c", "hostPath": {"path": "/"}},
                        {"name": "d", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
                        {
                            "name": "e",
                            "downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.name"}}]},
                        },
                    ],
                }
            },
            {
                "spec.serviceAccount": "s",
                "spec.volumes.0.emptyDir": {},
                "spec.volumes.1.secret.defaultMode": 420,
                "spec.volumes.2.hostPath.type": "",
                "spec.volumes.3.projected.sources.0.serviceAccountToken.expirationSeconds": 3600,
                "spec.volumes.4.downwardAPI.items.0.fieldRef.apiVersion": "v1",
                "status.qosClass": "BestEffort",
                "spec.containers.0.imagePullPolicy": "Always",
            },
        ),
        (
            "Pod",
            {
                "spec": {
                    "hostNetwork": True,
                    "containers": [
                        {
                            **CONTAINER,
                            "image": "r:5000/i@sha256:ab",
                            "ports": [{"containerPort": 80}],
                            "livenessProbe": {"httpGet": {"port": 80}},
                            "readinessProbe": {"grpc": {"port": 1}},
                            "lifecycle": {"preStop": {"httpGet": {"port": 1}}},
                            "env": [{"name": "E", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}],
                        }
                    ],
                }
            },
            {
                "spec.containers.0.ports.0.hostPort": 80,
                "spec.containers.0.livenessProbe.periodSeconds": 10,
                "spec.containers.0.livenessProbe.httpGet.path": "/",
                "spec.containers.0.readinessProbe.grpc.service": "",
                "spec.containers.0.lifecycle.preStop.httpGet.scheme": "HTTP",
                "spec.containers.0.imagePullPolicy": "IfNotPresent",
                "spec.containers.0.env.0.valueFrom.resourceFieldRef.divisor": "0",
            },
        ),
        (
            "Secret",
            {"stringData": {"a": "x"}, "data": {"b": "eA=="}},
            {"type": "Opaque", "data": {"a": "eA==", "b": "eA=="}},
        ),
        (
            "Namespace",
            {},
            {
                "metadata.labels": {"kubernetes.io/metadata.name": "x"},
                "spec.finalizers": ["kubernetes"],
                "status.phase": "Active",
            },
        ),
        (
            "NetworkPolicy",
            {"spec": {"podSelector": {}, "egress": [{"ports": [{"port": 53}]}]}},
            {
                "spec.policyTypes": ["Ingress", "Egress"],
                "spec.egress.0.ports.0.protocol": "TCP",
            },
        ),
        (
            "RoleBinding",
            {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}]},
            {
                "roleRef.apiGroup": "rbac.authorization.k8s.io",
                "subjects.0.apiGroup": "rbac.authorization.k8s.io",
            },
        ),
        ("StorageClass", {"provisioner": "p"}, {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),
        (
            "LimitRange",
            {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "default": {"memory": "1Gi"}}]}},
            {
                "spec.limits.0.default": {"cpu": "2", "memory": "1Gi"},
                "spec.limits.0.defaultRequest": {"cpu": "2", "memory": "1Gi"},
            },
        ),
        (
            "ValidatingWebhookConfiguration",
            {
                "webhooks": [
                    {
                        "name": "a.b.c",
                        "clientConfig": {"service": {"name": "s", "namespace": "n"}},
                        "rules": [{"operations": ["CREATE"]}],
                    }
                ]
            },
            {
                "webhooks.0.failurePolicy": "Fail",
                "webhooks.0.clientConfig.service.port": 443,
                "webhooks.0.rules.0.scope": "*",
            },
        ),
    ],
)
def test_what_a_new_object_gets(call, kind, more, expected):
    code, made = call("POST", PLACES[kind], manifest(kind, **more))
    assert code == 201, made
    assert {path: at(made, path) for path in expected} == expected


@pytest.mark.parametrize(
    ("kind", "more", "causes"),
    [
        (
            "Deployment",
            {"spec": {"replicas": -1}},
            {
                "spec.replicas": "Invalid value: -1: must be greater than or equal to 0",
                "spec.selector": "Required value",
                "spec.template.metadata.labels": "Invalid value: null: `selector` does not match template `labels`",
                "spec.template.spec.containers": "Required value",
            },
        ),
        (
            "Deployment",
            {"spec": {**SELECTED, "selector": {}}},
            {
                "spec.selector": "Invalid value: {}: empty selector is invalid for deployment",
            },
        ),
        (
            "Pod",
            {
                "spec": {
                    "containers": [
                        {
                            "ports": [{}],
                            "env": [{"value": "v"}],
                            "volumeMounts": [{"name": "m", "mountPath": "/"}],
                            "resources": {"limits": {"cpu": "-1"}},
                        }
                    ]
                }
            },
            {
                "spec.containers[0].name": "Required value",
                "spec.containers[0].image": "Required value",
                "spec.containers[0].ports[0].containerPort": "Required value",
                "spec.containers[0].env[0].name": "Required value",
                "spec.containers[0].volumeMounts[0].name": 'Not found: "m"',
                "spec.containers[0].resources.limits.cpu": 'Invalid value: "-1": must be greater than or equal to 0',
                "spec.containers[0].resources.requests.cpu": 'Invalid value: "-1": must be greater than or equal to 0',
            },
        ),
        (
            "Job",
            {"spec": {"template": {"spec": {"containers": [CONTAINER]}}}},
            {
                "spec.template.spec.restartPolicy": 'Required value: valid values: "OnFailure", "Never"',
            },
        ),
        ("CronJob", {"spec": {"jobTemplate": {"spec": JOB_TEMPLATE}}}, {"spec.schedule": "Required value"}),
        (
            "Service",
            {"spec": {"clusterIP": "x"}},
            {
                "spec.ports": "Required value",
                "spec.clusterIPs[0]": 'Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
            },
        ),
        (
            "Service",
            {"spec": {"ports": [{"port": 99999}]}},
            {
                "spec.ports[0].port": "Invalid value: 99999: must be between 1 and 65535, inclusive",
            },
        ),
        ("Service", {"spec": {"type": "ExternalName"}}, {"spec.externalName": "Required value"}),
        (
            "HorizontalPodAutoscaler",
            {"spec": {"scaleTargetRef": {"kind": "D", "name": "d"}, "minReplicas": 3, "maxReplicas": 2}},
            {
                "spec.maxReplicas": "Invalid value: 2: must be greater than or equal to `minReplicas`",
            },
        ),
        (
            "PersistentVolumeClaim",
            {"spec": {}},
            {
                "spec.accessModes": "Required value: at least 1 access mode is required",
                "spec.resources[storage]": "Required value",
            },
        ),
        ("ConfigMap", {"metadata": {"name": "x", "labels": {"a b": "c", "-/d": "e!"}}}, None),
        ("ConfigMap", {"metadata": {}}, {"metadata.name": "Required value: name or generateName is required"}),
    ],
)
def test_what_is_refused(call, kind, more, causes):
    code, status = call("POST", PLACES[kind], manifest(kind, **more))
    assert (code, status["reason"]) == (422, "Invalid")
    found = {cause["field"]: cause["message"] for cause in status["details"]["causes"]}
    assert found == causes if causes else set(found) == {"metadata.labels"}


def test_a_lease_needs_microseconds(call):
    code, status = call("POST", PLACES["Lease"], manifest("Lease", spec={"renewTime": "2026-01-02T03:04:05Z"}))
    assert (code, 'cannot parse "Z" as ".000000"' in status["message"]) == (400, True)


@pytest.mark.parametrize(
    ("kind", "more", "change", "field"),
    [
        (
            "Deployment",
            {"spec": SELECTED},
            {"spec": {"selector": {"matchLabels": {"c": "d"}}, "template": {"metadata": {"labels": {"c": "d"}}}}},
            "spec.selector",
        ),
        ("StatefulSet", {"spec": SELECTED}, {"spec": {"serviceName": "s"}}, "spec"),
        ("Job", {"spec": JOB_TEMPLATE}, {"spec": {"template": {"spec": {"dnsPolicy": "Default"}}}}, "spec.template"),
        ("Service", {"spec": {"ports": [{"port": 80}]}}, {"spec": {"clusterIP": "10.96.9.9"}}, "spec.clusterIPs[0]"),
        ("ConfigMap", {"immutable": True, "data": {"a": "b"}}, {"data": {"a": "c"}}, "data"),
        ("Secret", {"immutable": True}, {"immutable": False}, "immutable"),
        ("Secret", {}, {"type": "other"}, "type"),
        ("RoleBinding", {"roleRef": {"kind": "Role", "name": "r"}}, {"roleRef": {"name": "q"}}, "roleRef"),
        ("StorageClass", {"provisioner": "p"}, {"provisioner": "q"}, "provisioner"),
        (
            "PersistentVolumeClaim",
            {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}}},
            {"spec": {"accessModes": ["ReadWriteMany"]}},
            "spec",
        ),
    ],
)
def test_what_may_not_change(call, kind, more, change, field):
    call("POST", PLACES[kind], manifest(kind, **more))
    code, status = call.merge(f"{PLACES[kind]}/x", change)
    assert (code, field in {cause["field"] for cause in status["details"]["causes"]}) == (422, True)


def test_a_service_keeps_what_was_chosen_and_loses_what_its_new_type_lacks(call):
    path = f"{PLACES['Service']}/x"
    spec = {"type": "NodePort", "ports": [{"port": 80}]}
    _, made = call.apply(path, manifest("Service", spec=spec))
    _, again = call.apply(path, manifest("Service", spec={**spec, "selector": {"a": "b"}}))
    for key in ("clusterIP", "ports"):
        assert again["spec"][key] == made["spec"][key]
    _, internal = call.apply(path, manifest("Service", spec={"ports": [{"port": 80}]}))
    assert ("nodePort" in internal["spec"]["ports"][0], "externalTrafficPolicy" in internal["spec"]) == (False, False)
    _, outside = call.apply(path, manifest("Service", spec={"type": "ExternalName", "externalName": "a.b"}))
    assert outside["spec"] == {"type": "ExternalName", "externalName": "a.b", "sessionAffinity": "None"}


def test_addresses_are_unique(call):
    made = [
        call("POST", PLACES["Service"], manifest("Service", metadata={"name": n}, spec={"ports": [{"port": 1}]}))[1]
        for n in "ab"
    ]
    first, second = (service["spec"]["clusterIP"] for service in made)
    assert first != second
    taken = manifest("Service", metadata={"name": "c"}, spec={"clusterIP": first, "ports": [{"port": 1}]})
    assert call("POST", PLACES["Service"], taken)[1]["message"].endswith("provided IP is already allocated")
