"""Chat Completions through OpenAI's SDK."""

import math

HELLO = [{"role": "user", "content": "Hello!"}]
FRANCE = [{"role": "user", "content": "What is the capital of France?"}]


def test_nano_answers(nano):
    answer = nano.chat.completions.create(model="nano", messages=HELLO, temperature=0)
    choice = answer.choices[0]
    assert answer.id.startswith("chatcmpl-") and answer.object == "chat.completion"
    assert choice.finish_reason == "stop" and choice.message.role == "assistant"
    assert choice.message.content.strip()
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.completion_tokens > 0


def test_the_same_seed_gives_the_same_answer_and_another_seed_another(nano):
    story = [{"role": "user", "content": "Tell me a story."}]

    def text(seed):
        settings = {"temperature": 1.0, "max_tokens": 40, "seed": seed}
        answer = nano.chat.completions.create(model="nano", messages=story, **settings)
        return answer.choices[0].message.content

    assert text(1) == text(1)
    assert len({text(seed) for seed in range(1, 5)}) > 1


def test_a_stream_says_what_a_whole_answer_says(nano):
    settings = {"model": "nano", "messages": HELLO, "temperature": 0}
    whole = nano.chat.completions.create(**settings)
    chunks = list(nano.chat.completions.create(stream=True, **settings))
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert all(chunk.usage is None and len(chunk.choices) == 1 for chunk in chunks)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content
    ends = [chunk.choices[0].finish_reason for chunk in chunks]
    assert ends[-1] == "stop" and set(ends[:-1]) == {None}


def test_usage_comes_last_and_only_when_asked(nano):
    settings = {"model": "nano", "messages": HELLO, "temperature": 0, "stream": True}
    chunks = list(nano.chat.completions.create(stream_options={"include_usage": True}, **settings))
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_reasoning_comes_under_both_names(scripted):
    message = scripted.chat.completions.create(model="any", messages=FRANCE).choices[0].message
    assert message.content == "The capital of France is Paris."
    assert message.reasoning == message.reasoning_content == "A question about geography."


def test_reasoning_is_streamed_before_the_text(scripted):
    stream = scripted.chat.completions.create(model="any", messages=FRANCE, stream=True)
    kinds, reasoning, content = [], "", ""
    for chunk in stream:
        delta = chunk.choices[0].delta
        if getattr(delta, "reasoning", None):
            reasoning += delta.reasoning
            kinds.append("reasoning")
        if delta.content:
            content += delta.content
            kinds.append("content")
    assert reasoning == "A question about geography."
    assert content == "The capital of France is Paris."
    assert kinds == sorted(kinds, reverse=True)


def test_reasoning_can_be_left_out_and_is_still_counted(scripted):
    answer = scripted.chat.completions.create(
        model="any", messages=FRANCE, extra_body={"reasoning": {"exclude": True}}
    )
    message = answer.choices[0].message
    assert not getattr(message, "reasoning", None)
    assert answer.usage.completion_tokens_details.reasoning_tokens > 0


def test_a_conversation_goes_on(scripted):
    first = scripted.chat.completions.create(model="any", messages=FRANCE).choices[0].message
    messages = FRANCE + [first.model_dump(exclude_none=True)]
    messages.append({"role": "user", "content": "And of Italy?"})
    second = scripted.chat.completions.create(model="any", messages=messages)
    assert second.choices[0].message.content == "The capital of Italy is Rome."


def test_n_answers_have_their_indices(nano):
    answer = nano.chat.completions.create(
        model="nano", messages=HELLO, n=3, max_tokens=8, seed=5, temperature=1
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2]


def test_a_limit_ends_with_length(nano):
    answer = nano.chat.completions.create(model="nano", messages=HELLO, max_completion_tokens=2)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 2


def test_a_stop_string_is_not_part_of_the_answer(nano):
    settings = {"model": "nano", "messages": HELLO, "temperature": 0}
    whole = nano.chat.completions.create(**settings).choices[0].message.content
    stop = whole.split()[2]
    cut = nano.chat.completions.create(stop=[stop], **settings).choices[0]
    assert cut.finish_reason == "stop"
    assert cut.message.content == whole[: whole.index(stop)]


def test_log_probabilities_belong_to_the_text(nano):
    choice = nano.chat.completions.create(
        model="nano", messages=HELLO, temperature=0, logprobs=True, top_logprobs=3
    ).choices[0]
    entries = choice.logprobs.content
    text = b"".join(bytes(entry.bytes) for entry in entries).decode()
    assert text == choice.message.content
    for entry in entries:
        assert entry.logprob <= 0 and math.isfinite(entry.logprob)
        assert len(entry.top_logprobs) == 3
        # At temperature 0 the token is the most probable one.
        assert entry.logprob == entry.top_logprobs[0].logprob


def test_logit_bias_forbids_a_token(nano):
    settings = {"model": "nano", "messages": HELLO, "temperature": 0, "max_tokens": 1}
    first = nano.chat.completions.create(logprobs=True, **settings).choices[0]
    text = first.logprobs.content[0].token
    ids = nano.post("/tokenize", body={"prompt": text}, cast_to=object)["tokens"]
    assert len(ids) == 1
    other = nano.chat.completions.create(logit_bias={str(ids[0]): -100}, **settings).choices[0]
    assert other.message.content != first.message.content


def test_characters_are_whole_in_every_chunk(scripted):
    messages = [{"role": "user", "content": "Show what UTF-8 can do."}]
    chunks = scripted.chat.completions.create(model="any", messages=messages, stream=True)
    parts = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(parts) == "👩‍👩‍👧 naïve façade — 你好, мир, עולם 🦀🦀"
    assert not any("\ufffd" in part for part in parts)


def test_malformed_turns_lose_nothing(scripted):
    expected = {
        "Answer without any header.": "I cannot help with that.",
        "End twice.": "A whole answer.",
        "Use a channel that does not exist.": "A whole answer.",
    }
    for text, answer in expected.items():
        messages = [{"role": "user", "content": text}]
        choice = scripted.chat.completions.create(model="any", messages=messages).choices[0]
        assert answer in choice.message.content, text
        assert choice.finish_reason == "stop", text


def test_the_helper_for_streams_collects_the_answer(scripted):
    with scripted.chat.completions.stream(model="any", messages=FRANCE) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == "The capital of France is Paris."
