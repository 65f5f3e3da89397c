"""``penstock build kustomization NAME``: a local directory as a Kustomization of the plane builds it, as YAML.

Nothing is decrypted and no cluster is asked: ciphertext is ``**SOPS**`` (as in Flux's command of that name), variables
from the cluster stay ``${NAME}``.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from penstock.cli.client import open_client
from penstock.cli.diff.compare import Built, built
from penstock.cli.diff.local import Local, open_local
from penstock.cli.diff.subject import fetch_subject, ignore_of, name_of, with_document
from penstock.core.flux.kustomization import KIND
from penstock.core.kustomize.yaml_out import dump
from penstock.core.resources import Manifest, ref_of
from penstock.core.secrets.values import is_ciphertext
from penstock.stages.reconcile.attempt import Attempt

SOPS = "**SOPS**"


def build_kustomization(args: argparse.Namespace) -> int:
    """Build and print. Raises what a render raises, NotFound where the plane does not know it."""
    name, client = name_of(args.path), open_client(args)
    cluster = args.cluster or client.cluster_of(KIND, args.namespace, name)
    subject = fetch_subject(client, cluster, args.namespace, name)
    if args.kustomization_file:
        subject = with_document(subject, Path(args.kustomization_file))

    def local(attempt: Attempt) -> Local:
        return open_local(args.local, attempt.kustomization.directory, ignore_of(attempt))

    made, _ = built(subject, None, local)
    for note in made.notes:
        print(f"# {note}", file=sys.stderr)
    sys.stdout.write(dump(_documents(made)))
    return 0


def _documents(made: Built) -> list[Manifest]:
    parts = made.rendered.parts
    every = (*made.rendered.apply, *parts.interpreted, *(manifest for manifest, _ in parts.unsupported))
    return [_hidden(each) if ref_of(each) in made.encrypted else each for each in every]


def _hidden(manifest: Manifest) -> Manifest:
    """Without ciphertext, and without SOPS's own block."""
    shown: Manifest = _without(manifest)
    shown.pop("sops", None)
    if manifest["kind"] == "Secret" and isinstance(shown.get("data"), dict):
        shown["data"] = dict.fromkeys(shown["data"], SOPS)  # whole files are encrypted inside of base64
    return shown


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without(each) for each in value]
    return SOPS if is_ciphertext(value) else value
