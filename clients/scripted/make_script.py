"""Writes the script of the replaying server: `python make_script.py script.json`.

It has the turns of `turns.json`, and for each case of `tool_cases.jsonl` a call of its tool with
the expected arguments, then an answer. The ways in which a call is written alternate between those
that the published models use.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent

# Where the recipient stands, and what says that the content is JSON.
CALLS = [
    "<|start|>assistant to={to}<|channel|>commentary <|constrain|>json<|message|>{body}<|call|>",
    "<|start|>assistant<|channel|>commentary to={to} <|constrain|>json<|message|>{body}<|call|>",
    "<|start|>assistant<|channel|>commentary to={to} json<|message|>{body}<|call|>",
    "<|start|>assistant<|channel|>commentary to={to}<|message|>{body}<|call|>",
    "<|start|>assistant<|channel|>analysis to={to} <|constrain|>json<|message|>{body}<|call|>",
]


def turns_of_case(number: int, case: dict) -> list[str]:
    """A turn that thinks and calls, and one that thinks and answers."""
    to = f"functions.{case['tool_name']}"
    call = CALLS[number % len(CALLS)].format(to=to, body=case["expected_arguments"])
    return [
        f"<|channel|>analysis<|message|>The tool {case['tool_name']} fits.<|end|>{call}",
        "<|channel|>analysis<|message|>The tool has answered.<|end|>"
        f"<|start|>assistant<|channel|>final<|message|>Done with {case['tool_name']}.<|return|>",
    ]


def main() -> None:
    scripts = json.loads((HERE / "turns.json").read_text(encoding="utf-8"))
    cases = (HERE / "tool_cases.jsonl").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(cases):
        case = json.loads(line)
        assert case["input"] not in scripts, case["input"]
        scripts[case["input"]] = turns_of_case(number, case)
    default = ["<|channel|>final<|message|>There is no script for this.<|return|>"]
    script = {"scripts": scripts, "default": default}
    Path(sys.argv[1]).write_text(json.dumps(script, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
