"""More cases of what openai-harmony renders and parses: render_more.jsonl, parse_more.jsonl.

Usage: TIKTOKEN_ENCODINGS_BASE=FOLDER_WITH_o200k_base.tiktoken python make.py OUTPUT_FOLDER
Deterministic: the same versions give the same bytes.  Row formats: README.md.
"""
import json, random, sys
from openai_harmony import (Author, Conversation, DeveloperContent, Message, ReasoningEffort,
                            RenderConversationConfig, Role, StreamableParser, SystemContent,
                            TextContent, ToolDescription, ToolNamespaceConfig,
                            load_harmony_encoding)

ENCODING = load_harmony_encoding("HarmonyGptOss")
WORDS = ["alpha", "beta gamma", "Delta.", "été", "中文", "😀", "a\"b", "x\ny", "1,000", "<|end|>", "",
         "tab\there", "null", "to=functions.f", "//", "`code`", "back\\slash", "  spaced  "]


def attempt(f):
    try:
        return f()
    except Exception as e:
        return {"error": str(e)}


# --- schemas: every rule of the conversion, alone and in any nesting
HAND = {
    "string": {"type": "string"}, "number": {"type": "number"}, "null_type": {"type": "null"},
    "unknown_type": {"type": "date"}, "array_top": {"type": "array", "items": {"type": "string"}},
    "array_any": {"type": "array"}, "array_true_items": {"type": "array", "items": True},
    "array_of_enum": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
    "array_of_union": {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "null"}]}},
    "array_of_nullable": {"type": "array", "items": {"type": "string", "nullable": True}},
    "one_of_top": {"oneOf": [{"type": "string", "description": "s", "default": "d"},
                             {"type": "string", "enum": ["p", "q"], "default": "p"},
                             {"type": "number", "nullable": True, "default": 1.5},
                             {"type": "object", "properties": {"k": {"type": "string"}}}]},
    "one_of_empty": {"oneOf": []}, "one_of_no_list": {"oneOf": {"type": "string"}},
    "type_list": {"type": ["integer", "null", "string"]}, "type_list_empty": {"type": []},
    "type_list_mixed": {"type": [1, "string", None, "object"]},
    "type_list_wrong_object": {"type": ["object"], "properties": {"a": {"type": "string"}}},
    "described_top": {"type": "object", "description": "top\nlines", "properties": {}},
    "required_odd": {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a", 3, "zz"]},
    "required_no_list": {"type": "object", "properties": {"a": {}}, "required": "a"},
    "properties_no_map": {"type": "object", "properties": []},
    "property_no_map": {"type": "object", "properties": {"a": True, "b": None, "c": "string", "d": 3}},
    "defaults": {"type": "object", "properties": {
        "s": {"type": "string", "default": "q\"uote"}, "e": {"type": "string", "enum": ["x y"], "default": "x y"},
        "ee": {"type": "string", "enum": [], "default": "x"}, "n": {"type": "number", "default": -0.0},
        "big": {"type": "number", "default": 1e21}, "tiny": {"type": "number", "default": 1e-7},
        "huge": {"type": "integer", "default": 18446744073709551615}, "neg": {"type": "integer", "default": -9223372036854775808},
        "over": {"type": "integer", "default": 18446744073709551616}, "third": {"type": "number", "default": 0.1},
        "sixteen": {"type": "number", "default": 1e16}, "two": {"type": "number", "default": 2.0}, "five": {"type": "number", "default": 123456.789e3},
        "list": {"type": "array", "items": {"type": "integer"}, "default": [1, 2.50, "é\u0001", None]},
        "map": {"type": "object", "properties": {}, "default": {"z": 1, "a": {"b": []}}}, "t": {"type": "boolean", "default": False}}},
    "examples": {"type": "object", "properties": {"a": {"type": "string", "examples": []}, "b": {"type": "string", "examples": [1, 2]},
                                                   "c": {"examples": ["x\ny", "q\"q"], "title": "T\nU"}, "d": {"type": "string", "examples": "x"}}},
    "titles": {"type": "object", "properties": {"a": {"title": 3, "description": ["x"], "type": "string"}, "b": {"title": "", "description": "", "type": "string"}}},
    "union_property": {"type": "object", "required": ["r"], "properties": {
        "same": {"oneOf": [{"type": "string", "description": "d"}, {"type": "null", "description": "d"}], "description": "d"},
        "other": {"oneOf": [{"type": "string", "description": "d"}, {"type": "number", "description": "e", "default": 3}], "description": "z", "default": "v"},
        "r": {"oneOf": [{"type": "string", "enum": ["a"], "default": "a"}, {"type": "array", "items": {"type": "object", "properties": {"q": {"type": "string", "description": "deep"}}}}], "enum": ["v"], "default": "v"},
        "none": {"oneOf": [], "title": "T", "examples": ["e"]}, "odd": {"oneOf": "x", "description": "hidden", "default": 1, "type": "string"},
        "nested": {"oneOf": [{"oneOf": [{"type": "string", "description": "i"}, {"type": "boolean"}]}, {"type": "object", "description": "od", "properties": {"k": {"oneOf": [{"type": "string"}]}}}]},
        "nulls": {"oneOf": [{"type": "string", "nullable": True}, {"type": "array", "nullable": True}, {"type": ["null", "string"], "nullable": True}], "nullable": True}}},
    "nullables": {"type": "object", "properties": {"a": {"type": "object", "nullable": True, "properties": {"nullify": {"type": "string"}}},
                                                    "b": {"type": "array", "nullable": True, "items": {"type": "string"}}, "c": {"type": "string", "enum": ["null"], "nullable": True},
                                                    "d": {"nullable": True}, "e": {"type": "string", "nullable": "yes"}, "f": {"type": "string", "nullable": False}}},
    "key_names": {"type": "object", "properties": {"a-b": {"type": "string"}, "": {"type": "string"}, "q\"": {"type": "string"}, "with space": {"type": "string"}, "z": {}, "a": {}}},
    "ref_defs": {"$defs": {"A": {"type": "string"}}, "type": "object", "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"allOf": [{"type": "string"}]}, "c": {"anyOf": [{"type": "string"}], "description": "any"}, "d": {"const": 1, "type": "integer"}, "e": {"enum": [1, "a"]}, "g": {"type": "number", "enum": [1, 2]}}},
}


def deep(levels, wrap):
    schema = {"type": "string", "description": "bottom"}
    for _ in range(levels):
        schema = wrap(schema)
    return schema


FLOATS = random.Random(4)
HAND["floats"] = {"type": "object", "properties": {f"x{i}": {"type": "number", "default": x} for i, x in enumerate(
    [float(f"1e{e}") for e in range(-9, 24)] + [float(f"{FLOATS.uniform(-1, 1) * 10.0 ** FLOATS.randint(-12, 22):.9g}") for _ in range(40)] + [5e-324, 1.7976931348623157e308])}}
HAND["deep_arrays"] = deep(20, lambda s: {"type": "array", "items": s})
HAND["deep_objects"] = deep(20, lambda s: {"type": "object", "properties": {"p": s}, "required": ["p"]})
HAND["deep_unions"] = deep(20, lambda s: {"oneOf": [s, {"type": "null"}]})


def random_schema(r, depth=0):
    kinds = ["string", "number", "integer", "boolean", "enum", "list", "odd"]
    kind = r.choice(kinds if depth > 3 else kinds + ["object", "object", "array", "array", "union"])
    s = {}
    if kind == "enum":
        s = {"type": "string", "enum": r.sample(WORDS, r.randint(1, 3))}
    elif kind == "list":
        s = {"type": r.sample(["string", "integer", "number", "null", "boolean"], r.randint(1, 3))}
    elif kind == "odd":
        s = r.choice([{}, {"anyOf": [{"type": "string"}]}, {"enum": ["a", 1]}, {"$ref": "#/x"}, {"type": "null"}])
        s = dict(s)
    elif kind == "array":
        s = {"type": "array"}
        if r.random() < 0.8:
            s["items"] = random_schema(r, depth + 1)
    elif kind == "union":
        s = {"oneOf": [random_schema(r, depth + 1) for _ in range(r.randint(1, 3))]}
    elif kind == "object":
        names = r.sample(["a", "b", "c", "née", "x_1"], r.randint(0, 4))
        s = {"type": "object", "properties": {n: random_schema(r, depth + 1) for n in names}}
        if r.random() < 0.6:
            s["required"] = [n for n in names if r.random() < 0.5]
    else:
        s = {"type": kind}
    if r.random() < 0.4:
        s["description"] = r.choice(WORDS)
    if r.random() < 0.15:
        s["title"] = r.choice(WORDS)
    if r.random() < 0.2:
        s["nullable"] = r.random() < 0.8
    if r.random() < 0.25:
        s["default"] = r.choice([1, 0.25, "text", True, [1], {"k": "v"}, r.choice(s["enum"]) if "enum" in s else "é"])
    if r.random() < 0.15:
        s["examples"] = [r.choice(WORDS), 3]
    return s


def tools_conversation(*tools):
    developer = DeveloperContent.new().with_function_tools(list(tools))
    return Conversation.from_messages([Message.from_role_and_content(Role.DEVELOPER, developer)])


# --- conversations: any roles, channels, recipients, contents
def random_message(r):
    role = r.choice([Role.USER, Role.ASSISTANT, Role.ASSISTANT, Role.ASSISTANT, Role.TOOL, Role.DEVELOPER, Role.SYSTEM])
    text = " ".join(r.choice(WORDS) for _ in range(r.randint(0, 4)))
    name = r.choice(["functions.f", "browser.search", "python"]) if role == Role.TOOL else None
    if role == Role.USER and r.random() < 0.3:
        name = "bob"
    if role == Role.SYSTEM and r.random() < 0.7:
        s = SystemContent.new().with_reasoning_effort(r.choice(list(ReasoningEffort)))
        if r.random() < 0.5: s = s.with_conversation_start_date("2025-06-28")
        if r.random() < 0.3: s = s.with_browser_tool()
        if r.random() < 0.3: s = s.with_python_tool()
        if r.random() < 0.2: s.knowledge_cutoff = None
        if r.random() < 0.2: s.model_identity = r.choice(WORDS)
        if r.random() < 0.2: s = s.with_required_channels(r.sample(["final", "analysis", "x"], r.randint(0, 3)))
        m = Message.from_role_and_content(role, s)
    elif role == Role.DEVELOPER and r.random() < 0.7:
        d = DeveloperContent.new()
        if r.random() < 0.7: d = d.with_instructions(r.choice(WORDS))
        if r.random() < 0.5: d = d.with_function_tools([ToolDescription.new(n, r.choice(WORDS), random_schema(r) if r.random() < 0.7 else None) for n in r.sample(["f", "g", "h"], r.randint(0, 3))])
        if r.random() < 0.3: d = d.with_tools(ToolNamespaceConfig(name="db", description=r.choice(WORDS + [None]), tools=[ToolDescription.new("q", "Query.\r\nTwo\n\nlines\n")]))
        if r.random() < 0.1: d = d.with_tools(ToolNamespaceConfig(name="bare", description="No tools.\nHere.", tools=[]))
        m = Message.from_role_and_content(role, d)
    else:
        m = Message.from_author_and_content(Author(role=role, name=name), text)
        if r.random() < 0.1: m = m.adding_content(TextContent(text=r.choice(WORDS)))
    if role == Role.ASSISTANT:
        if r.random() < 0.9: m = m.with_channel(r.choice(["analysis", "analysis", "commentary", "final"]))
        if r.random() < 0.3: m = m.with_recipient(r.choice(["functions.f", "python", "all", "browser.search"]))
        if r.random() < 0.3: m = m.with_content_type(r.choice(["json", "code", "<|constrain|>json", "<|constrain|>"]))
    elif role == Role.TOOL and r.random() < 0.9:
        m = m.with_recipient("assistant")
        if r.random() < 0.9: m = m.with_channel(r.choice(["analysis", "commentary"]))
    elif r.random() < 0.05:
        m = m.with_channel("final")
    return m


def render(conversation, r=None):
    calls = {
        "completion": lambda config: ENCODING.render_conversation_for_completion(conversation, Role.ASSISTANT, config),
        "conversation": lambda config: ENCODING.render_conversation(conversation, config),
        "training": lambda config: ENCODING.render_conversation_for_training(conversation, config),
    }
    return {kind: {name: attempt(lambda: call(RenderConversationConfig(auto_drop_analysis=drop)))
                   for name, drop in (("drop", True), ("keep", False))} for kind, call in calls.items()}


def render_rows():
    for name, schema in HAND.items():
        c = tools_conversation(ToolDescription.new("f", "Does " + name, schema))
        yield {"name": "schema_" + name, "convo": c.to_dict(), "conversation": {"keep": attempt(lambda: ENCODING.render_conversation(c))}}
    r = random.Random(1)
    for i in range(120):
        c = tools_conversation(ToolDescription.new("f", r.choice(WORDS), random_schema(r)))
        yield {"name": f"random_schema_{i}", "convo": c.to_dict(), "conversation": {"keep": attempt(lambda: ENCODING.render_conversation(c))}}
    r = random.Random(2)
    for i in range(80):
        c = Conversation.from_messages([random_message(r) for _ in range(r.randint(1, 8))])
        yield {"name": f"random_conversation_{i}", "convo": c.to_dict(), **render(c)}
    user = lambda t="q": Message.from_role_and_content(Role.USER, t)
    bad = {
        "system_content_of_user": [Message.from_role_and_content(Role.USER, SystemContent.new())],
        "developer_content_of_system": [Message.from_role_and_content(Role.SYSTEM, DeveloperContent.new())],
        "developer_content_of_assistant": [user(), Message.from_role_and_content(Role.ASSISTANT, DeveloperContent.new())],
        "second_tool_without_name": [user(), Message.from_role_and_content(Role.TOOL, "x")],
        "dropped_bad_message": [Message.from_role_and_content(Role.TOOL, "x").with_channel("analysis"), Message.from_role_and_content(Role.ASSISTANT, "y").with_channel("final")],
    }
    for name, messages in bad.items():
        c = Conversation.from_messages(messages)
        yield {"name": name, "convo": c.to_dict(), **render(c)}


# --- parsing: the streams of well-formed conversations, whole and cut after any content token
def parse(name, ids, role):
    row = {"name": name, "ids": ids, "role": role, "strict": True, "stream": []}
    role = Role(role) if role else None
    parser = StreamableParser(ENCODING, role)
    try:
        for t in ids:
            parser.process(t)
            row["stream"].append([parser.state.value, parser.current_role.value if parser.current_role else None, parser.current_channel,
                                  parser.current_recipient, parser.current_content_type, parser.last_content_delta])
        parser.process_eos()
        row["messages"] = [m.to_dict() for m in parser.messages]
    except Exception as e:
        row["error"] = str(e)
    return row


def parse_rows():
    special = lambda text: ENCODING.encode(text, allowed_special="all")
    hand = {
        "reserved_in_content": "<|channel|>final<|message|>a<|reserved_200013|>b<|return|>",
        "empty_recipient": "<|channel|>commentary to=<|message|>x<|call|>",
        "preamble_and_call": "<|channel|>commentary<|message|>I'll look.<|end|><|start|>assistant<|channel|>commentary to=functions.a <|constrain|>json<|message|>{}<|call|>",
        "call_after_final": "<|channel|>final<|message|>x<|call|>",
        "call_ends_with_return": "<|channel|>commentary to=functions.f<|message|>x<|return|>",
        "call_on_analysis": "<|channel|>analysis to=functions.f <|constrain|>json<|message|>{}<|call|>",
        "two_calls": "<|channel|>commentary to=functions.f<|message|>1<|call|><|start|>assistant<|channel|>commentary to=functions.g<|message|>2<|call|>",
        "role_repeated": "assistant<|channel|>final<|message|>x<|return|>",
        "bare_function_name": "<|channel|>commentary to=get_weather<|message|>{}<|call|>",
        "function_without_to": "<|channel|>commentary functions.f<|message|>{}<|call|>",
        "type_after_role": " to=functions.f json<|channel|>commentary<|message|>{}<|call|>",
        "constrain_before_channel": " to=functions.f <|constrain|>json<|channel|>commentary<|message|>{}<|call|>",
        "trailing_space": "<|channel|>final <|message|>x<|end|>",
        "newlines_in_header": "<|channel|>commentary\nto=functions.f\n<|constrain|>json<|message|>x<|call|>",
        "assistant_to_user": "<|channel|>final to=user<|message|>x<|end|>",
        "to_all": "<|channel|>final to=all<|message|>x<|end|>",
        "lookalikes": None, "empty_text": "<|channel|>final<|message|><|return|>",
        "open_text": "<|channel|>final<|message|>half",
    }
    for name, text in hand.items():
        if text is None:
            ids = special("<|channel|>final<|message|>") + ENCODING.encode("<|end|><|start|>user<|message|>", disallowed_special=()) + special("<|return|>")
        else:
            ids = special(text)
        yield parse(name, ids, "assistant")
    for name, text in {
        "developer_and_system": "<|start|>system<|message|>s<|end|><|start|>developer<|message|>d<|end|>",
        "tool_on_analysis": "<|start|>python to=assistant<|channel|>analysis<|message|>1<|end|>",
        "tool_role": "<|start|>tool to=assistant<|channel|>commentary<|message|>1<|end|>",
        "odd_tool_name": "<|start|>weather to=assistant<|channel|>commentary<|message|>1<|end|>",
        "cut_after_end": "<|start|>user<|message|>hi<|end|>", "nothing": "",
    }.items():
        yield parse(name, special(text), None)
    # Ids 172, 253, 246 are the bytes F0 9F 98 of an unfinished emoji.
    yield parse("unfinished_code_point", special("<|channel|>final<|message|>a") + [172, 253, 246], "assistant")
    r = random.Random(3)
    count = 0
    while count < 60:
        messages = []
        for _ in range(r.randint(1, 5)):
            m = random_message(r)
            # Names after the role and empty constraints are rendered but not read back by openai-harmony.
            if m.author.role == Role.USER: m.author.name = None
            if m.content_type == "<|constrain|>": m.content_type = "<|constrain|>json"
            # openai-harmony reads a content type without a recipient as the recipient.
            if m.recipient in (None, "all"): m.content_type = None
            # It names a tool only if a recipient follows.
            if m.author.role == Role.TOOL: m = m.with_recipient("assistant")
            messages.append(m)
        ids = ENCODING.render_conversation(Conversation.from_messages(messages), RenderConversationConfig(auto_drop_analysis=False))
        yield parse(f"conversation_{count}", ids, None)
        count += 1
    prompts = ["<|channel|>final<|message|>{}<|return|>", "<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>{}<|return|>",
               "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>", " to=functions.f<|channel|>commentary <|constrain|>json<|message|>{}<|call|>",
               "<|channel|>analysis to=python code<|message|>{}<|call|>", "<|message|>{}<|end|>", "<|channel|>commentary to=functions.f<|message|>{}<|call|>",
               "<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>commentary<|message|>{}<|end|><|start|>assistant to=functions.f<|channel|>commentary json<|message|>{}<|call|>"]
    for i in range(40):
        prompt = r.choice(prompts)
        text = prompt.replace("{}", "\0").split("\0")
        ids = ENCODING.encode(text[0], allowed_special="all")
        for piece in text[1:]:
            ids += ENCODING.encode(" ".join(r.choice(WORDS) for _ in range(r.randint(0, 5))), disallowed_special=())
            ids += ENCODING.encode(piece, allowed_special="all")
        yield parse(f"completion_{i}", ids, "assistant")


def write(name, rows):
    rows = list(rows)
    with open(f"{sys.argv[1]}/{name}", "w", encoding="utf-8", newline="\n") as f:
        for row in rows:
            f.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
    errors = [row["name"] for row in rows if "error" in json.dumps({k: v for k, v in row.items() if k not in ("convo", "ids", "stream")})]
    print(name, len(rows), "rows; with errors:", errors)


write("render_more.jsonl", render_rows())
write("parse_more.jsonl", parse_rows())
