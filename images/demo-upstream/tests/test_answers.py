"""What a caller gets who does everything right."""

import json
from typing import Any

import pytest
from conftest import BASH, LLAMA


async def collect(stream: Any) -> list[Any]:
    return [chunk async for chunk in stream]


async def test_an_answer_quotes_what_the_user_said_last(upstream):
    """The text is made from the last user message, and the bill adds up."""
    answer = await upstream.ask("what is the weather in Ghent?")

    choice = answer.choices[0]
    assert "what is the weather in Ghent?" in choice.message.content
    assert choice.finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.queue_time > 0


async def test_an_answer_has_the_fields_that_groq_adds(upstream):
    """LiteLLM fails without some of them."""
    status, body = await upstream.post(
        {"model": LLAMA, "messages": [{"role": "user", "content": "hi"}]}
    )

    assert status == 200
    assert body["id"].startswith("chatcmpl-")
    assert body["service_tier"] == "on_demand"
    assert body["x_groq"]["id"].startswith("req_")
    assert body["system_fingerprint"]


async def test_the_same_question_gets_the_same_answer(upstream):
    """Nothing in the text depends on time or chance."""
    first, second = await upstream.ask("hello"), await upstream.ask("hello")

    assert first.choices[0].message.content == second.choices[0].message.content
    assert first.id != second.id


async def test_reminders_of_the_client_program_are_not_quoted(upstream):
    """Claude Code adds text of its own to what its user typed."""
    answer = await upstream.ask("<system-reminder>never mention this</system-reminder>good morning")

    assert "good morning" in answer.choices[0].message.content
    assert "never mention" not in answer.choices[0].message.content


async def test_a_stream_says_the_same_as_a_whole_answer(upstream):
    """Role first, then text, then the reason to end with the bill in Groq's own field."""
    whole = await upstream.ask("tell me")
    chunks = await collect(await upstream.ask("tell me", stream=True))

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].x_groq.usage.total_tokens == whole.usage.total_tokens


async def test_usage_comes_in_a_chunk_of_its_own_when_it_is_asked_for(upstream):
    """As with OpenAI, that chunk has no choices."""
    request = {
        "model": LLAMA,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": "hi"}],
    }
    async with upstream.http.post(
        f"{upstream.url}/openai/v1/chat/completions", json=request
    ) as answer:
        lines = [line for line in (await answer.text()).split("\n") if line]

    last = json.loads(lines[-2].removeprefix("data: "))
    assert lines[-1] == "data: [DONE]"
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] > 0


async def test_an_answer_stops_at_the_limit(upstream):
    """The reason says so, and the bill is no higher than the limit."""
    answer = await upstream.ask("[demo:words=50]", max_completion_tokens=7)

    assert len(answer.choices[0].message.content.split()) == 7
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 7


async def test_an_answer_stops_at_a_stop_sequence(upstream):
    """The sequence itself is not part of the answer."""
    answer = await upstream.ask("[demo:words=50]", stop=[" fox"])

    assert answer.choices[0].message.content == "the quick brown"


@pytest.mark.parametrize(
    "text",
    [
        "run: echo hi",
        "Run the command `echo hi`, please",
        "please execute\n```sh\necho hi\n```",
        "use a tool to run `echo hi`",
    ],
)
async def test_a_command_becomes_a_call_of_the_tool_that_takes_commands(upstream, text):
    """However it is written; other required arguments are made up from the schema."""
    answer = await upstream.ask(text, tools=[BASH])

    call = answer.choices[0].message.tool_calls[0]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "Bash"
    assert json.loads(call.function.arguments) == {"command": "echo hi", "timeout": 5}


async def test_a_message_that_asks_for_nothing_gets_text_though_tools_are_offered(upstream):
    """A command in a sentence is not a request to run it."""
    answer = await upstream.ask("what does `echo hi` print?", tools=[BASH])

    assert answer.choices[0].message.tool_calls is None
    assert "echo hi" in answer.choices[0].message.content


async def test_a_message_that_forbids_calls_gets_text(upstream):
    """Claude Code asks so for a summary, in a message that names its tools."""
    text = "Do NOT call any tools. Use `echo hi` and the Bash tool in what you write."
    answer = await upstream.ask(text, tools=[BASH])

    assert answer.choices[0].message.tool_calls is None
    assert "echo hi" in answer.choices[0].message.content


async def test_a_tool_that_is_named_is_called_with_what_is_quoted(upstream):
    """Nested and optional parts of its schema are respected."""
    tool = {
        "type": "function",
        "function": {
            "name": "Read",
            "parameters": {
                "type": "object",
                "properties": {
                    "path": {"type": "string"},
                    "mode": {"enum": ["text", "bytes"]},
                    "lines": {"$ref": "#/$defs/range"},
                    "encoding": {"type": "string"},
                },
                "required": ["path", "mode", "lines"],
                "$defs": {
                    "range": {
                        "type": "object",
                        "properties": {"first": {"type": ["integer", "null"], "minimum": 3}},
                        "required": ["first"],
                    }
                },
            },
        },
    }
    answer = await upstream.ask('use the Read tool on "notes.txt"', tools=[BASH, tool])

    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "Read"
    assert json.loads(call.function.arguments) == {
        "path": "notes.txt",
        "mode": "text",
        "lines": {"first": 3},
    }


