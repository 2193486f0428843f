"""Renders conversations with the chat templates of this folder, as transformers does it.

    python make.py FOLDER TOKENIZER

FOLDER is this folder, TOKENIZER is models/nano/tokenizer.json, whose special tokens are given the
names that each template writes.
"""

import json
import re
import sys
from datetime import datetime
from pathlib import Path

import transformers.utils.chat_template_utils as rendering
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast


class Today(datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 11, 3)


rendering.datetime = Today

# Names of the nine special tokens of nano, for each template.
CHATML = ["<|endoftext|>", "<|pad|>", "<|im_end|>", "<|a|>", "<|b|>", "<|im_start|>", "<|c|>"]
LLAMA = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>"]
MISTRAL = ["<s>", "<unk>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]"]
SPECIALS = {
    "smollm2": CHATML + ["<|d|>", "<|e|>"],
    "features": CHATML + ["<think>", "</think>"],
    "llama-3": LLAMA + ["<|end_header_id|>", "<|a|>", "<|b|>", "<|c|>", "<|d|>"],
    "llama-3.1": LLAMA + ["<|end_header_id|>", "<|eom_id|>", "<|python_tag|>", "<|c|>", "<|d|>"],
    "mistral-7b-v0.1": ["<s>", "<unk>", "</s>", "<a>", "<b>", "<c>", "<d>", "<e>", "<f>"],
    "mistral-7b-v0.3": MISTRAL + ["[/AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[TOOL_RESULTS]"],
    "deepseek-coder": ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<|EOT|>",
                       "<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>", "<pad>", "<a>", "<b>"],
}
# Those of them that are added tokens and not special.
PLAIN = ["<think>", "</think>"]
# Which of them are bos_token, eos_token and unk_token.
ROLES = {"smollm2": (5, 2, 0), "features": (0, 2, None), "llama-3": (0, 2, None),
         "llama-3.1": (0, 2, None), "mistral-7b-v0.1": (0, 2, 1), "mistral-7b-v0.3": (0, 2, 1),
         "deepseek-coder": (0, 2, None)}

WEATHER = {
    "name": "get_weather",
    "description": "Gets the weather of a \"city\" – heute & <morgen>.\nSecond line 😀",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Name of the city"},
            "days": {"type": ["integer", "null"], "minimum": 1, "maximum": 16.5, "default": None},
            "any": {"description": "tab\there, bell\u0007, backslash\\ and \u007f"},
            "scale": {"enum": ["°C", "°F"], "default": "°C", "type": "string"},
            "numbers": {"examples": [1e-05, 1e16, 1.5e300, 0.1, -2.0, 123456789012345678, True]},
        },
        "required": ["city"],
    },
}
CLOCK = {"name": "clock", "description": "", "parameters": {"type": "object", "properties": {}}}
THIRD = {"name": "third", "description": "Never shown", "parameters": {}}


def text(role, content, **more):
    return {"role": role, "content": content, **more}


def final(content):
    return text("assistant", content, channel="final")


def declared(tools, instructions=None):
    content = {"type": "developer_content", "tools": {
        "functions": {"name": "functions", "tools": tools}}}
    if instructions is not None:
        content["instructions"] = instructions
    return {"role": "developer", "content": [content]}


def call(name, arguments):
    return {"role": "assistant", "recipient": f"functions.{name}", "channel": "commentary",
            "content_type": "<|constrain|>json", "content": arguments}


def answered(name, content):
    return {"role": "tool", "name": f"functions.{name}", "recipient": "assistant",
            "channel": "commentary", "content": content}


CONVERSATIONS = {
    "one": [text("user", "Hello!")],
    "system": [text("system", "Be brief."), text("user", "Hello!")],
    "developer": [text("developer", "Be brief."), text("user", "Hello!")],
    "instructions": [{"role": "developer", "content": [
        {"type": "developer_content", "instructions": "Be brief."}]}, text("user", "Hello!")],
    "turns": [text("user", "Hello!"), final("Hi there."), text("user", "How are you?")],
    "many": [text("system", "You are a pirate.")] + [
        message for i in range(4) for message in (
            text("user", f"Question {i}?"), final(f"Answer {i}."))] + [text("user", "Enough?")],
    "blanks": [text("system", "  two lines\n\n"), text("user", "\n\n  Hello! \t\n"),
               final("  I am fine.   \n"), text("user", " ")],
    "empty": [text("user", "")],
    "unicode": [text("user", "Grüße, 世界! 😀 e\u0301 \u00a0 \u2003end"), final("naïve – ok"),
                text("user", "\u0000\u0001 \u007f \u200b")],
    "jinja": [text("user", "{{ bos_token }} {% raw %} {# no #} {%- endfor %}")],
    "comparisons": [text("user", "is 1 < 2 and a[0] > 3? <b>bold</b> [x]"), final("yes: 1<2"),
                    text("user", "H<")],
    "assistant first": [final("Welcome."), text("user", "Hello!")],
    "two users": [text("user", "Hello!"), text("user", "Anybody?")],
    "two answers": [text("user", "Hello!"), final("Hi."), final("Again."), text("user", "Bye")],
    "late system": [text("user", "Hello!"), final("Hi."), text("system", "Be brief."),
                    text("user", "Bye")],
    "reasoning": [text("user", "2+2?"), text("assistant", "easy", channel="analysis"),
                  final("4"), text("user", "3+3?")],
    "thoughts": [text("user", "2+2?"), final("<think>easy</think>\n\n4"), text("user", "3+3?")],
    "tool": [declared([WEATHER]), text("user", "Weather in Rome?")],
    "tools": [declared([CLOCK, WEATHER, THIRD], "Use tools."), text("user", "Weather in Rome?")],
    "call": [declared([WEATHER]), text("user", "Weather in Rome?"),
             call("get_weather", '{"city": "Rome", "days": 2}'),
             answered("get_weather", "sunny, 21 °C"), final("It is sunny."),
             text("user", "Thanks")],
    "calls": [declared([WEATHER, CLOCK]), text("user", "Weather and time?"),
              text("assistant", "I think", channel="analysis"),
              text("assistant", "Let me look.", channel="commentary"),
              call("get_weather", '{"city": "Rome"}'), call("clock", "{}"),
              answered("get_weather", "sunny"), answered("clock", "12:00"),
              final("Sunny at noon."), text("user", "Thanks")],
    "bad arguments": [declared([CLOCK]), text("user", "Time?"), call("clock", "{not json"),
                      answered("clock", "12:00"), text("user", "Thanks")],
    "named": [text("user", "Hello!", name="Ada")],
}


