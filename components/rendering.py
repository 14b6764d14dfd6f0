"""Templates to text. The only place where components touch the disk for their content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701 - YAML, Caddyfile and shell; scalars go through tojson
)


def render(template: str, values: Mapping[str, Any]) -> str:
    """Render ``templates/<template>``.

    Raises:
        jinja2.UndefinedError: the template names a value that was not given.
    """
    return _ENVIRONMENT.get_template(template).render(values)


def render_yaml(template: str, values: Mapping[str, Any]) -> str:
    """Render a YAML template and make sure that it parses to a mapping.

    Raises:
        ValueError: the rendered text is not a YAML mapping.
    """
    text = render(template, values)
    if not isinstance(yaml.safe_load(text), dict):
        raise ValueError(f"templates/{template} does not render to a YAML mapping")
    return text
