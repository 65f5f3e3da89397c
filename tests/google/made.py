"""What functions of a plane find on Google's emulators: made by Terraform's module, or by tests/google/plane.py.

Which of the two is in the tests' names: by Terraform wherever it is, with the schemas that its providers are made of.
"""

import base64
import contextlib
import hashlib
from dataclasses import dataclass
from urllib.parse import quote

from tests.google import plane
from tests.infra.applied import google, run
from tests.package import bundles

from penstock.wiring import load_pipeline, settings_from

PREFIX, BUCKET, REGION = "plane-1", "acme-penstock", "europe-west3"
SHELL = {
    "PENSTOCK_BACKEND": "google",
    "GOOGLE_CLOUD_PROJECT": plane.PROJECT,
    "PENSTOCK_GOOGLE_REGION": REGION,
    "PENSTOCK_GOOGLE_BUCKET": BUCKET,
    "PENSTOCK_GOOGLE_PREFIX": PREFIX,
    "PENSTOCK_GOOGLE_TASKS_ACCOUNT": f"tasks@{plane.PROJECT}.iam.gserviceaccount.com",
}
"""By hand."""
NOTIFY = {"PENSTOCK_ALLOWED_HOSTS": "127.0.0.1"}


@dataclass(frozen=True, kw_only=True)
class Made:
    """``environments``: by stage, of its function; ``shell``: what an operator's shell has. Neither knows emulators.

    ``scheduled``: who is called once a minute; ``pushes``: from where, by subscription, which stage is called.
    """

    environments: dict[str, dict[str, str]]
    shell: dict[str, str]
    scheduled: list[str]
    pushes: dict[str, str]


@contextlib.contextmanager
def made(directory, emulators, ports):
    """A plane, by ``run.how``. ``emulators``: the variables that lead to them; ``ports``: where each stage's function will be."""
    with (_by_terraform if run.how() == "terraform" else _by_hand)(directory, emulators, ports) as found:
        yield found


@contextlib.contextmanager
def _by_hand(_directory, emulators, ports):
    pipeline = load_pipeline()
    names = settings_from({**SHELL, **emulators}).google
    plane.make_topics(names, pipeline)
    bucket = {"name": names.bucket}
    plane.request("POST", f"{names.endpoints.storage}/storage/v1/b?project={plane.PROJECT}", bucket)
    pushes = {}
    for stage in pipeline.queues():
        for topic in stage.subscribes:
            plane.push_to(names, stage.name, topic, f"http://127.0.0.1:{ports[stage.name]}/")
            pushes[names.subscription(stage.name, topic)] = stage.name
    environments = {stage: SHELL | (NOTIFY if stage == "notify" else {}) for stage in pipeline.stages}
    yield Made(environments=environments, shell=SHELL, scheduled=["tick"], pushes=pushes)


@contextlib.contextmanager
def _by_terraform(directory, emulators, ports):
    names = settings_from({**SHELL, **emulators}).google
    uris = {f"{PREFIX}-{stage}": f"http://127.0.0.1:{port}" for stage, port in ports.items()}
    variables = {
        "bucket": BUCKET,
        "bundle": str(bundles.made("google").zip),
        "environment": {"notify": NOTIFY},
        "prefix": PREFIX,
        "project": plane.PROJECT,
        "region": REGION,
    }
    with run.providers(google=google.world(names.endpoints, uris)) as told:
        folder = run.caller(directory, "google", provider={"google": {"project": plane.PROJECT}}, **variables)
        config = run.Configuration(folder, told)
        config.apply()
        assert config.plan() == {}
        yield _read(names, config, {uri: name.removeprefix(f"{PREFIX}-") for name, uri in uris.items()})


def _read(names, config, stages):
    """Functions and jobs are in the state alone; what calls them is asked of the emulator."""
    functions, jobs, environments = [], [], {}
    for address, each in config.state().items():
        if ".google_cloudfunctions2_function." in address:
            functions.append(each)
        if ".google_cloud_scheduler_job." in address:
            jobs.append(each["http_target"][0]["uri"])
    for each in functions:
        (build,), (service,) = each["build_config"], each["service_config"]
        stage = build["entry_point"]
        assert build["environment_variables"]["GOOGLE_FUNCTION_SOURCE"] == f"functions/{stage}/main.py"
        assert stages[service["uri"]] == stage
        _has_bundle(names, build["source"][0]["storage_source"][0])
        # functions-framework's image has the bundle there; here it is where tests/google/bundle.py says
        environments[stage] = dict(service["environment_variables"])
        assert environments[stage].pop("PYTHONPATH") == "/workspace"
    listed = plane.request("GET", f"{names.endpoints.pubsub}/v1/projects/{plane.PROJECT}/subscriptions?pageSize=1000")
    found = {each["name"]: each.get("pushConfig", {}).get("pushEndpoint") for each in listed["subscriptions"]}
    return Made(
        environments=environments,
        shell=config.outputs()["all"]["environment"],
        scheduled=[stages[uri] for uri in jobs],
        pushes={name: stages[uri] for name, uri in found.items() if uri},
    )


def _has_bundle(names, source):
    objects = f"{names.endpoints.storage}/storage/v1/b/{source['bucket']}/o"
    kept = plane.request("GET", f"{objects}/{quote(source['object'], safe='')}")
    digest = hashlib.md5(bundles.made("google").zip.read_bytes(), usedforsecurity=False).digest()
    assert kept["md5Hash"] == base64.b64encode(digest).decode()
