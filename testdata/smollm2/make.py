"""Golden values of SmolLM2-135M-Instruct in Q4_1, computed by transformers from the same GGUF file.
usage: make.py MODEL.gguf OUT.json
"""
import hashlib, json, os, sys
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

transformers.utils.logging.set_verbosity_error()
torch.set_num_threads(2)
GREEDY = 32
TEXTS = [
    "The capital of France is",
    "Water boils at a temperature of",
    "Once upon a time, in a small village by the sea,",
    "def fibonacci(n):\n    ",
    "The three primary colours are red,",
    "In 1969, Neil Armstrong",
    "Photosynthesis is the process by which",
    "The quick brown fox jumps over",
    "To make a cup of tea, first",
    "2 + 2 = 4, 3 + 3 = 6, 4 + 4 =",
    "Question: What is the largest planet in the solar system?\nAnswer:",
    "Dear Sir or Madam,\n\nI am writing to",
    "import numpy as np\n\n# Compute the mean of an array\n",
    "The history of the Roman Empire begins",
    "A triangle has three sides, a square has",
    "Shakespeare wrote many plays, among them",
    "My favourite season is autumn because",
    "The mitochondria is the powerhouse of",
    "List of fruits:\n- apple\n- banana\n-",
    "The speed of light is approximately 299,792,458",
    "Je m'appelle Marie et j'habite",
    "Die Hauptstadt von Deutschland ist",
    "{\"name\": \"Alice\", \"age\": 30, \"city\":",
    "<html>\n<head>\n<title>",
    "SELECT name, price FROM products WHERE",
    "The Pythagorean theorem states that",
    "Gravity is the force that",
    "On a cold winter night the old man",
    "The first rule of programming is",
    "An atom consists of protons, neutrons and",
    "Monday, Tuesday, Wednesday,",
    "The Great Wall of China was built",
    "fn main() {\n    println!(",
    "Bread is made from flour, water, salt and",
    "The heart pumps blood through",
    "In conclusion, the evidence shows that",
    "Mount Everest is the highest mountain",
    "She opened the letter and read:",
    "The opposite of hot is",
    "10, 20, 30, 40,",
]
CHATS = [
    "What is the capital of Italy?",
    "Write a haiku about the moon.",
    "Explain gravity to a child.",
    "How many days are there in a week?",
    "Give me three tips for better sleep.",
    "What is 12 times 12?",
    "Translate 'good morning' into Spanish.",
    "Who wrote Romeo and Juliet?",
    "Name a mammal that lives in the sea.",
    "Write a Python function that adds two numbers.",
]


def chosen(logits, ids):
    return logits.log_softmax(-1)[range(len(ids)), ids]


if __name__ == "__main__":
    folder, file = os.path.split(os.path.abspath(sys.argv[1]))
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=file, dtype=torch.float32, attn_implementation="eager").eval()
    prompts = TEXTS + [
        f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n" for text in CHATS]
    rows = []
    for text in prompts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            out = model(torch.tensor([ids]), use_cache=True)
            # What the model thinks of each token of the prompt but the first.
            of_prompt = chosen(out.logits[0, :-1].double(), ids[1:])
            greedy, logprobs, gaps = [], [], []
            cache, last = out.past_key_values, out.logits[0, -1].double()
            for _ in range(GREEDY):
                top = last.topk(2)
                greedy.append(int(top.indices[0]))
                logprobs.append(float(last.log_softmax(-1)[greedy[-1]]))
                gaps.append(float(top.values[0] - top.values[1]))
                out = model(torch.tensor([[greedy[-1]]]), past_key_values=cache, use_cache=True)
                last = out.logits[0, -1].double()
        short = lambda numbers: [round(float(x), 5) for x in numbers]
        rows.append({"text": text, "ids": ids, "prompt_logprobs": short(of_prompt), "greedy": greedy,
                     "greedy_logprobs": short(logprobs), "gaps": short(gaps)})
    with open(sys.argv[1], "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    versions = {"transformers": transformers.__version__, "torch": torch.__version__}
    head = {"model_sha256": digest, "versions": versions}
    with open(sys.argv[2], "w") as f:
        f.write(json.dumps(head) + "\n")
        for row in rows:
            f.write(json.dumps(row, ensure_ascii=False) + "\n")
