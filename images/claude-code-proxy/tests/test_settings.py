"""Reading the environment."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from claude_code_proxy.settings import Settings, SettingsError

KEY = "sk-" + secrets.token_hex(16)


def _read(**changes: str | None) -> Settings:
    environ = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": "client-" + KEY} | changes
    return Settings.from_environment({k: v for k, v in environ.items() if v is not None})


def test_two_keys_are_enough() -> None:
    """The defaults are the well-known proxy's, but for the limits that cut coding short."""
    settings = _read()

    assert settings.upstream_url == "https://api.openai.com/v1"
    assert (settings.port, settings.max_tokens, settings.min_tokens) == (8082, None, 1)
    assert (settings.big_model, settings.middle_model, settings.small_model) == (
        "gpt-4o",
        "gpt-4o",
        "gpt-4o-mini",
    )


def test_the_middle_model_follows_the_big_one() -> None:
    """As in the well-known proxy."""
    assert _read(BIG_MODEL="x").middle_model == "x"


@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "OPENAI_API_BASE"])
def test_the_base_url_has_two_names(name: str) -> None:
    """A trailing slash does not matter."""
    assert _read(**{name: "http://litellm:4000/v1/"}).upstream_url == "http://litellm:4000/v1"


def test_the_base_url_wins_and_the_difference_is_told() -> None:
    """Both names with different values are a mistake that is not fatal."""
    settings = _read(OPENAI_BASE_URL="http://a/v1", OPENAI_API_BASE="http://b/v1")

    assert settings.upstream_url == "http://a/v1"
    assert "OPENAI_API_BASE" in settings.warnings[0]


def test_several_client_keys_are_separated_by_commas() -> None:
    """So that a key can be replaced without a gap."""
    assert _read(ANTHROPIC_API_KEY="one, two").client_keys == ("one", "two")


def test_the_open_mode_must_be_asked_for() -> None:
    """And is told at start."""
    settings = _read(ANTHROPIC_API_KEY=None, ALLOW_UNAUTHENTICATED="true")

    assert settings.client_keys == ()
    assert "ALLOW_UNAUTHENTICATED" in settings.warnings[0]


def test_a_key_stays_required_beside_the_open_mode() -> None:
    """A key that is set is always asked for."""
    assert _read(ALLOW_UNAUTHENTICATED="true").client_keys == ("client-" + KEY,)


def test_secrets_can_come_from_files(tmp_path: Path) -> None:
    """As Docker and Kubernetes mount them, with a line end."""
    path = tmp_path / "key"
    path.write_text(KEY + "\n")

    assert _read(OPENAI_API_KEY=None, OPENAI_API_KEY_FILE=str(path)).upstream_key == KEY


def test_custom_headers_are_named_by_their_variable() -> None:
    """Underscores become hyphens."""
    assert _read(CUSTOM_HEADER_X_FOO="bar").custom_headers == {"X-FOO": "bar"}


def test_limits_by_model_are_json() -> None:
    """Model names hold characters that variable names cannot."""
    assert _read(MODEL_MAX_OUTPUT_TOKENS='{"a/b": 5}').model_max_tokens == {"a/b": 5}


def test_an_empty_variable_counts_as_unset() -> None:
    """Compose files pass variables on as empty strings."""
    assert _read(MAX_TOKENS_LIMIT="", PORT="", BIG_MODEL="") == _read()


def test_no_secret_is_in_the_representation() -> None:
    """A traceback or a debugger must not show them."""
    settings = _read(CUSTOM_HEADER_X_TOKEN=KEY)

    assert KEY not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENAI_API_KEY", None),
        ("OPENAI_API_KEY", "two\nlines"),
        ("OPENAI_API_KEY_FILE", "/nonexistent"),
        ("ANTHROPIC_API_KEY", None),
        ("ANTHROPIC_API_KEY", "a,,b"),
        ("ALLOW_UNAUTHENTICATED", "maybe"),
        ("OPENAI_BASE_URL", "litellm:4000"),
        ("OPENAI_BASE_URL", "ftp://x"),
        ("OPENAI_BASE_URL", "http://x:port/v1"),
        ("OPENAI_BASE_URL", "http://user:word@x/v1"),
        ("OPENAI_API_BASE", "http://x/v1?key=1"),
        ("PORT", "http"),
        ("PORT", "70000"),
        ("LOG_LEVEL", "chatty"),
        ("MAX_TOKENS_LIMIT", "many"),
        ("MAX_TOKENS_LIMIT", "0"),
        ("MIN_TOKENS_LIMIT", "-1"),
        ("REQUEST_TIMEOUT", "soon"),
        ("REQUEST_TIMEOUT", "nan"),
        ("REQUEST_TIMEOUT", "0"),
        ("GRACEFUL_SHUTDOWN_TIMEOUT", "-1"),
        ("MAX_RETRIES", "1.5"),
        ("MODEL_MAX_OUTPUT_TOKENS", "{"),
        ("MODEL_MAX_OUTPUT_TOKENS", "[]"),
        ("MODEL_MAX_OUTPUT_TOKENS", '{"m": "8k"}'),
        ("SHOW_REASONING", "sometimes"),
        ("CUSTOM_HEADER_", "x"),
        ("CUSTOM_HEADER_HOST", "x"),
        ("CUSTOM_HEADER_X_FOO", "a\r\nb"),
    ],
)
def test_a_wrong_variable_is_named_in_one_line(name: str, value: str | None) -> None:
    """Its value, which may be a secret, is not repeated."""
    with pytest.raises(SettingsError) as caught:
        _read(
            **({"OPENAI_API_KEY": None} if name == "OPENAI_API_KEY_FILE" else {}), **{name: value}
        )

    (problem,) = caught.value.problems
    assert problem.startswith(name + " ")
    assert "\n" not in problem
    assert ": " in problem


def test_all_wrong_variables_are_named_at_once() -> None:
    """Nobody wants to restart for each."""
    with pytest.raises(SettingsError) as caught:
        _read(PORT="x", LOG_LEVEL="x", OPENAI_API_KEY=None)

    assert [problem.split()[0] for problem in caught.value.problems] == [
        "OPENAI_API_KEY",
        "PORT",
        "LOG_LEVEL",
    ]


def test_the_limits_must_not_cross() -> None:
    """A ceiling below the floor has no meaning."""
    with pytest.raises(SettingsError, match="MIN_TOKENS_LIMIT"):
        _read(MIN_TOKENS_LIMIT="100", MAX_TOKENS_LIMIT="50")
