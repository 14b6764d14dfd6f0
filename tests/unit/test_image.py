"""What counts as the content of an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.image import context_digest, declared_version


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """Return a small build context."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY src /src\n")
    (tmp_path / ".dockerignore").write_text("**\n!src\n!Dockerfile\n**/__pycache__\n")
    for name in ("src/app.py", "src/__pycache__/app.pyc", "tests/test_app.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize("name", ["src/app.py", "src/new.py", "Dockerfile", "src/deep/er.py"])
def test_what_the_engine_is_sent_changes_the_digest(context: Path, name: str) -> None:
    """A changed or a new file is a new image."""
    before = context_digest(context, {})
    (context / name).parent.mkdir(exist_ok=True)
    (context / name).write_text("changed")

    assert context_digest(context, {}) != before


@pytest.mark.parametrize("name", ["tests/test_app.py", "src/__pycache__/app.pyc", "notes.md"])
def test_what_is_ignored_does_not(context: Path, name: str) -> None:
    """Tests and caches rebuild nothing."""
    before = context_digest(context, {})
    (context / name).write_text("changed")

    assert context_digest(context, {}) == before


def test_the_executable_bit_and_the_build_arguments_count(context: Path) -> None:
    """They change what is built without changing a byte of the context."""
    before = context_digest(context, {"BASE": "one"})
    other_base = context_digest(context, {"BASE": "two"})
    (context / "src/app.py").chmod(0o755)

    assert len({before, other_base, context_digest(context, {"BASE": "one"})}) == 3


def test_the_digest_does_not_depend_on_where_the_checkout_is(context: Path) -> None:
    """Two clones share their images."""
    before = context_digest(context, {})
    moved = context.rename(context.parent / f"{context.name}-moved")

    assert context_digest(moved, {}) == before


def test_every_context_is_hashed_whole() -> None:
    """No context's ignore file hides everything from the digest, and services say their version."""
    images = Path(__file__).parents[2] / "images"
    contexts = [path for path in images.iterdir() if path.is_dir()]
    digests = {context_digest(path, {}) for path in contexts}

    assert len(digests) == len(contexts) > 5
    for service in ("litellm", "caddy", "claude-code-proxy", "demo-upstream"):
        assert declared_version(images / service)
