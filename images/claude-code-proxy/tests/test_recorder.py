"""A recording keeps the shape of a request and nothing of its text."""

from __future__ import annotations

import base64
import binascii
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import RunningProxy
from hypothesis import given
from hypothesis import strategies as st
from recorder.__main__ import record
from recorder.conversation import DIRECTORY, load, save
from recorder.filler import ALPHABET, FORM, SMALLEST_IMAGE, fill, form
from recorder.hop import running_hop
from recorder.sanitise import Sanitiser, is_clean, texts_in
from recorder.stage import Stage
from recorder.vocabulary import BILLING, VOCABULARY

Json = dict[str, Any]

# Asks what the CLI would, and then waits for the user to lose patience.
CLIENT = """#!{python}
import json, os, sys, time, urllib.request
prompt = sys.argv[2]
message = dict(role="user", content=prompt)
body = dict(model="claude-opus-4", max_tokens=99, messages=[message])
headers = {{
    "authorization": "Bearer " + os.environ["ANTHROPIC_AUTH_TOKEN"],
    "content-type": "application/json",
}}
url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages?beta=true"
urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)).read()
if "--continue" in sys.argv:
    time.sleep(600)
"""

FILES = sorted(DIRECTORY.glob("*.json"))
_WORDS = st.sampled_from(sorted(VOCABULARY))
_TEXTS = st.one_of(st.text(max_size=30), _WORDS, _WORDS.map(lambda word: f"{BILLING} {word}"))
_NAMES = st.one_of(st.text(min_size=1, max_size=12), _WORDS)
_LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), _TEXTS)
# No more different texts of one character than filler has.
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=10,
)
_IMAGES = st.binary(min_size=SMALLEST_IMAGE, max_size=300).map(
    lambda data: {
        "type": "base64",
        "media_type": "image/png",
        "data": base64.b64encode(data).decode(),
    }
)
_REQUESTS = st.fixed_dictionaries(
    {
        "method": _NAMES,
        "path": _NAMES.map(lambda name: f"/v1/{name}?beta={name}"),
        "headers": st.dictionaries(_NAMES, st.lists(_NAMES, max_size=3).map(", ".join), max_size=3),
        "body": st.fixed_dictionaries({"model": _NAMES, "messages": _VALUES, "source": _IMAGES}),
        "status": st.integers(200, 599),
    }
)


def leaves(value: Any) -> Iterator[Any]:
    """Yield the structure of a JSON value, and everything in it that is no text."""
    if isinstance(value, list):
        yield len(value)
        for item in value:
            yield from leaves(item)
    elif isinstance(value, dict):
        yield {"members": len(value)}
        for item in value.values():
            yield from leaves(item)
    else:
        yield type(value) if isinstance(value, str) else value


@given(_REQUESTS)
def test_no_text_of_a_request_is_left(request: Json) -> None:
    """Whatever is sent: what remains is the vocabulary and forms of filler."""
    kept = Sanitiser().request(request)

    assert [text for text in texts_in(kept) if not is_clean(text)] == []
    assert list(leaves(kept["body"])) == list(leaves(request["body"]))
    assert kept["status"] == request["status"]


@given(
    st.lists(st.text(min_size=1, max_size=40).filter(lambda text: not text.isspace()), max_size=30)
)
def test_filler_has_the_length_and_the_width_of_a_text_and_equal_texts_stay_equal(
    texts: list[str],
) -> None:
    """So that an id still names its call, and a body keeps its size."""
    kept = [text for text in texts if text not in VOCABULARY and not text.startswith(BILLING)]

    filler = [fill(form) for form in Sanitiser().json(kept)]

    assert [len(text) for text in filler] == [len(text) for text in kept]
    for text, instead in zip(kept, filler, strict=True):
        assert text.isascii() == instead.isascii()
        assert set(instead) <= ALPHABET
        assert any(map(str.isspace, text)) or not any(map(str.isspace, instead))
    assert len(set(filler)) == len(set(kept))
    assert [filler.index(text) for text in filler] == [kept.index(text) for text in kept]


def test_names_in_a_schema_agree_with_their_uses() -> None:
    """A property, its place in `required`, a reference and a call's argument."""
    schema = {
        "type": "object",
        "properties": {"secret_path": {"$ref": "#/$defs/Place"}},
        "required": ["secret_path"],
        "$defs": {"Place": {"type": "string", "enum": ["here"], "default": "here"}},
    }
    call = {"type": "tool_use", "id": "a", "name": "Look", "input": {"secret_path": "here"}}

    kept, used = Sanitiser().json([{"name": "Look", "input_schema": schema}, call])

    kept_schema = kept["input_schema"]
    (name,) = kept_schema["properties"]
    (place,) = kept_schema["$defs"]
    assert FORM.fullmatch(name)
    assert kept_schema["required"] == [name]
    assert kept_schema["properties"][name] == {"$ref": f"#/$defs/{place}"}
    assert used["name"] == kept["name"]
    assert used["input"] == {name: kept_schema["$defs"][place]["default"]}
    assert kept_schema["$defs"][place]["enum"] == [used["input"][name]]


