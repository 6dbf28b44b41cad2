"""Writes golden_annalog.json: what ANNalog's checkpoint makes of 50 molecules, computed by PyTorch.

    python tests/data/make_golden_annalog.py annalog-1.0.6-py3-none-any.whl

It shares no code with the package or with zoo: attention, norms and embeddings are written out here
on the tensors of the checkpoint, which PyTorch's own `weights_only` reader loads. Decoding is
greedy, without a cache, one molecule at a time.
"""

import io
import json
import pathlib
import pickletools
import re
import sys
import zipfile

import torch
from torch.nn import functional

MOLECULES = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "CC(=O)Nc1ccc(O)cc1",
    "CC(C)Cc1ccc(C(C)C(=O)O)cc1",
    "CN1C=NC2=C1C(=O)N(C)C(=O)N2C",
    "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "CN1CCC[C@H]1c1cccnc1",
    "CN(C)CCc1c[nH]c2ccccc12",
    "NCCc1ccc(O)c(O)c1",
    "NCCc1c[nH]c2ccc(O)cc12",
    "CNC[C@H](O)c1ccc(O)c(O)c1",
    "COc1ccc2[nH]cc(CCNC(C)=O)c2c1",
    "CC(C)NCC(O)COc1cccc2ccccc12",
    "CC(C)NCC(O)COc1ccc(CC(N)=O)cc1",
    "CN(C)C(=N)NC(=N)N",
    "CCN(CC)CC(=O)Nc1c(C)cccc1C",
    "CCOC(=O)c1ccc(N)cc1",
    "CCN(CC)CCOC(=O)c1ccc(N)cc1",
    "Nc1ccc(S(N)(=O)=O)cc1",
    "Cc1cc(NS(=O)(=O)c2ccc(N)cc2)no1",
    "COc1cc(Cc2cnc(N)nc2N)cc(OC)c1OC",
    "OC(Cn1cncn1)(Cn1cncn1)c1ccc(F)cc1F",
    "Cc1ncc([N+](=O)[O-])n1CCO",
    "O=C(O)c1cn(C2CC2)c2cc(N3CCNCC3)c(F)cc2c1=O",
    "CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc21",
    "Clc1ccccc1C1=NCc2nncn2-c2ccc(Cl)cc21",
    "CN(C)CCCN1c2ccccc2CCc2ccccc21",
    "CN(C)CCCN1c2ccccc2Sc2ccc(Cl)cc21",
    "CNCCC(Oc1ccc(C(F)(F)F)cc1)c1ccccc1",
    "CN[C@H]1CC[C@@H](c2ccc(Cl)c(Cl)c2)c2ccccc21",
    "CN(C)CCC[C@]1(c2ccc(F)cc2)OCc2cc(C#N)ccc21",
    "Fc1ccc(C(=O)CCCN2CCC(O)(c3ccc(Cl)cc3)CC2)cc1",
    "OCCN1CCN(CCCN2c3ccccc3Sc3ccc(Cl)cc32)CC1",
    "CCOC(=O)N1CCC(=C2c3ccc(Cl)cc3CCc3cccnc32)CC1",
    "CC(C)(C(=O)O)c1ccc(C(O)CCCN2CCC(C(O)(c3ccccc3)c3ccccc3)CC2)cc1",
    "CC(C)OC(=O)C(C)(C)Oc1ccc(C(=O)c2ccc(Cl)cc2)cc1",
    "CC(C)c1nc(N(C)S(C)(=O)=O)nc(-c2ccc(F)cc2)c1/C=C/[C@@H](O)C[C@@H](O)CC(=O)O",
    "CCOC(=O)C1=C(COCCN)NC(C)=C(C(=O)OC)C1c1ccccc1Cl",
    "Cc1ccc(-c2cc(C(F)(F)F)nn2-c2ccc(S(N)(=O)=O)cc2)cc1",
    "O=C(O)Cc1ccccc1Nc1c(Cl)cccc1Cl",
    "CC(=O)SC[C@@H](C)C(=O)N1CCC[C@H]1C(=O)O",
    "COc1ccc2nc(S(=O)Cc3ncc(C)c(OC)c3C)[nH]c2c1",
    "CN/C(=C\\[N+](=O)[O-])NCCSCc1ccc(CN(C)C)o1",
    "Cc1ccc(NC(=O)c2ccc(CN3CCN(C)CC3)cc2)cc1Nc1nccc(-c2cccnc2)n1",
    "C#Cc1cccc(Nc2ncnc3cc(OCCOC)c(OCCOC)cc23)c1",
    "COc1cc2ncnc(Nc3ccc(F)c(Cl)c3)c2cc1OCCCN1CCOCC1",
    "CCCc1nn(C)c2c1nc(-c1cc(S(=O)(=O)N3CCN(C)CC3)ccc1OCC)[nH]c2=O",
    "C[C@]12CC[C@H]3[C@@H](CCC4=CC(=O)CC[C@@]43C)[C@@H]1CC[C@@H]2O",
    "Brc1ccc(C2CCNCC2)cc1",
    "C[N+](C)(C)CCO",
    "[Se]=C1NC(=O)C=CN1",
]

