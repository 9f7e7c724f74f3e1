"""What a folder must hold, by family: no weight may lack, or transformers draws it at random."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.backend.bases import convert
from helpers.backend.bases.families import FAMILIES, read_shape
from tests.backend.bases.tiny_families import CASES, random_model


class Named:
    """A model's weights by name, as `FolderWeights` shows those of a folder."""

    def __init__(self, model: Any) -> None:
        self._sizes = {name: tuple(one.shape) for name, one in model.state_dict().items()}

    def __iter__(self):
        return iter(self._sizes)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._sizes[name]


@pytest.mark.parametrize("case", CASES)
def test_every_weight_of_a_family_is_asked_for(case: str) -> None:
    model = random_model(case)
    shape = read_shape(model.config.to_dict())
    found = {piece.name for piece in convert._pieces(shape, Named(model), "f32")}
    assert found == convert._expected(shape)


def test_what_a_config_leaves_out_means_what_transformers_takes_it_for() -> None:
    import transformers

    kinds = {"Gemma3Text": "gemma3_text"} | {
        name: name.lower() for name in ("Llama", "Mistral", "SmolLM3", "Qwen2", "Qwen3", "Phi3")
    }
    assert set(kinds.values()) == set(FAMILIES)
    for name, kind in kinds.items():
        config = getattr(transformers, f"{name}Config")()
        family = FAMILIES[kind]
        assert bool(config.tie_word_embeddings) == family.tied, kind
        positions = config.rope_parameters
        assert positions.get("full_attention", positions)["rope_theta"] == family.theta, kind