async def test_a_tool_call_is_streamed_whole_in_one_chunk(upstream):
    """Groq does not stream the arguments piece by piece."""
    chunks = await collect(await upstream.ask("run: echo hi", tools=[BASH], stream=True))

    calls = [c.choices[0].delta.tool_calls for c in chunks if c.choices[0].delta.tool_calls]
    assert len(calls) == 1
    assert json.loads(calls[0][0].function.arguments)["command"] == "echo hi"
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


async def test_two_tools_are_called_at_once_on_demand(upstream):
    """Each call has an id of its own, unless parallel calls are switched off."""
    text = "[demo:parallel] run `echo one` and `echo two`"
    both = await upstream.ask(text, tools=[BASH])
    one = await upstream.ask(text, tools=[BASH], parallel_tool_calls=False)

    calls = both.choices[0].message.tool_calls
    commands = [json.loads(call.function.arguments)["command"] for call in calls]
    assert commands == ["echo one", "echo two"]
    assert calls[0].id != calls[1].id
    assert len(one.choices[0].message.tool_calls) == 1


async def test_tool_choice_is_obeyed(upstream):
    """None forbids what the text asks for; a name forces what it does not ask for."""
    never = await upstream.ask("run: echo hi", tools=[BASH], tool_choice="none")
    forced = await upstream.ask(
        "hi", tools=[BASH], tool_choice={"type": "function", "function": {"name": "Bash"}}
    )
    required = await upstream.ask("hi", tools=[BASH], tool_choice="required")

    assert never.choices[0].message.tool_calls is None
    assert forced.choices[0].message.tool_calls[0].function.name == "Bash"
    assert required.choices[0].message.tool_calls


async def test_the_answer_after_a_tool_contains_what_the_tool_said(upstream):
    """A round trip ends in text, also when the client adds a reminder behind the result."""
    question = {"role": "user", "content": "run: echo hi"}
    first = await upstream.ask("", messages=[question], tools=[BASH])
    call = first.choices[0].message.tool_calls[0]
    messages = [
        question,
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": "Bash", "arguments": call.function.arguments},
                }
            ],
        },
        {"role": "tool", "tool_call_id": call.id, "content": "hi from the shell"},
        {"role": "user", "content": "<system-reminder>be brief</system-reminder>"},
    ]

    answer = await upstream.ask("", messages=messages, tools=[BASH])

    assert "hi from the shell" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"


async def test_gpt_oss_reasons_before_it_answers(upstream):
    """In a field of its own, whole and streamed, unless the caller does not want it."""
    model = "openai/gpt-oss-20b"
    whole = await upstream.ask("hi", model=model)
    chunks = await collect(await upstream.ask("hi", model=model, stream=True))
    hidden = await upstream.ask("hi", model=model, include_reasoning=False)

    assert whole.choices[0].message.reasoning
    assert (
        "".join(chunk.choices[0].delta.reasoning or "" for chunk in chunks)
        == whole.choices[0].message.reasoning
    )
    assert getattr(hidden.choices[0].message, "reasoning", None) is None


async def test_structured_output_fits_its_schema(upstream):
    """The answer is JSON with what the schema requires."""
    answer = await upstream.ask(
        "name this chat",
        response_format={
            "type": "json_schema",
            "json_schema": {
                "name": "title",
                "schema": {
                    "type": "object",
                    "properties": {"title": {"type": "string"}, "new": {"type": "boolean"}},
                    "required": ["title", "new"],
                },
            },
        },
    )

    assert json.loads(answer.choices[0].message.content) == {
        "title": "name this chat",
        "new": True,
    }


async def test_models_are_listed_with_their_limits(upstream):
    """Names with a slash can be looked up one by one."""
    listed = {model.id: model for model in (await upstream.groq.models.list()).data}
    one = await upstream.groq.models.retrieve("openai/gpt-oss-120b")

    assert set(listed) == {
        "llama-3.3-70b-versatile",
        "llama-3.1-8b-instant",
        "openai/gpt-oss-20b",
        "openai/gpt-oss-120b",
    }
    assert listed[LLAMA].max_completion_tokens == 32_768
    assert one.context_window == 131_072


async def test_a_name_given_by_the_environment_is_a_model_too(start):
    """It stands in for other providers' models, so it takes images and odd properties."""
    upstream = await start(DEMO_EXTRA_MODELS="gpt-4o, other/model")
    status, body = await upstream.post(
        {
            "model": "gpt-4o",
            "top_k": 5,
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "what is this"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                    ],
                }
            ],
        }
    )

    assert status == 200
    assert "what is this" in body["choices"][0]["message"]["content"]
    assert (await upstream.groq.models.retrieve("other/model")).id == "other/model"
