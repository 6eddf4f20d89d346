"""The packaged weights in another form: the same numbers but for rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.models.providers import weights

gguf = pytest.importorskip("gguf")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A GGUF file with one matrix of each kind that the packaged one has, and a few fields."""
    path = tmp_path / "small.gguf"
    numbers = np.random.default_rng(5).normal(size=(4, 64)).astype(np.float32)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint32("llama.block_count", 3)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", "\u00e9"])
    writer.add_uint32("general.file_type", 3)
    writer.add_tensor("norm", numbers[0])
    for kind in (gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q8_0):
        writer.add_tensor(kind.name, gguf.quants.quantize(numbers, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def numbers_of(path: Path) -> dict[str, np.ndarray]:
    return {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(path).tensors}


def test_requantized_weights_are_the_same_numbers_but_for_rounding(small: Path, tmp_path: Path) -> None:
    weights.requantize(small, tmp_path / "fast.gguf")
    before, after = numbers_of(small), numbers_of(tmp_path / "fast.gguf")
    assert before.keys() == after.keys()
    assert {t.tensor_type.name for t in gguf.GGUFReader(tmp_path / "fast.gguf").tensors} == {"F32", "Q8_0"}
    for name, values in before.items():
        assert np.abs(values - after[name]).max() <= np.abs(values).max() / 254 + 1e-6
    assert np.array_equal(before["Q8_0"], after["Q8_0"])


def test_requantized_weights_keep_every_field(small: Path, tmp_path: Path) -> None:
    weights.requantize(small, tmp_path / "fast.gguf")
    fields = {
        path: {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items() if "GGUF" not in name}
        for path in (small, tmp_path / "fast.gguf")
    }
    assert fields[tmp_path / "fast.gguf"] == {**fields[small], "general.file_type": 7}


def test_where_the_cache_cannot_be_written_the_packaged_weights_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert weights.fast() == weights.packaged()
