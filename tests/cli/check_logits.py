#!/usr/bin/env python3
"""Does llama.cpp make of a converted model what transformers makes of the published one?

  check_logits.py CHECKPOINT MODEL.gguf [LIMIT]

Compares the tokens of a text, and after several of its beginnings the logarithms of the probabilities that llama-server
gives for the 50 likeliest tokens. Exits with 1 unless the tokens and each favourite are the same and no logarithm is
more than LIMIT (1e-3) away. Convert with matrices in F32: with others llama.cpp rounds what it multiplies them by.
"""
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

os.environ["TORCHDYNAMO_DISABLE"] = "1"
if shutil.which("llama-server") is None:
    print("skipped: no llama-server")
    sys.exit(0)
try:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(0)

text = "the rain in a then 123 of it"
checkpoint, model = sys.argv[1:3]
limit = float(sys.argv[3]) if len(sys.argv) > 3 else 1e-3

tokens = AutoTokenizer.from_pretrained(checkpoint)(text)["input_ids"]
network = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
with torch.no_grad():
    expected = torch.log_softmax(network(torch.tensor([tokens])).logits[0].float(), -1)

with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
command = ["llama-server", "-m", model, "--port", str(port), "-c", "256", "-ctk", "f32", "-ctv", "f32", "-fa", "off"]
server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


try:
    for attempt in range(240):
        if server.poll() is not None:
            sys.exit(f"llama-server does not load {model}")
        try:
            ask("/health")
            break
        except OSError:
            time.sleep(0.25)
    theirs = ask("/tokenize", {"content": text, "add_special": True})["tokens"]
    if theirs != tokens:
        sys.exit(f"other tokens: {theirs}, not {tokens}")
    worst, asked = 0.0, 0
    for n in range(2, len(tokens) + 1):
        answer = ask("/completion", {"prompt": tokens[:n], "n_predict": 1, "n_probs": 50, "temperature": 0, "cache_prompt": False})
        if "completion_probabilities" not in answer:
            continue  # a token that is half a character
        likeliest = answer["completion_probabilities"][0]["top_logprobs"]
        if likeliest[0]["id"] != int(expected[n - 1].argmax()):
            sys.exit(f"another favourite after {n} tokens")
        worst = max(worst, *(abs(t["logprob"] - float(expected[n - 1][t["id"]])) for t in likeliest))
        asked += 1
    print(f"{checkpoint}: same tokens, same favourite {asked} times, log-probabilities within {worst:.1e}")
    sys.exit(0 if asked > 0 and worst <= limit else 1)
finally:
    server.kill()
    server.wait()
