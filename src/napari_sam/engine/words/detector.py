"""A zero-shot detector of `transformers`, which looks for phrases in one picture.

OWLv2 (Minderer et al. 2023, arXiv:2306.09683) and Grounding DINO (Liu et al. 2023,
arXiv:2303.05499). Boxes and scores are those of the library's own
``post_process_grounded_object_detection``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_sam.engine.contrast import resize_longest_side
from napari_sam.engine.errors import ModelError, PromptError
from napari_sam.engine.guard import running
from napari_sam.engine.models.zoo import choose_device, is_out_of_memory

from .catalogue import EXTRA, detector_folder

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

Kind = Literal["owlv2", "grounding-dino"]
USUAL: dict[Kind, float] = {"owlv2": 0.1, "grounding-dino": 0.25}  # thresholds of transformers
ENDS = ".?"  # Grounding DINO ends a phrase at each of them
MOST = 2  # times the input: what is larger is reduced before the library takes it as float32
ALL = -1.0  # below all scores
NO_TEXT = 2.0  # above all of them: the library need not decode the tokens of each box


@dataclass(frozen=True)
class Found:
    """What one look found, all of it: N boxes, however low their score."""

    boxes: NDArray[np.float64]  # (N, 4), y0, x0, y1, x1; the centre of the first pixel is 0, 0
    scores: NDArray[np.float64]  # (N,), 0 to 1
    phrases: NDArray[np.intp]  # (N,), which of the phrases each is


@dataclass(frozen=True, eq=False)
class TextDetector:
    """A detector with its weights on a device."""

    name: str
    kind: Kind
    network: nn.Module = field(repr=False)
    processor: Any = field(repr=False)  # of transformers: of pictures, and of text
    device: torch.device

    @property
    def usual_threshold(self) -> float:
        """The lowest score that `transformers` takes for a detection of this kind."""
        return USUAL[self.kind]

    @property
    def input_side(self) -> int:
        """Pixels of its input, on the side by which a picture is resized."""
        size = self.processor.image_processor.size
        return int(size["height" if self.kind == "owlv2" else "shortest_edge"])

    def checked(self, phrases: Sequence[str]) -> tuple[str, ...]:
        """Phrases without needless spaces, each once.

        Raises
        ------
        PromptError
            If there is none, or one is empty or too long for this detector.
        """
        given = tuple(dict.fromkeys(" ".join(phrase.split()) for phrase in phrases))
        if not given or not all(_sentence([phrase]).strip(ENDS) for phrase in given):
            raise PromptError('Say what is looked for, in a word or a few: "nucleus".')
        config: Any = self.network.config
        most = int(config.text_config.max_position_embeddings)
        if self.kind == "grounding-dino":
            most = min(most, int(config.max_text_len))
        asked = given if self.kind == "owlv2" else (_sentence(given),)
        for each in asked:
            if (n := len(self.processor.tokenizer(each).input_ids)) > most:
                raise PromptError(
                    f"“{each}” is too long for {self.name}: {n} tokens, of at most {most}. Use "
                    "fewer words."
                )
        return given

    def look(
        self,
        picture: NDArray[np.uint8],
        phrases: Sequence[str],
        report: Callable[[], None] = lambda: None,
    ) -> Found:
        """Look for phrases in a picture ``(H, W, 3)``, which is resized to the input.

        Parameters
        ----------
        phrases
            As :meth:`checked` returns them.
        report
            Called after each block of the network; what it raises stops the work.

        Raises
        ------
        ModelError
            If the memory of the device is full.
        """
        from PIL import Image

        if max(picture.shape[:2]) > MOST * self.input_side:
            seen = resize_longest_side(picture, MOST * self.input_side)
        else:
            seen = picture
        text = [list(phrases)] if self.kind == "owlv2" else _sentence(phrases)
        inputs = self.processor(images=Image.fromarray(seen), text=text, return_tensors="pt")
        inputs = inputs.to(self.device, torch.float32)
        try:
            with torch.inference_mode(), _reporting(self.network, report):
                outputs = self.network(**inputs)
                return self._read(outputs, inputs, picture.shape[:2], len(phrases))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise ModelError(
                f"The memory of {self.device} is full. Close other programs that use it, or choose "
                "the device cpu."
            ) from error

    def _read(self, outputs: Any, inputs: Any, shape: tuple[int, int], n_phrases: int) -> Found:
        post_process = self.processor.post_process_grounded_object_detection
        if self.kind == "owlv2":
            (found,) = post_process(outputs, threshold=ALL, target_sizes=[shape])
            nth = found["labels"]
        else:
            (found,) = post_process(
                outputs, threshold=ALL, text_threshold=NO_TEXT, target_sizes=[shape]
            )
            probabilities = outputs.logits[0].sigmoid()  # (N, tokens)
            kept = probabilities[probabilities.max(dim=-1).values > ALL]  # all that are a number
            tokens = _tokens_of_phrases(inputs["input_ids"][0].tolist(), self._separators())
            if len(tokens) != n_phrases:
                raise PromptError(
                    f"{self.name} reads {len(tokens)} phrases instead of {n_phrases}. Use letters, "
                    "digits and spaces only."
                )
            nth = torch.stack([kept[:, at].amax(dim=-1) for at in tokens], dim=-1).argmax(dim=-1)
        x0, y0, x1, y1 = _array(found["boxes"]).reshape(-1, 4).T
        # Edges of pixels are whole numbers there, centres are here
        boxes = np.stack([y0, x0, y1, x1], axis=-1) - 0.5
        return Found(boxes, _array(found["scores"]), _array(nth).astype(np.intp))

    def _separators(self) -> AbstractSet[int]:
        tokenizer = self.processor.tokenizer
        ends = tokenizer.convert_tokens_to_ids(list(ENDS))
        return {*ends, tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id}


def load_text_detector(name_or_path: str | Path, *, device: str = "auto") -> TextDetector:
    """Load a detector that is on this computer; nothing is downloaded.

    Parameters
    ----------
    name_or_path
        A name of the catalogue, ``OWNER/NAME`` of huggingface.co, or a folder.
    device
        "auto" (CUDA, else Apple's MPS, else CPU), or "cpu", "cuda", "cuda:1", "mps".

    Raises
    ------
    ModelError
        If the package `transformers` is missing, the detector is not here, or of another kind.
    """
    chosen = choose_device(device)
    try:
        import transformers
    except ImportError as error:
        raise ModelError(
            f"Prompts by words need the package transformers. Install it: {EXTRA}"
        ) from error
    folder = detector_folder(name_or_path)
    name = str(name_or_path) if folder != Path(name_or_path).expanduser() else folder.name
    only_here = {"local_files_only": True, "trust_remote_code": False}
    with running(f"Loading the detector {name}"), _quiet(transformers.utils.logging):
        kind = transformers.AutoConfig.from_pretrained(folder, **only_here).model_type
        if kind not in get_args(Kind):
            raise ModelError(
                f"{name} is a model of the kind {kind}. Choose a detector of the kinds "
                f"{' and '.join(get_args(Kind))}."
            )
        processor = transformers.AutoProcessor.from_pretrained(folder, **only_here)
        network = transformers.AutoModelForZeroShotObjectDetection.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, **only_here
        )
        network = network.eval().to(chosen)
    return TextDetector(name, cast(Kind, kind), network, processor, chosen)


def _sentence(phrases: Sequence[str]) -> str:
    """Phrases as Grounding DINO is asked for them: "nucleus. the dividing cell."."""
    plain = str.maketrans(dict.fromkeys(ENDS, " "))
    return ". ".join(" ".join(each.lower().translate(plain).split()) for each in phrases) + "."


def _tokens_of_phrases(ids: Sequence[int], separators: AbstractSet[int]) -> list[list[int]]:
    """The positions of each phrase's tokens."""
    spans = groupby(range(len(ids)), key=lambda at: ids[at] in separators)
    return [list(span) for is_between, span in spans if not is_between]


@contextmanager
def _reporting(network: nn.Module, report: Callable[[], None]) -> Iterator[None]:
    """Inside, `report` is called after each block of a network."""
    lists = [each for each in network.modules() if isinstance(each, nn.ModuleList)]
    hooks = [
        block.register_forward_hook(lambda *_: report()) for blocks in lists for block in blocks
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _quiet(logging: Any) -> Iterator[None]:
    """Inside, the library says nothing of which parts of it load what, and shows no bars."""
    verbosity, has_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if has_bars:
            logging.enable_progress_bar()


def _array(values: Tensor) -> NDArray[np.float64]:
    return values.cpu().double().numpy()
