"""Folders of sentence-transformers: which embeddings are ours."""

import json

import pytest

from tests.foreign import change_config, load
from zoo import checkpoints


@pytest.mark.parametrize(
    ("pooling", "is_mean"),
    [
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, True),
        ({"pooling_mode": "mean"}, True),
        ({"word_embedding_dimension": 24}, True),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, False),
        ({"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": True}, False),
        ({"pooling_mode": "lasttoken"}, False),
    ],
    ids=["flag", "word", "default", "first", "two", "last"],
)
def test_only_mean_pooling_is_ours(folder_of, embedder, pooling, is_mean):
    folder = folder_of()
    change_config(folder, "1_Pooling/config.json", **pooling)
    if is_mean:
        checkpoints.load_weights(embedder, folder)
    else:
        with pytest.raises(
            ValueError, match=r"must be the mean over the tokens, pooling_mode_mean"
        ):
            checkpoints.load_weights(embedder, folder)


def test_more_modules_than_ours_are_refused(folder_of, embedder):
    folder = folder_of()
    kinds = ["Transformer", "Pooling", "Normalize"]
    modules = [{"path": "", "type": f"sentence_transformers.models.{kind}"} for kind in kinds]
    (folder / "modules.json").write_text(json.dumps(modules))
    checkpoints.load_weights(embedder, folder)
    modules.append({"path": "2_Dense", "type": "sentence_transformers.models.Dense"})
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ValueError, match=r"by Transformer, Pooling, Normalize alone; got 'Dense'"):
        checkpoints.load_weights(embedder, folder)
    with pytest.warns(UserWarning, match="has no weights for span"):
        load(folder, "question_answering")  # which leaves these modules out
    (folder / "modules.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"modules\.json is damaged: it must list modules"):
        checkpoints.load_weights(embedder, folder)
