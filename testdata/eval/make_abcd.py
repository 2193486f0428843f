#!/usr/bin/env python3.11
"""What the graders of openai/gpt-oss find in texts: templates of answers, and random mixtures.

usage: make_abcd.py GPT_OSS_EVALS_FOLDER      writes abcd.jsonl and boxed.jsonl
"""
import importlib.util
import json
import random
import re
import sys

spec = importlib.util.spec_from_file_location("abcd", sys.argv[1] + "/abcd_grader.py")
abcd = importlib.util.module_from_spec(spec)
spec.loader.exec_module(abcd)
# The module needs pandas; only one function of it is wanted.
source = open(sys.argv[1] + "/aime_eval.py").read()
names = {"re": re}
exec(source[source.index("def extract_boxed_text"):source.index("def normalize_number")], names)

FORMS = ["**Answer:** {}", "*Answers* – {}", "__answer__: {}", "Answer: {}", "  **Answer: {}**", "answer {}",
         "Answer: ({})", "The Answer is {}", "Answers: [{}]", "Option {}", "choice – {}", "\\boxed{{{}}}",
         "$\\boxed{{\\text{{{} }} 2.08}}$", "\\boxed{{\\textbf{{({})}}}}", "({})", "[ {} ]", "x({})", "**{}**",
         "_{}_", "__{}__", "\\textbf{{{} is}}", "**{}) because**", "{}", "{}. text", "{})", "**{}", "{}nswer",
         "The final answer is ({})", "Final Answer: **{}**", "**Final answer: {}**", "I choose {}.",
         "Answer:\n\n**{}**", "**Answer**\n{}", "* {}", "- {}", "Thus {} holds", "{} – because", "`{}`",
         "answer: **({})** since", "Answer – {}) x", "*Answer:* _{}_", "{}{}"]
FILLERS = ["", "The answer", "A", "because of B", "(see C)", "**bold**", "\n", "\n\n", "Option", "\\boxed{}",
           "x = 3", "Answer", "\\text{and}", "_", "**", "a) one b) two", "É", "\u00a0", "not (D)", "é(A)é", "ſ"]
rnd = random.Random(5)
texts = [form.replace("{}{}", "{0}{0}").format(letter) for form in FORMS for letter in "ABCDEbd"]
for _ in range(2000):
    parts = []
    for _ in range(rnd.randint(1, 4)):
        if rnd.random() < 0.5:
            parts.append(rnd.choice(FORMS).replace("{}{}", "{0}{0}").format(rnd.choice("ABCDEc")))
        else:
            parts.append(rnd.choice(FILLERS))
    texts.append(rnd.choice(["", " ", "\n", "\n\n"]).join(parts))
with open("abcd.jsonl", "w") as out:
    for text in texts:
        out.write(json.dumps({"text": text, "answer": abcd.extract_abcd(text)}) + "\n")
BOXED = ["\\boxed{70}", "\\boxed{}", "\\boxed{1}\\boxed{}", "\\framebox{ 12 , 13 }", "no", "12 and 13", "\\boxed{x}",
         "\\boxed{\\text{a}}", "boxed{1\n2}", "\\boxed{007}", "\\boxed{-5}", "\\boxed{+5}", "\\boxed{1_0}",
         "\\boxed{1__0}", "\\boxed{_1}", "\\boxed{5.0}", "\\boxed{1} \\framebox{2}", "\\framebox{1} \\boxed{2}", "",
         "\\boxed{ \u00a08\u00a0 }", "x1y22z", "\\boxed{a,}", "\\boxed{0}", "\\boxed{-0}"]
with open("boxed.jsonl", "w") as out:
    for text in BOXED:
        answer = names["extract_boxed_text"](text)
        try:
            number = str(int(answer))
        except ValueError:
            number = None
        out.write(json.dumps({"text": text, "answer": answer, "int": number}) + "\n")
