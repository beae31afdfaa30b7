#!/usr/bin/env python3
"""Makes story.gguf and story.txt: writes little stories from a grammar with a world behind it, trains a llama
transformer on them and stores it as GGUF, matrices in F16. About 15 minutes on one core:

    apt install python3-torch libopenblas0-serial
    /usr/bin/python3 examples/data/make_model.py examples/data

The files in the repository are from torch 1.13.1 with OpenBLAS 0.3.21. Everything is seeded and runs on one thread, so
the same packages on the same kind of processor give the same bytes; others give a model that is as good."""
import os
import random
import re
import struct
import sys
import time
from collections import Counter

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
import torch
from torch import nn
from torch.nn import functional

WIDTH, HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD = 256, 512, 2, 4, 2, 64
VOCABULARY, CONTEXT, BASE, EPSILON = 512, 256, 10000.0, 1e-5
BATCH, STEPS, RATE, SEED = 16, 1500, 3e-3, 20

# ---------------------------------------------------------------------------------------------------------- stories

GIRLS = "Ada Berta Clara Dora Ella Frida Greta Hanna Ida Jana Lotte Mira Nora Olga Petra Rosa Selma Tilda Vera Wanda"
BOYS = "Anton Bruno Carl David Emil Felix Georg Hugo Ivan Jakob Konrad Leo Max Nils Otto Paul Ruben Simon Theo Viktor"
TRADES = "baker|miller|gardener|sailor|tailor|painter|shepherd|doctor|teacher|fisher|carpenter|beekeeper"
TRAITS = "kind|clever|shy|brave|tired|cheerful|stubborn|curious|patient|clumsy|proud|lonely"
SIZES = "small|large|tiny|huge|heavy|light|old|new|broken|shiny|strange|lovely|cheap|famous|dusty|useful|round"
COLOURS = "red|blue|green|yellow|white|black|brown|silver|golden|purple"
THINGS = ("lamp|key|book|kettle|violin|mirror|basket|coat|letter|clock|spoon|map|ladder|drum|coin|bottle|candle|hammer|"
          "wheel|table|flag|ring|bucket|carpet|chest|stove|rope|feather|chain|trumpet|barrel|saddle|brush|whistle")
ROOMS = "kitchen|attic|cellar|garden|barn|library|workshop|hall|stable|tower"
PLACES = "river|forest|harbour|mountain|market|bridge|meadow|old wall|lake|mill"
WHERE = "behind|under|beside|on|near|above|before|against"
DID = "sang|worked|slept|waited|whistled|danced|walked|cooked|wrote|dreamed|painted|swam|read|ate|rested|prayed"
HOW = "slowly|quietly|happily|alone|badly|carefully|for an hour|all day|until noon|with a friend|in the rain|as always"
COUNTED = "apples|plums|nuts|eggs|candles|coins|shells|pears|buttons|stones"
BEINGS = "fox|king|bear|witch|giant|mouse|robber|prince|wolf|ghost|queen|dragon|monk|soldier|raven|miner|snake|captain"
FELT = "hungry|angry|afraid|poor|rich|ill|asleep|famous|in love|lost|sorry|happy|cold|too late|under a spell|invisible"
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
ANIMALS = {"dog": "barked", "cat": "meowed", "cow": "mooed", "rooster": "crowed", "horse": "neighed", "owl": "hooted",
           "sheep": "bleated", "duck": "quacked"}
CAUSES = {
    "It rained all night": ("the path was wet", "the river was high", "the roof dripped"),
    "The sun shone all day": ("the stones were warm", "the washing was dry", "the grass was yellow"),
    "It snowed in the morning": ("the hills were white", "the road was closed", "the children built a snowman"),
    "A strong wind blew": ("the leaves flew away", "the gate banged", "the mill turned fast"),
    "There was a thick fog": ("nobody could see the bridge", "the boats stayed in the harbour",
                              "the bell rang every hour"),
    "It was very cold": ("the lake was frozen", "smoke came from every chimney", "everybody wore a coat"),
}
OPPOSITES = {"hot": "cold", "big": "small", "old": "new", "heavy": "light", "wet": "dry", "full": "empty",
             "long": "short", "thick": "thin", "strong": "weak", "clean": "dirty"}
