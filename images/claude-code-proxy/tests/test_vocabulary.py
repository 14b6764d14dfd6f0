"""The token estimator against the vocabulary and the prompt format of gpt-oss."""

from __future__ import annotations

from collections.abc import Iterator

import harmony
import pytest
import sessions
from openai_harmony import HarmonyEncoding

from claude_code_proxy import declarations
from claude_code_proxy.request import translate
from claude_code_proxy.settings import Settings
from claude_code_proxy.tokens import count_chat, count_text

MODEL = "groq-gpt-oss-120b"
SETTINGS = Settings(upstream_url="http://127.0.0.1/v1", upstream_key="-")
REQUESTS = {name: translate(body, MODEL, SETTINGS).body for name, body in sessions.requests()}
TEXTS = {**sessions.sources(), "listing": sessions.listing()}


@pytest.fixture(scope="module")
def encoding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HarmonyEncoding]:
    """Return OpenAI's encoding with its vocabulary, without a download."""
    folder = tmp_path_factory.mktemp("vocabulary")
    harmony.unpack_vocabulary(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_ENCODINGS_BASE", str(folder))
        yield harmony.load()


def _error(estimate: int, truth: int) -> float:
    """Return by how many per cent an estimate is off."""
    return 100 * (estimate / truth - 1)


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_counted_as_the_model_reads_it(encoding: HarmonyEncoding, name: str) -> None:
    """Within a few per cent, tools, calls and results included."""
    chat = REQUESTS[name]

    error = _error(count_chat(chat), harmony.count_chat(encoding, chat))

    assert abs(error) <= 8, f"{error:+.1f} %"


def test_many_requests_are_counted_closer_than_one(encoding: HarmonyEncoding) -> None:
    """The mean of the errors, and the error of the sum."""
    pairs = [(count_chat(chat), harmony.count_chat(encoding, chat)) for chat in REQUESTS.values()]
    errors = [abs(_error(*pair)) for pair in pairs]

    assert sum(errors) / len(errors) <= 5
    assert abs(_error(*map(sum, zip(*pairs, strict=True)))) <= 4


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_is_counted_as_the_vocabulary_cuts_it(encoding: HarmonyEncoding, name: str) -> None:
    """Code, prose, tables, settings and listings."""
    error = _error(count_text(TEXTS[name]), harmony.count_text(encoding, TEXTS[name]))

    assert abs(error) <= 10, f"{error:+.1f} %"


@pytest.mark.parametrize("language", sessions.PROSE)
def test_a_few_lines_of_any_language_are_counted(encoding: HarmonyEncoding, language: str) -> None:
    """Short texts are the hardest."""
    text = sessions.PROSE[language]

    error = _error(count_text(text), harmony.count_text(encoding, text))

    assert abs(error) <= 16, f"{error:+.1f} %"


def test_tools_are_declared_as_the_model_reads_them(encoding: HarmonyEncoding) -> None:
    """As declarations, which are shorter than their JSON."""
    chat = REQUESTS["session of 1 files"]
    bare = {key: value for key, value in chat.items() if key != "tools"}
    billed = harmony.count_chat(encoding, chat) - harmony.count_chat(encoding, bare)
    text = declarations.render([tool["function"] for tool in chat["tools"]])

    assert abs(_error(harmony.count_text(encoding, text), billed)) <= 3
    assert abs(_error(count_text(text), billed)) <= 10


@pytest.mark.parametrize(
    ("parameters", "declared"),
    [
        (None, "type T = () => any;"),
        ({"type": "object"}, "type T = (_: {\n}) => any;"),
        ({"type": "object", "properties": 7}, "type T = (_: {\n}) => any;"),
        ({"type": "object", "properties": {"a": 7}}, "type T = (_: {\na?: any,\n}) => any;"),
        ({"$ref": "#/a"}, "type T = (_: any) => any;"),
    ],
)
def test_schemas_that_say_nothing_are_declared(parameters: object, declared: str) -> None:
    """A count never fails on what a request may hold."""
    assert declared in declarations.render([{"name": "T", "parameters": parameters}])


def test_a_schema_without_an_end_is_cut_off() -> None:
    """Nobody can make the counting descend for ever."""
    schema: dict[str, object] = {}
    for _ in range(500):
        schema = {"type": "array", "items": schema}

    assert declarations.render([{"name": "T", "parameters": schema}]).count("[]") < 50
