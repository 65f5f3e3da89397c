"""The GitHub provider's one type that this repository's modules use: in the state alone, no GitHub is here."""

from tests.infra.applied.world import Kept, World

KINDS = {
    "github_repository_webhook": Kept.of(
        "repository",
        id=lambda _given, _: "1",
        etag=lambda _given, _: '"1"',
        url=lambda given, _: f"https://api.github.com/repos/acme/{given['repository']}/hooks/1",
    )
}
WORLD = World(KINDS, {}, lambda config: config, lambda _given, _place: {})