OPPOSITES.update({b: a for a, b in OPPOSITES.items()})
NUMBERS = ("none one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
           "seventeen eighteen nineteen twenty").split()


class Author:
    """One seeded stream of stories. Only random() is used of the generator: it is the same in all Python versions."""

    def __init__(self, seed):
        self.random = random.Random(seed).random

    def pick(self, choices):
        if isinstance(choices, str):
            choices = choices.split("|" if "|" in choices else " ")
        return choices[int(len(choices) * self.random())]

    def other(self, choices, taken):
        while (word := self.pick(choices)) in taken:
            pass
        return word

    def person(self, taken=()):
        girl = self.random() < 0.5
        return {"name": self.other(GIRLS if girl else BOYS, taken), "he": "she" if girl else "he",
                "him": "her" if girl else "him", "his": "her" if girl else "his"}

    def story(self):
        """What is said later follows from what was said before: who has what, where it is, how many are left."""
        a = self.person()
        b = self.person(a["name"])
        trade, trait, thing = self.pick(TRADES), self.pick(TRAITS), f"{self.pick(COLOURS)} {self.pick(THINGS)}"
        self.world = {"a": a, "b": b, "thing": thing, "day": int(7 * self.random()), "room": None}
        start = [f"{a['name']} was a {trait} {trade} who lived near the {self.pick(PLACES)}.",
                 f"Once there was a {trade} called {a['name']}. {a['he'].title()} was very {trait}.",
                 f"In a house by the {self.pick(PLACES)} lived {a['name']}, a {trait} {trade}."]
        text = [self.pick(start)]
        scenes = [self.count, self.move, self.look, self.look, self.act, self.act, self.tell, self.tell, self.weather,
                  self.talk, self.compare, self.opposite, self.animal, self.tomorrow]
        for _ in range(3 + int(3 * self.random())):
            text.append(self.pick(scenes)())
        if self.world["room"] and self.random() < 0.5:
            text.append(f"Where was the {thing} now? It was still in the {self.world['room']}.")
        end = [f"In the evening {a['name']} thanked {b['name']} and went home.",
               f"{a['name']} the {trade} was not {trait} any more." if trait in ("tired", "lonely", "shy") else
               f"{a['name']} stayed as {trait} as ever.",
               f"That was the end of the day for {a['name']} and {b['name']}.",
               f"{b['name']} laughed, and {a['name']} laughed too."]
        text.append(self.pick(end))
        return " ".join(text)

    def count(self):
        a, b, what = self.world["a"], self.world["b"], self.pick(COUNTED)
        n, m = 2 + int(8 * self.random()), 1 + int(8 * self.random())
        start = f"{a['name']} had {NUMBERS[n]} {what}."
        if self.random() < 0.5:
            return (f"{start} {b['name']} gave {a['him']} {NUMBERS[m]} more, so {a['he']} had "
                    f"{NUMBERS[n + m]} {what}.")
        m = min(m, n)
        verb = self.pick(["sold", "lost", "gave away"])
        return f"{start} {a['he'].title()} {verb} {NUMBERS[m]} of them, so now {a['he']} had {NUMBERS[n - m]} left."

    def move(self):
        a, thing, old = self.world["a"], self.world["thing"], self.world["room"]
        room = self.world["room"] = self.other(ROOMS, (old,))
        if old:
            return f"Then {a['he']} took the {thing} from the {old} and carried it to the {room}."
        return self.pick([f"{a['name']} found a {thing} and put it in the {room}.",
                          f"In the {room} {a['he']} kept a {thing}, a present from {self.world['b']['name']}."])

    def look(self):
        first, second = (f"{self.pick(SIZES)} {self.pick(COLOURS)} {self.pick(THINGS)}" for _ in range(2))
        return self.pick([f"There was a {first} {self.pick(WHERE)} the {second}.",
                          f"{self.pick([self.world['a'], self.world['b']])['name']} liked the {first} more than the "
                          f"{second}.",
                          f"A {first} lay {self.pick(WHERE)} the {self.pick(PLACES)}, and nobody knew whose it was."])

    def act(self):
        a, b = self.world["a"], self.world["b"]
        return self.pick([f"{b['name']} {self.pick(DID)} {self.pick(HOW)} while {a['name']} {self.pick(DID)} "
                          f"{self.pick(HOW)}.",
                          f"{a['name']} {self.pick(DID)} {self.pick(HOW)} and then {self.pick(DID)} {self.pick(HOW)}.",
                          f"In the {self.pick(ROOMS)} {a['he']} {self.pick(DID)} {self.pick(HOW)}."])

    def tell(self):
        a, b = self.world["a"], self.world["b"]
        being = f"{self.pick(TRAITS)} {self.pick(BEINGS)}"
        return self.pick([f"{a['name']} told {b['name']} about a {being} who {self.pick(DID)} {self.pick(WHERE)} the "
                          f"{self.pick(PLACES)} and was {self.pick(FELT)}.",
                          f"{b['name']} dreamed of a {being} with a {self.pick(COLOURS)} {self.pick(THINGS)}.",
                          f"The {being} is {self.pick(FELT)} and the {self.pick(BEINGS)} {self.pick(FELT)}, they say."])

    def weather(self):
        cause = self.pick(list(CAUSES))
        first = self.pick(CAUSES[cause])
        second = self.other(CAUSES[cause], first)
        return self.pick([f"{cause}, so {first}.", f"{cause}, so {first} and {second}.",
                          f"{first[0].upper()}{first[1:]}, because {cause[0].lower()}{cause[1:]}."])

    def talk(self):
        a, b, thing = self.world["a"], self.world["b"], self.world["thing"]
        if self.world["room"]:
            return (f'"Have you seen my {thing}?" asked {b["name"]}. "Look in the {self.world["room"]}," '
                    f'said {a["name"]}.')
        place = self.pick(PLACES)
        a, b = a["name"], b["name"]
        return self.pick([f'"Come with me to the {place}," said {b}. So they went to the {place} together.',
                          f'"Good morning, {a}," said {b}. "Good morning, {b}," said {a}.'])

    def compare(self):
        a, b = self.world["a"]["name"], self.world["b"]["name"]
        c = self.person((a, b))["name"]
        more, most = self.pick([(root + "er", root + "est") for root in ("old", "tall", "fast", "rich")])
        first, second, third = (a, b, c) if self.random() < 0.5 else (c, a, b)
        return (f"{first} was {more} than {second}, and {second} was {more} than {third}. So {first} was the {most} "
                f"of the three.")

    def opposite(self):
        word = self.pick(list(OPPOSITES))
        return f"The {self.pick(THINGS)} in the {self.pick(ROOMS)} was not {word} but {OPPOSITES[word]}."

    def animal(self):
        animal = self.pick(list(ANIMALS))
        a = self.world["a"]
        return self.pick([f"A {animal} came by and {ANIMALS[animal]}.",
                          f"{a['name']} had a {self.pick(COLOURS)} {animal}. It {ANIMALS[animal]} when {a['he']} came "
                          "home."])

    def tomorrow(self):
        day = self.world["day"]
        self.world["day"] = following = (day + 1) % 7
        return f"It was {DAYS[day]}, and the next day was {DAYS[following]}."


