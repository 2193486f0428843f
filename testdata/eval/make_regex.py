#!/usr/bin/env python3.11
"""What Python's re finds and replaces: the patterns of task files, and where dialects differ.

usage: make_regex.py > regex.jsonl
"""
import json
import re

PATTERNS = [
    r"#### (\-?[0-9\.\,]+)", r"(-?[$0-9.,]{2,})|(-?[0-9]+)", r"The answer is (\-?[0-9\.\,]+).",
    r"^(.*?)(?=\n|$)", r"^(.*?)\s*$", ",", r"\$", r"(?s).*#### ", r"\.$", r"\[.*?\]",
    r"(?<=answer is )(.*)(?=.)", "x*", "a??", "a*?", r"\s+", r"\S+", r"[\s,]", r"(?m)^.*$", r"(?m)^",
    r"$", r"\Z", r"boxed{(.*?)}|framebox{(.*?)}", r"a{2}", r"a{,2}", r"a{1,}", r"a{", r"a{x}", r"}",
    r"[[]", r"[]a]", r"[^]a]", r"[a&&b]", r"[+--]", r"[a~~b]", r"\d+", r"\bA\b", r"\<a\>", r"(a)|(b)",
    r"(?i)answer", r"(?x) a  b # comment", r"(?P<n>a)(?P=n)", r"(a)\1", r"\u0041", r"[\b]", r"()",
]
TEXTS = [
    "", "a", "aa", "aaa b", "axbc", "x = 18\n#### 18", "#### 1,234.50\n#### -7\n", "cost $1,000. and 7.",
    "The answer is 42.", "The answer is 4,2 and\nmore", " first line \nsecond\n", "no newline", "line\n",
    "[title] [a[b]c] x", r"\boxed{70} \framebox{a,b} \boxed{}", "a{2} a{x} a{ }", "\x1c\x1fa\u00a0b\u3000c",
    "A BA A-B ſ aNSwer ab a  b", "é٣4 <a> ]&~-+.,", "\b\n\n", "the answer is (B) .", "\n", " \n \n",
]
for pattern in PATTERNS:
    regex = re.compile(pattern)
    for text in TEXTS:
        found = [list(m) if isinstance(m, tuple) else [m] for m in regex.findall(text)]
        sub = regex.sub("-", text)
        print(json.dumps({"pattern": pattern, "text": text, "findall": found, "sub": sub}))
