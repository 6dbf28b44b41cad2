"""The command line: from a folder of text to a model, and errors that are a sentence."""

import json

import pytest
import yaml

from zoo.cli import main

pytestmark = pytest.mark.backend_free
TEXT = "the sea was calm and the sky was grey; nobody spoke for a long while. "


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    for number in range(12):
        (folder / f"{number}.txt").write_text(TEXT[number:] * 6)
    rows = "".join(f"{TEXT[n:20]},a\n{TEXT[n + 20 : 45]},b\n" for n in range(9))
    (folder / "tickets.csv").write_text("body,queue\n" + rows)
    arguments = ["data", "tokenize", *map(str, folder.glob("*.txt")), "--tokenizer", "new:300"]
    assert main([*arguments, "--out", str(folder / "data"), "--validation", "0.2"]) == 0
    return folder


def train(data, out, *others):
    arguments = ["train", "gpt-tiny", "--data", data / "data", "--out", out, "--length", "16"]
    arguments += ["--batch-size", "4", "--steps", "6", "--validate-every", "3", "--json", *others]
    return main(list(map(str, arguments)))


def finetune(data, out, *others):
    arguments = ["finetune", "bert-small", "--task", "text_classification"]
    arguments += ["--data", data / "tickets.csv", "--text", "body", "--label", "queue"]
    arguments += ["--epochs", "1", "--batch-size", "8", "--json", "--freeze", "backbone"]
    arguments += ["--out", out, *others]
    return main(list(map(str, arguments)))