# -------------------------------------------------------------------------------------------------------- tokenizer

SPACE = "\u2581"
SPECIAL = ["<unk>", "<s>", "</s>"]
BYTES = [f"<0x{b:02X}>" for b in range(256)]


def words(text):
    """The text with spaces marked, in pieces that no token crosses: words, and single marks."""
    return re.findall(f"{SPACE}?[A-Za-z]+|.|\n", SPACE + text.replace(" ", SPACE))


def train_tokenizer(text):
    """Byte pair encoding: joins the most frequent pair until the vocabulary is full. Scores fall in that order."""
    counts = Counter(words(text))
    letters = sorted({c for word in counts for c in word} - {"\n"})
    split = {word: list(word) for word in counts}
    pieces = []
    while len(SPECIAL) + len(BYTES) + len(pieces) + len(letters) < VOCABULARY:
        pairs = Counter()
        for word, parts in split.items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += counts[word]
        a, b = max(pairs, key=lambda pair: (pairs[pair], pair))
        if a + b not in pieces:
            pieces.append(a + b)
        for word, parts in split.items():
            split[word] = join(parts, a, b)
    return pieces + letters


def join(parts, a, b):
    out = []
    for part in parts:
        if out and out[-1] == a and part == b:
            out[-1] += b
        else:
            out.append(part)
    return out