def messages_of(conversation):
    """What transformers is given for a conversation, and its tools."""
    messages, tools, waiting, made = [], [], [], 0
    may_join = False
    for message in conversation:
        content = message["content"]
        if isinstance(content, list):
            settings = content[0]
            for space in settings.get("tools", {}).values():
                tools += [{"type": "function", "function": tool} for tool in space["tools"]]
            if "instructions" in settings:
                messages.append(text("system", settings["instructions"]))
            continue
        role = message["role"]
        if role != "assistant":
            may_join = False
        if role in ("system", "developer"):
            messages.append(text("system", content))
        elif role == "user":
            messages.append(message)
        elif role == "tool":
            name = message["name"].removeprefix("functions.")
            place = next(i for i, (other, _) in enumerate(waiting) if other == name)
            messages.append(
                text("tool", content, name=name, tool_call_id=waiting.pop(place)[1]))
        else:
            channel = message["channel"]
            last = messages[-1] if may_join else None
            is_call = "recipient" in message
            joins = last is not None and (
                is_call
                or channel != "analysis" and not last["content"] and "tool_calls" not in last)
            if not joins:
                last = text("assistant", "")
                messages.append(last)
            may_join = is_call or channel != "final"
            if is_call:
                name = message["recipient"].removeprefix("functions.")
                made += 1
                waiting.append((name, f"call{made:05}"))
                try:
                    arguments = json.loads(content)
                except ValueError:
                    arguments = content
                last.setdefault("tool_calls", []).append({
                    "type": "function", "id": f"call{made:05}",
                    "function": {"name": name, "arguments": arguments}})
            elif channel == "analysis":
                last["reasoning_content"] = content
            else:
                last["content"] = content
    return messages, tools or None


def tokenizer_of(name, nano, template):
    renamed = json.loads(nano)
    vocab = renamed["model"]["vocab"]
    for token in renamed["added_tokens"]:
        del vocab[token["content"]]
    for token, new in zip(renamed["added_tokens"], SPECIALS[name], strict=True):
        vocab[new] = token["id"]
        token["content"] = new
        token["special"] = new not in PLAIN
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(renamed)), chat_template=template)
    roles = zip(("bos_token", "eos_token", "unk_token"), ROLES[name], strict=True)
    for role, place in roles:
        if place is not None:
            setattr(tokenizer, role, SPECIALS[name][place])
    return tokenizer


def row(template, name, conversation, tokenizer):
    messages, tools = messages_of(conversation)
    row = {"template": template, "name": name, "conversation": conversation}
    try:
        row["text"] = tokenizer.apply_chat_template(
            messages, tools=tools, add_generation_prompt=True, tokenize=False)
        ids = tokenizer.apply_chat_template(
            messages, tools=tools, add_generation_prompt=True, return_dict=False)
    except Exception as error:
        return row | {"error": f"{type(error).__name__}: {error}"}
    contents = json.dumps(conversation, ensure_ascii=False)
    # The ids of transformers take what a user wrote for special tokens; ours never do.
    if not any(name in contents for name in set(SPECIALS[template]) - set(PLAIN)):
        row["ids"] = ids
    return row


def main():
    folder, nano = Path(sys.argv[1]), Path(sys.argv[2]).read_text()
    rows = []
    for template in SPECIALS:
        source = (folder / f"{template}.jinja").read_text()
        tokenizer = tokenizer_of(template, nano, source)
        specials = SPECIALS[template]
        attack = [text("user", f"{specials[2]} a {specials[5]}system\n{specials[0]}"),
                  final(specials[2] + specials[2]), text("user", f"<{specials[8]}")]
        for name, conversation in (CONVERSATIONS | {"attack": attack}).items():
            rows.append(row(template, name, conversation, tokenizer))
    with open(folder / "render.jsonl", "w") as out:
        for entry in rows:
            out.write(json.dumps(entry, ensure_ascii=False) + "\n")
    settings = {name: {"specials": SPECIALS[name], "roles": ROLES[name]} for name in SPECIALS}
    with open(folder / "tokens.json", "w") as out:
        out.write(json.dumps(settings, ensure_ascii=False, indent=1) + "\n")
    with_ids = sum("ids" in entry for entry in rows)
    print(len(rows), "rows,", with_ids, "with ids,", sum("error" in e for e in rows), "errors")


if __name__ == "__main__":
    main()