def test_a_folder_of_text_becomes_a_model_that_writes(data, tmp_path, capsys):
    how = ["--sample", "the sea", "--accumulate", 2, "--recompute", "blocks"]
    assert train(data, tmp_path / "run", *how) == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert result["steps"] == 6
    assert result["val_loss"] > 0
    for line in ("parameters ", "tokens      384", "FLOPs", "memory", "time"):
        assert line in printed.err
    assert {p.name for p in (tmp_path / "run").iterdir()} == {
        "log.csv",
        "model",
        "run.yaml",
        "samples.txt",
        "states",
    }
    assert len((tmp_path / "run/log.csv").read_text().splitlines()) == 3
    # Run again from its own settings: it is over, and says the same.
    again = ["train", "--config", str(tmp_path / "run/run.yaml"), "--json", "--out"]
    assert main([*again, str(tmp_path / "run")]) == 0
    assert json.loads(capsys.readouterr().out) == result
    how = ["--max-new-tokens", "3", "--sampler", "greedy"]
    assert main(["generate", str(tmp_path / "run"), "the sea", *how]) == 0
    text = capsys.readouterr().out
    assert text.startswith("the sea")
    assert main(["generate", str(tmp_path / "run"), "the sea", "--stream", *how]) == 0
    assert capsys.readouterr().out == text
    assert main(["evaluate", str(tmp_path / "run"), "--data", str(data / "data"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["loss"] > 0


def test_a_masked_language_model_is_pretrained_and_goes_on(data, tmp_path, capsys):
    texts = [str(path) for path in data.glob("*.txt")]
    made = ["data", "tokenize", *texts, "--tokenizer", "bert-small", "--validation", "0.2"]
    assert main([*made, "--out", str(tmp_path / "data")]) == 0
    arguments = ["train", "bert-tiny", "--task", "masked_lm", "--data", str(tmp_path / "data")]
    arguments += ["--length", "16", "--batch-size", "2", "--json", "--out", str(tmp_path / "run")]
    capsys.readouterr()
    assert main([*arguments, "--steps", "4", "--validate-every", "2"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["steps"], result["val_loss"] > 0) == (4, True)
    assert main([*arguments, "--steps", "4", "--validate-every", "2"]) == 0
    assert json.loads(capsys.readouterr().out) == result
    assert main(["fill", str(tmp_path / "run"), "the sea was [MASK] ."]) == 0
    other = tmp_path / "other"
    assert main([*arguments, "--steps", "4", "--sample", "the sea", "--out", str(other)]) == 1
    assert "Samples are texts that a causal_lm continues" in capsys.readouterr().err
    assert not other.exists()


def test_a_classifier_is_made_measured_and_used_by_the_names_of_columns(data, tmp_path, capsys):
    assert finetune(data, tmp_path / "run") == 0
    result = json.loads(capsys.readouterr().out)
    assert {"loss", "val_loss", "accuracy"} <= result.keys()
    assert finetune(data, tmp_path / "run") == 0
    assert json.loads(capsys.readouterr().out) == result
    table = str(data / "tickets.csv")
    assert main(["evaluate", str(tmp_path / "run"), "--data", table, "--json"]) == 0
    assert 0 <= json.loads(capsys.readouterr().out)["accuracy"] <= 1
    assert main(["classify", str(tmp_path / "run"), "the sea", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["label"] in ("a", "b")


def test_a_dry_run_tells_the_plan_and_does_nothing(data, tmp_path, capsys):
    assert train(data, tmp_path / "run", "--dry-run") == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert plan["tokens"] == 6 * 4 * 16
    assert plan["flops"] > 6 * plan["tokens"] * 300 * 2
    assert finetune(data, tmp_path / "run", "--dry-run") == 0
    assert json.loads(capsys.readouterr().out)["labels"] == ["a", "b"]
    assert not (tmp_path / "run").exists()


def test_presets_are_listed_and_described(capsys):
    assert main(["list", "--family", "lstm", "--json"]) == 0
    assert {row["family"] for row in json.loads(capsys.readouterr().out)} == {"lstm"}
    assert main(["info", "gpt-tiny", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["parameters"] == 12416
    assert facts["memory"]["bfloat16"] == "0.000 GB"
    assert main(["info", "gpt-tiny"]) == 0
    assert "parameters   12,416" in capsys.readouterr().out


ERRORS = [
    (["info", "gpt-smal"], 1, "Did you mean 'gpt-small'?"),
    (["train", "gpt-tiny", "--data", "DATA/none", "--steps", "4"], 1, "No tokenizer at"),
    (["train", "gpt-tiny", "--data", "DATA/data", "--steps", "many"], 2, "a valid integer"),
    (["train", "gpt-tiny", "--data", "DATA/data", "--steps", "4", "--weights"], 1, "without weig"),
    (["train", "gpt-small", "--data", "DATA/data", "--steps", "4", "--weights"], 1, "another tok"),
    (["finetune", "bert-tiny", "--data", "DATA/tickets.csv"], 1, "there is no column 'text'"),
    (["generate", "bert-small", "a"], 1, "takes a model for causal_lm or seq2seq; 'bert-small'"),
    (["export", "gpt-tiny", "--format", "onyx"], 1, "onyx"),
]


def test_files_are_turned_into_those_of_others(tmp_path, capsys):
    made = ["convert", "gpt-small", "--format", "transformers", "--out", str(tmp_path / "gpt")]
    assert main(made) == 0
    assert (tmp_path / "gpt" / "config.json").exists()
    assert main(["convert", "gpt-small", "--format", "zip", "--out", str(tmp_path / "gpt")]) == 1
    assert "format must be one of zoo" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "status", "message"), ERRORS)
def test_an_error_is_a_sentence_without_a_traceback(
    data, tmp_path, capsys, arguments, status, message
):
    arguments = [argument.replace("DATA", str(data)) for argument in arguments]
    if arguments[0] in ("train", "finetune", "export"):
        arguments += ["--out", str(tmp_path / "run")]
    assert main(arguments) == status
    printed = capsys.readouterr().err
    assert message in " ".join(printed.split())
    assert "Traceback" not in printed
    if status == 1:
        with pytest.raises((ValueError, OSError)):
            main([*arguments, "--debug"])


def test_settings_that_nobody_knows_or_that_were_others_are_refused(data, tmp_path, capsys):
    (tmp_path / "wrong.yaml").write_text("batchsize: 4\n")
    assert main(["train", "gpt-tiny", "--config", str(tmp_path / "wrong.yaml")]) == 2
    printed = " ".join(capsys.readouterr().err.split())
    assert "has a key 'batchsize' that nobody knows. Did you mean 'batch_size'?" in printed
    assert train(data, tmp_path / "run", "--steps", "3") == 0
    settings = yaml.safe_load((tmp_path / "run/run.yaml").read_text())
    assert (settings["model"], settings["steps"]) == ("gpt-tiny", 3)
    capsys.readouterr()
    assert train(data, tmp_path / "run", "--seed", "9") == 1
    assert "was begun with seed=0; got 9" in capsys.readouterr().err
    assert train(data, tmp_path / "other", "--steps", "7") == 1
    assert "must be a multiple of validate_every; got 7 and 3" in capsys.readouterr().err


def test_every_command_shows_an_example(capsys):
    names = ["list", "info", "train", "finetune", "evaluate", "generate", "translate", "export"]
    names += ["chat", "convert"]
    for name in [*names, "embed", "fill", "classify", "tag", "answer"]:
        assert main([name, "--help"]) == 0
        assert f"Example: zoo {name}" in capsys.readouterr().out