@pytest.mark.parametrize("length", [SMALLEST_IMAGE, 4000])
def test_an_image_becomes_a_png_of_its_length(length: int) -> None:
    """One that decoders take: every chunk has its size and its checksum."""
    image = {"type": "base64", "media_type": "image/jpeg", "data": "A" * length}

    text = fill(Sanitiser().json(image)["data"])

    data = base64.b64decode(text, validate=True)
    assert len(text) == length
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    kinds, at = [], 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 8 + size]
        assert binascii.crc32(body) == int.from_bytes(data[at + 8 + size : at + 12 + size], "big")
        kinds.append(body[:4])
        at += 12 + size
    assert kinds == [b"IHDR", b"IDAT", b"fiLl", b"IEND"]


def test_a_text_that_filler_could_not_tell_from_others_is_refused() -> None:
    """There are only so many texts of one character."""
    with pytest.raises(ValueError, match="of 1 characters"):
        form("w", 36, 1)


@given(st.lists(_VALUES, max_size=3), st.lists(_VALUES, max_size=3))
def test_what_is_kept_comes_back(
    tmp_path_factory: pytest.TempPathFactory, messages: list[Any], tools: list[Any]
) -> None:
    """With filler in place of its forms."""
    body = {"model": "claude-opus", "system": "a text", "messages": messages, "tools": tools}
    request = {"method": "POST", "path": "/v1/x", "headers": {}, "body": body, "status": 200}
    kept = Sanitiser().request(request)
    path = tmp_path_factory.mktemp("kept") / "session.json"

    save(path, "1.2.3", [kept, kept, {**kept, "body": None}])

    first, second, empty = load(path)
    assert first == second
    assert first.body == fill(kept["body"])
    assert (first.method, first.status, empty.body) == ("POST", 200, None)


async def test_the_hop_passes_on_what_it_keeps(proxy: RunningProxy) -> None:
    """Claude Code and the proxy do not notice it."""
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"x-api-key": proxy.key, "X-Shape": "a,b"}
    async with running_hop(proxy.url) as hop:
        async with proxy.http.post(
            f"{hop.url}/v1/messages?beta=true", json=body, headers=headers
        ) as answer:
            said = await answer.json()
        async with proxy.http.head(f"{hop.url}/") as checked:
            assert checked.status == 200

    asked, empty = hop.recorded
    assert said["content"][0]["text"] == "Hello"
    assert (asked["method"], asked["path"]) == ("POST", "/v1/messages?beta=true")
    assert (asked["body"], asked["status"]) == (body, 200)
    assert asked["headers"]["x-shape"] == "a,b"
    assert (empty["method"], empty["path"], empty["body"]) == ("HEAD", "/", None)


async def test_a_session_is_played_in_front_of_the_proxy_and_kept(tmp_path: Path) -> None:
    """With a client of which the requests are known, that answers to Ctrl-C."""
    client = tmp_path / "client"
    client.write_text(CLIENT.format(python=sys.executable))
    client.chmod(0o755)

    async def session(stage: Stage) -> None:
        await stage.ask("A private prompt.")
        stage.hop.streaming.clear()
        await stage.interrupt("Another.", "--continue", when=stage.hop.streaming.wait)

    requests = await record(session, str(client))

    assert [request["status"] for request in requests] == [200, 200]
    assert [request["path"] for request in requests] == ["/v1/messages?beta=true"] * 2
    assert [request["body"]["model"] for request in requests] == ["claude-opus"] * 2
    prompts = [request["body"]["messages"][0]["content"] for request in requests]
    assert [len(fill(prompt)) for prompt in prompts] == [len("A private prompt."), len("Another.")]
    assert [text for text in texts_in(requests) if not is_clean(text)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_kept_recording_holds_no_text(path: Path) -> None:
    """Not one string that is neither vocabulary nor filler, and filler of its alphabet alone."""
    kept = json.loads(path.read_text())

    assert kept.keys() == {"claude_code", "parts", "requests"}
    assert kept["claude_code"].replace(".", "").isdecimal()
    assert path.read_text().isascii()
    texts = texts_in([kept["parts"], kept["requests"]])
    assert [text for text in texts if not is_clean(text)] == []
    forms = {match.group() for text in texts for match in FORM.finditer(text)}
    assert forms
    assert {character for form in forms for character in fill(form)} <= ALPHABET | set("+/=")