class Tokenizer:
    def __init__(self, pieces):
        self.tokens = SPECIAL + BYTES + pieces
        self.ids = {piece: i for i, piece in enumerate(self.tokens)}
        self.scores = [0.0] * (len(SPECIAL) + len(BYTES)) + [-float(i) for i in range(len(pieces))]
        self.types = [2, 3, 3] + [6] * 256 + [1] * len(pieces)
        self.known = {}

    def word(self, word):
        if word not in self.known:
            parts = list(word)
            while True:
                pairs = [a + b for a, b in zip(parts, parts[1:]) if a + b in self.ids]
                if not pairs:
                    break
                best = min(pairs, key=self.ids.get)
                at = next(i for i in range(len(parts)) if "".join(parts[i:i + 2]) == best)
                parts[at:at + 2] = [best]
            ids = []
            for part in parts:
                ids += [self.ids[part]] if part in self.ids else [self.ids[f"<0x{b:02X}>"] for b in part.encode()]
            self.known[word] = ids
        return self.known[word]

    def encode(self, text):
        return [i for word in words(text) for i in self.word(word)]


# ------------------------------------------------------------------------------------------------------------ model

class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPSILON) * self.weight


def linear(columns, rows, deviation=0.02):
    layer = nn.Linear(columns, rows, bias=False)
    nn.init.normal_(layer.weight, std=deviation)
    return layer


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        shrunk = 0.02 / (2 * LAYERS) ** 0.5
        self.attn_norm, self.ffn_norm = Norm(), Norm()
        self.attn_q, self.attn_output = linear(WIDTH, WIDTH), linear(WIDTH, WIDTH, shrunk)
        self.attn_k, self.attn_v = linear(WIDTH, KV_HEADS * HEAD), linear(WIDTH, KV_HEADS * HEAD)
        self.ffn_gate, self.ffn_up = linear(WIDTH, HIDDEN), linear(WIDTH, HIDDEN)
        self.ffn_down = linear(HIDDEN, WIDTH, shrunk)

    def forward(self, x, turn, mask):
        batch, size, _ = x.shape
        h = self.attn_norm(x)

        def heads(y):
            return y.view(batch, size, -1, HEAD).transpose(1, 2)

        q, k, v = rotate(heads(self.attn_q(h)), turn), rotate(heads(self.attn_k(h)), turn), heads(self.attn_v(h))
        k, v = (t.repeat_interleave(HEADS // KV_HEADS, 1) for t in (k, v))
        weights = torch.softmax(q @ k.transpose(2, 3) / HEAD ** 0.5 + mask, -1)
        x = x + self.attn_output((weights @ v).transpose(1, 2).reshape(batch, size, WIDTH))
        h = self.ffn_norm(x)
        return x + self.ffn_down(functional.silu(self.ffn_gate(h)) * self.ffn_up(h))


def rotate(x, turn):
    cos, sin = turn[0][:x.shape[2]], turn[1][:x.shape[2]]
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(3)


class Llama(nn.Module):
    def __init__(self):
        super().__init__()
        self.token_embd = nn.Embedding(VOCABULARY, WIDTH)
        nn.init.normal_(self.token_embd.weight, std=0.02)
        self.blk = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.output_norm = Norm()
        self.output = linear(WIDTH, VOCABULARY)
        angle = torch.outer(torch.arange(CONTEXT).float(), BASE ** (-torch.arange(0, HEAD, 2).float() / HEAD))
        self.turn = (angle.cos(), angle.sin())
        self.mask = torch.full((CONTEXT, CONTEXT), float("-inf")).triu(1)

    def forward(self, tokens):
        x, size = self.token_embd(tokens), tokens.shape[1]
        for layer in self.blk:
            x = layer(x, self.turn, self.mask[:size, :size])
        return self.output(self.output_norm(x))


def windows(tokenizer, author):
    """Windows of CONTEXT tokens and one to predict. Every second one begins with a story, the others within one."""
    while True:
        tokens = []
        text = author.story()
        while len(tokens := tokenizer.encode(text)) < 2 * CONTEXT:
            text += "\n" + author.story()
        for start in (0, CONTEXT):
            yield [1] + tokens[start:start + CONTEXT]


def train(tokenizer, held_out):
    torch.manual_seed(SEED)
    model = Llama()
    matrices = [p for p in model.parameters() if p.dim() > 1]
    norms = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": norms, "weight_decay": 0.0}],
                                  betas=(0.9, 0.95))
    source, start = windows(tokenizer, Author(SEED)), time.process_time()
    for step in range(STEPS):
        rate = RATE * min(1.0, (step + 1) / 60) * (1.0 - step / STEPS)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = torch.tensor([next(source) for _ in range(BATCH)])
        loss = functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 49 or step == 0:
            print(f"step {step + 1}, loss {loss.item():.4f}, {time.process_time() - start:.0f} s", flush=True)
    with torch.no_grad():
        tokens = tokenizer.encode(held_out)
        batch = torch.tensor([[1] + tokens[i:i + CONTEXT] for i in range(0, len(tokens) - CONTEXT, CONTEXT)][:40])
        loss = functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
    print(f"held out: {len(tokens)} tokens, loss {loss.item():.4f}, perplexity {loss.exp().item():.4f}")
    return model


# ------------------------------------------------------------------------------------------------------------- file

U32, F32, BOOL, STRING, I32 = 4, 6, 7, 8, 5


def text(s):
    return struct.pack("<Q", len(s.encode())) + s.encode()


def value(kind, v):
    if isinstance(v, list):
        return struct.pack("<IIQ", 9, kind, len(v)) + b"".join(value(kind, x)[4:] for x in v)
    plain = text(v) if kind == STRING else struct.pack({U32: "<I", F32: "<f", BOOL: "<?", I32: "<i"}[kind], v)
    return struct.pack("<I", kind) + plain


def write_gguf(path, model, tokenizer):
    metadata = [
        ("general.architecture", STRING, "llama"), ("general.name", STRING, "blocq stories"),
        ("general.description", STRING, "little stories from a grammar; for measuring number formats"),
        ("general.license", STRING, "mit"), ("general.file_type", U32, 1), ("general.quantization_version", U32, 2),
        ("llama.vocab_size", U32, VOCABULARY), ("llama.context_length", U32, CONTEXT),
        ("llama.embedding_length", U32, WIDTH), ("llama.block_count", U32, LAYERS),
        ("llama.feed_forward_length", U32, HIDDEN), ("llama.attention.head_count", U32, HEADS),
        ("llama.attention.head_count_kv", U32, KV_HEADS), ("llama.rope.dimension_count", U32, HEAD),
        ("llama.rope.freq_base", F32, BASE), ("llama.attention.layer_norm_rms_epsilon", F32, EPSILON),
        ("tokenizer.ggml.model", STRING, "llama"), ("tokenizer.ggml.tokens", STRING, tokenizer.tokens),
        ("tokenizer.ggml.scores", F32, tokenizer.scores), ("tokenizer.ggml.token_type", I32, tokenizer.types),
        ("tokenizer.ggml.bos_token_id", U32, 1), ("tokenizer.ggml.eos_token_id", U32, 2),
        ("tokenizer.ggml.unknown_token_id", U32, 0), ("tokenizer.ggml.add_bos_token", BOOL, True),
        ("tokenizer.ggml.add_eos_token", BOOL, False)]
    tensors = {name: p.detach() for name, p in model.named_parameters()}
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata))
    head += b"".join(text(key) + value(kind, v) for key, kind, v in metadata)
    data = b""
    for name, tensor in tensors.items():
        is_matrix = tensor.dim() > 1
        shape = list(reversed(tensor.shape))
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, int(is_matrix), len(data))
        data += (tensor.half() if is_matrix else tensor).numpy().tobytes()
        data += bytes(-len(data) % 32)
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % 32) + data)


def main(directory):
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    author = Author(SEED + 1)
    held_out = ""
    while len(held_out) < 50000:
        held_out += author.story() + "\n"
    with open(os.path.join(directory, "story.txt"), "w") as file:
        file.write(held_out)
    author = Author(SEED + 2)
    tokenizer = Tokenizer(train_tokenizer("\n".join(author.story() for _ in range(2000))))
    write_gguf(os.path.join(directory, "story.gguf"), train(tokenizer, held_out), tokenizer)


main(*sys.argv[1:])
