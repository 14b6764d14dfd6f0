"""A gateway that the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.deployment import Deployment, docker


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything below this directory."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Deploy the dev stack's configuration under another name; destroy it afterwards."""
    deployment = Deployment.create(tmp_path_factory.mktemp("stack"), {})
    try:
        deployment.up()
        yield deployment
    except AssertionError:
        for name, container in deployment.resources("Container").items():
            print(f"--- {name}\n{docker('logs', '--tail', '20', container, check=False)}")
        raise
    finally:
        deployment.destroy()
