"""Tiny detectors of both kinds with random weights, saved as `transformers` saves real ones."""

from __future__ import annotations

import json
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import torch

OWL_SIDE, DINO_SIDE = 96, 64
WORDS = ("nucleus", "mitochondrion", "the", "dividing", "cell", "##s")
ENDS = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 1012: ".", 1029: "?"}  # as in BERT


def write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content))


def save_owlv2(folder: Path) -> Path:
    """An OWLv2 of 96 x 96 pixels, whose tokens are letters; its files as on the hub."""
    import transformers as hf

    torch.manual_seed(0)
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    size["num_attention_heads"] = 2
    text = size | {"vocab_size": 99, "max_position_embeddings": 16}
    text |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    vision = size | {"image_size": OWL_SIDE, "patch_size": 16}
    config = hf.Owlv2Config(text_config=text, vision_config=vision, projection_dim=16)
    network = hf.Owlv2ForObjectDetection(config)
    with torch.no_grad():  # a box for each patch, and scores of about a half
        for head in (network.box_head, network.class_head):
            for weights in head.parameters():
                weights.mul_(0.1)
    network.save_pretrained(folder)
    tokens = ["<|pad|>", "<|startoftext|>", "<|endoftext|>"]
    tokens += [*ascii_lowercase, *(f"{letter}</w>" for letter in ascii_lowercase)]
    write(folder / "vocab.json", {token: n for n, token in enumerate(tokens)})
    (folder / "merges.txt").write_text("#version: 0.2\n")
    special = {"pad_token": "<|pad|>", "unk_token": "<|endoftext|>", "bos_token": tokens[1]}
    special["eos_token"] = "<|endoftext|>"
    write(folder / "special_tokens_map.json", special)
    about = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 16}
    write(folder / "tokenizer_config.json", special | about)
    kinds = {"image_processor_type": "Owlv2ImageProcessor", "processor_class": "Owlv2Processor"}
    size = {"height": OWL_SIDE, "width": OWL_SIDE}
    write(folder / "preprocessor_config.json", {"size": size, **kinds})
    return folder


def save_grounding_dino(folder: Path) -> Path:
    """A Grounding DINO of about 64 x 64 pixels, which knows a few words."""
    import transformers as hf

    torch.manual_seed(0)
    backbone = hf.SwinConfig(
        image_size=DINO_SIDE,
        window_size=2,
        embed_dim=16,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        out_features=["stage2", "stage3", "stage4"],
    )
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    text = size | {"model_type": "bert", "num_attention_heads": 2, "vocab_size": 1040}
    two = ("encoder_attention_heads", "decoder_attention_heads", "decoder_layers")
    config = hf.GroundingDinoConfig(
        backbone_config=backbone,
        text_config=text | {"max_position_embeddings": 32},
        d_model=32,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_queries=20,
        num_feature_levels=3,
        max_text_len=32,
        encoder_layers=1,
        **dict.fromkeys(two, 2),
    )
    hf.GroundingDinoForObjectDetection(config).save_pretrained(folder)
    tokens = dict(enumerate(WORDS, start=200)) | ENDS
    vocabulary = {tokens.get(n, f"[unused{n}]"): n for n in range(1040)}
    pictures = hf.GroundingDinoImageProcessor(
        size={"shortest_edge": DINO_SIDE, "longest_edge": 2 * DINO_SIDE}
    )
    tokenizer = hf.BertTokenizer(vocab=vocabulary)
    hf.GroundingDinoProcessor(pictures, tokenizer).save_pretrained(folder)
    return folder


SAVE = {"owlv2": save_owlv2, "grounding-dino": save_grounding_dino}