PIECE = re.compile(r"\[[^\]]*\]|%\d{2}|Br|Cl|.", re.DOTALL)
HEADS, LAYERS, POSITIONS = 8, 3, 102


def main():
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        checkpoint = wheel.read("annalog/ckpt_and_vocab/Lev_extended.pt")
        vocabulary = wheel.read("annalog/ckpt_and_vocab/stereo_experiment_vocab_ttf.pkl")
    weights = torch.load(io.BytesIO(checkpoint), map_location="cpu", weights_only=True)
    # Nothing is unpickled: the strings of its list of tokens stand in the file in their order.
    texts = [arg for opcode, arg, _ in pickletools.genops(vocabulary) if "UNICODE" in opcode.name]
    tokens = texts[texts.index("itos") + 1 : texts.index("stoi")]
    cases = []
    for molecule in MOLECULES:
        source = ["<sos>", *PIECE.findall(molecule), "<eos>"]
        source = [tokens.index(t) if t in tokens else tokens.index("<unk>") for t in source]
        target, margin, nats = greedy(weights, source, tokens.index("<sos>"), tokens.index("<eos>"))
        written = "".join(tokens[i] for i in target)
        cases.append(
            {
                "source": molecule,
                "source_ids": source[1:-1],
                "target": written,
                "target_ids": target,
                "margin": round(margin, 6),
                "nats": round(nats, 5),
            }
        )
    path = pathlib.Path(__file__).with_name("golden_annalog.json")
    path.write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n", encoding="utf-8")
    print(len(cases), "cases; the least margin is", min(case["margin"] for case in cases))


def greedy(weights, source, start, end):
    """A target's ids without its end, the least lead of a choice over the next best, its nats."""
    memory = embed(weights, "encoder", source)
    for i in range(LAYERS):
        name = f"encoder.layers.{i}"
        memory = residual(
            weights,
            f"{name}.self_attn_layer_norm",
            memory,
            attend(weights, f"{name}.self_attention", memory, memory),
        )
        memory = feed_forward(weights, name, memory)
    target, margin, nats = [start], float("inf"), 0.0
    while len(target) < POSITIONS:
        x = embed(weights, "decoder", target)
        later = torch.ones(len(target), len(target), dtype=torch.bool).triu(1)
        for i in range(LAYERS):
            name = f"decoder.layers.{i}"
            x = residual(
                weights,
                f"{name}.self_attn_layer_norm",
                x,
                attend(weights, f"{name}.self_attention", x, x, later),
            )
            x = residual(
                weights,
                f"{name}.enc_attn_layer_norm",
                x,
                attend(weights, f"{name}.encoder_attention", x, memory),
            )
            x = feed_forward(weights, name, x)
        logits = linear(weights, "decoder.fc_out", x[-1])
        first, second = logits.topk(2).values
        margin = min(margin, float(first - second))
        nats -= float(logits.log_softmax(-1).max())
        target.append(int(logits.argmax()))
        if target[-1] == end:
            break
    return [token for token in target[1:] if token != end], margin, nats


def embed(weights, side, ids):
    vectors = weights[f"{side}.tok_embedding.weight"][ids]
    return vectors * vectors.shape[-1] ** 0.5 + weights[f"{side}.pos_embedding.weight"][: len(ids)]


def attend(weights, name, x, memory, hidden=None):
    def heads(part, x):
        return linear(weights, f"{name}.fc_{part}", x).unflatten(-1, (HEADS, -1)).transpose(0, 1)

    query, key, value = heads("q", x), heads("k", memory), heads("v", memory)
    scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
    if hidden is not None:
        scores = scores.masked_fill(hidden, -torch.inf)
    return linear(weights, f"{name}.fc_o", (scores.softmax(-1) @ value).transpose(0, 1).flatten(1))


def feed_forward(weights, name, x):
    part = f"{name}.positionwise_feedforward"
    y = linear(weights, f"{part}.fc_2", linear(weights, f"{part}.fc_1", x).relu())
    return residual(weights, f"{name}.ff_layer_norm", x, y)


def residual(weights, name, x, y):
    return functional.layer_norm(
        x + y, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"]
    )


def linear(weights, name, x):
    return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


if __name__ == "__main__":
    with torch.inference_mode():
        main()
